//! The report: one HTML page that needs nothing from elsewhere, opens from disk, and prints.

use std::io;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    summary::{Attention, Reasons},
    traffic::{Class, Traffic},
};
use crate::{
    attempt::Mail,
    display::{Grouped, Shown, as_f64, count},
    mail::word,
    outcome::{Outcome, Tally},
    roster::Roster,
    sheet::denature,
};

/// So many rows are in the page's table; a browser has trouble with more.
pub const MOST_ROWS: usize = 20_000;

/// A row of the report.
#[derive(Debug, Clone)]
pub struct PageRow {
    /// From 1.
    pub row: u64,
    /// The user.
    pub user: String,
    /// The employee type.
    pub kind: String,
    /// The portal's `isActive`.
    pub active: String,
    /// The outcome.
    pub outcome: Outcome,
    /// Why.
    pub detail: String,
    /// The link, if links are wanted.
    pub link: Option<String>,
}

/// What is known of the run, beyond its rows.
#[derive(Debug, Clone)]
pub struct About {
    /// Which mail was sent.
    pub mail: Mail,
    /// What the page is about: the roster or results file.
    pub title: String,
    /// Lines under the title: portal, time, exit status.
    pub lines: Vec<String>,
    /// Why the run ended before its rows did.
    pub stopped: Option<String>,
    /// Rows by outcome.
    pub outcomes: Tally,
    /// What went over the wire, where that is known.
    pub traffic: Option<Traffic>,
    /// Requests that the limit admits a second, where that is known.
    pub per_second: Option<f64>,
    /// What needs a person.
    pub attention: Vec<Attention>,
}

/// The page of a results file that was read as a roster; `None` of any other roster. Rows without an outcome are left
/// out.
pub fn page_of(results: &Roster, title: &str, with_links: bool) -> io::Result<Option<String>> {
    let Some(columns) = results.columns().results else { return Ok(None) };
    let (mut rows, mut tally, mut reasons) = (Vec::new(), Tally::default(), Reasons::default());
    results.for_each(|number, _, record, _| -> io::Result<()> {
        let [_, user, kind, link, active, outcome, _, _, detail] =
            columns.map(|column| denature(record.cell(column)).to_owned());
        let Ok(outcome) = outcome.parse::<Outcome>() else { return Ok(()) };
        tally.add(outcome);
        if outcome.needs_a_person() {
            reasons.add(number, outcome, detail.clone(), None, true);
        }
        if rows.len() < MOST_ROWS {
            let link = with_links.then_some(link);
            rows.push(PageRow { row: number as u64 + 1, user, kind, active, outcome, detail, link });
        }
        Ok(())
    })?;
    let about = About {
        mail: Mail::Congratulation,
        title: title.to_owned(),
        lines: vec![count(tally.total(), "row")],
        stopped: None,
        outcomes: tally,
        traffic: None,
        per_second: None,
        attention: reasons.grouped(),
    };
    Ok(Some(page(&about, &rows)))
}

/// The page; of the rows it is given, it shows the first [`MOST_ROWS`].
pub fn page(about: &About, rows: &[PageRow]) -> String {
    let title = format!("onboard: {}", Shown(&about.title));
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
                meta name="referrer" content="no-referrer";
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header {
                    h1 { (title) }
                    @for line in &about.lines { p.soft { (line) } }
                    @if let Some(stopped) = &about.stopped { p.stopped { (stopped) } }
                }
                main {
                    (outcomes(about.mail, &about.outcomes))
                    @if let Some(traffic) = &about.traffic { (charts(traffic, about.per_second)) }
                    (attention(about.mail, &about.attention))
                    (table(about.mail, rows, about.outcomes.total()))
                }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    markup.into_string()
}

fn outcomes(mail: Mail, tally: &Tally) -> Markup {
    html! {
        section aria-labelledby="outcomes" {
            h2 id="outcomes" { "Outcomes" }
            div.bar role="img" aria-label="share of each outcome" {
                @for (outcome, rows) in tally.occurred() {
                    span class=(outcome.as_str()) style=(format!("flex:{rows};background:var(--c)")) title=(format!("{rows} {}", word(mail, outcome))) {}
                }
            }
            ul.key {
                @for (outcome, rows) in tally.occurred() {
                    li class=(outcome.as_str()) { b style="background:var(--c)" {} (Grouped(rows)) " " (word(mail, outcome)) }
                }
            }
        }
    }
}

fn charts(traffic: &Traffic, per_second: Option<f64>) -> Markup {
    html! {
        section aria-labelledby="requests" {
            h2 id="requests" { "Requests" }
            p { (count(traffic.sent(), "request")) ", " (Grouped(traffic.refused())) " refused" }
            div.charts {
                (pace(traffic, per_second))
                @for class in Class::ALL {
                    @if traffic.class(class).sent > 0 { (latencies(traffic, class)) }
                }
            }
        }
    }
}

/// Requests over time, against what the limit admits on average.
fn pace(traffic: &Traffic, per_second: Option<f64>) -> Markup {
    let (points, step) = traffic.pace();
    let limit = per_second.map(|rate| rate * step.as_secs_f64());
    let most = points.iter().copied().map(f64::from).fold(limit.unwrap_or(1.0), f64::max).max(1.0);
    let width = 300.0 / as_f64(points.len().max(1) as u64);
    let height = |value: f64| value / most * 110.0;
    html! {
        figure {
            figcaption { "requests in each " (step.as_secs()) " s" @if limit.is_some() { "; the line is the limit, on average" } }
            svg viewBox="0 0 300 130" role="img" aria-label="requests over time" {
                @for (place, value) in points.iter().enumerate() {
                    rect x=(format!("{:.2}", as_f64(place as u64) * width)) y=(format!("{:.2}", 115.0 - height(f64::from(*value))))
                        width=(format!("{:.2}", (width * 0.9).max(0.4))) height=(format!("{:.2}", height(f64::from(*value)))) fill="var(--accent)" {}
                }
                @if let Some(limit) = limit {
                    line x1="0" x2="300" y1=(format!("{:.2}", 115.0 - height(limit))) y2=(format!("{:.2}", 115.0 - height(limit))) stroke="var(--bad)" stroke-dasharray="4 3" {}
                }
                line x1="0" x2="300" y1="115" y2="115" stroke="var(--line)" {}
                text x="0" y="128" { "0" }
                text x="300" y="128" text-anchor="end" { (points.len() as u64 * step.as_secs()) " s" }
            }
        }
    }
}

fn latencies(traffic: &Traffic, class: Class) -> Markup {
    let counts = traffic.class(class);
    let bars = counts.histogram();
    let most = bars.iter().map(|(_, count)| f64::from(*count)).fold(1.0, f64::max);
    let width = 300.0 / as_f64(bars.len().max(1) as u64);
    let told = |share| {
        counts.latency(share).map(|latency| format!("{:.0} ms", latency.as_secs_f64() * 1000.0)).unwrap_or_default()
    };
    html! {
        figure {
            figcaption { "latency of a " (class.as_str()) ": half within " (told(0.5)) ", 95% within " (told(0.95)) }
            svg viewBox="0 0 300 130" role="img" aria-label=(format!("latency of a {}", class.as_str())) {
                @for (place, (_, value)) in bars.iter().enumerate() {
                    rect x=(format!("{:.2}", as_f64(place as u64) * width)) y=(format!("{:.2}", 115.0 - f64::from(*value) / most * 110.0))
                        width=(format!("{:.2}", width * 0.9)) height=(format!("{:.2}", f64::from(*value) / most * 110.0)) fill="var(--good)" {}
                }
                line x1="0" x2="300" y1="115" y2="115" stroke="var(--line)" {}
                @if let (Some((first, _)), Some((last, _))) = (bars.first(), bars.last()) {
                    text x="0" y="128" { (format!("{first:.0} ms")) }
                    text x="300" y="128" text-anchor="end" { (format!("{last:.0} ms")) }
                }
            }
        }
    }
}

fn attention(mail: Mail, groups: &[Attention]) -> Markup {
    html! {
        @if !groups.is_empty() {
            section aria-labelledby="attention" {
                h2 id="attention" { "Needs a person" }
                div.scroll {
                    table {
                        thead { tr { th scope="col" { "rows" } th scope="col" { "outcome" } th scope="col" { "such as row" } th scope="col" { "why, and what to do" } } }
                        tbody {
                            @for group in groups.iter().take(200) {
                                tr class=(group.outcome.as_str()) {
                                    td.n { (Grouped(group.rows)) } td.outcome { (word(mail, group.outcome)) } td.n { (group.such_as()) } td.why { (Shown(&group.reason)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn table(mail: Mail, rows: &[PageRow], all: u64) -> Markup {
    let links = rows.iter().any(|row| row.link.is_some());
    html! {
        section aria-labelledby="all" {
            h2 id="all" { "All rows" }
            p { label for="search" { "Search " } input id="search" type="search" placeholder="user, type, outcome or reason"; " " span.soft id="found" role="status" {} }
            @if all > MOST_ROWS as u64 {
                p.soft { "The first " (Grouped(MOST_ROWS as u64)) " of " (Grouped(all)) " rows; the results file has all of them." }
            }
            div.scroll {
                table id="rows" {
                    thead { tr { th scope="col" { "row" } th scope="col" { "user" } th scope="col" { "type" } th scope="col" { "active" } th scope="col" { "outcome" } th scope="col" { "why" } @if links { th scope="col" { "link" } } } }
                    tbody {
                        @for row in rows.iter().take(MOST_ROWS) {
                            tr class=(row.outcome.as_str()) {
                                td.n { (row.row) } td.id { (Shown(&row.user)) } td { (Shown(&row.kind)) } td { (Shown(&row.active)) }
                                td.outcome { (word(mail, row.outcome)) } td.why { (Shown(&row.detail)) }
                                @if links { td.why { @if let Some(link) = &row.link { (Shown(link)) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let nasty = "<script>alert(1)</script>\u{202e}\"'&";
        let row = PageRow {
            row: 1,
            user: nasty.to_owned(),
            kind: nasty.to_owned(),
            active: nasty.to_owned(),
            outcome: Outcome::Failed,
            detail: nasty.to_owned(),
            link: Some(nasty.to_owned()),
        };
        let group = Attention {
            outcome: Outcome::Failed,
            reason: nasty.to_owned(),
            code: None,
            rows: 1,
            example: 1,
            cell: None,
            again: true,
        };
        let about = About {
            mail: Mail::Congratulation,
            title: nasty.to_owned(),
            lines: vec![nasty.to_owned()],
            stopped: Some(nasty.to_owned()),
            outcomes: Tally::default(),
            traffic: Some(Traffic::default()),
            per_second: None,
            attention: vec![group],
        };
        let page = page(&about, &[row]);
        assert_eq!(page.matches("<script").count(), 1, "ours alone");
        assert!(!page.contains("alert(1)</script"));
        assert!(!page.contains("http://") && !page.contains("https://"), "nothing is loaded from elsewhere");
    }
}
