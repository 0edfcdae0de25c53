//! What is told of a run once it is over: the summary on the terminal, and the same for machines and browsers.

mod events;
mod github;
mod json;
mod junit;
mod metrics;
mod notice;
mod page;
mod summary;
mod traffic;

pub use self::{
    events::{Event, Events},
    github::{BadRows, annotations, bad_rows, markdown, not_started, outputs},
    json::SummaryJson,
    junit::junit,
    metrics::Metrics,
    notice::Notice,
    page::{About, MOST_ROWS, PageRow, page, page_of},
    summary::{Attention, Reasons, Summary},
    traffic::{Class, Counted, Counts, Traffic},
};
