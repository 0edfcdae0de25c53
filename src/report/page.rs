//! The report: one HTML page that needs nothing from elsewhere, opens from disk, and prints.

use std::{collections::HashMap, io};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    summary::{Attention, Reasons},
    traffic::{Class, Traffic},
};
use crate::{
    attempt::{Carrier, Mail},
    code::Code,
    display::{Grouped, Shown, as_f64, count},
    mail::{meaning, word},
    outcome::{Outcome, Tally},
    roster::Roster,
    sheet::denature,
};

/// So many rows are in the page's table; a browser has trouble with more.
pub const MOST_ROWS: usize = 20_000;
/// So many reasons are told; whoever reads more of them looks at the rows.
const MOST_GROUPS: usize = 200;

/// A row of the report.
#[derive(Debug, Clone)]
pub struct PageRow {
    /// From 1.
    pub row: u64,
    /// The person's name, where the roster has it.
    pub name: String,
    /// The person's address, where the roster has it.
    pub address: String,
    /// The user's id.
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

impl PageRow {
    /// What the person is called: as the roster has it, and by an id only where it has nothing else.
    fn person(&self) -> &str {
        let known = [&self.name, &self.address, &self.user];
        known.into_iter().find(|text| !text.is_empty()).map_or("", String::as_str)
    }

    /// What else tells the person from others of that name.
    fn also(&self) -> Option<&str> {
        Some(self.address.as_str()).filter(|address| !self.name.is_empty() && !address.is_empty())
    }
}

/// What is known of the run, beyond its rows.
#[derive(Debug, Clone)]
pub struct About {
    /// Which mail was sent.
    pub mail: Mail,
    /// Who carried it, where that is known.
    pub carrier: Option<Carrier>,
    /// What the page is about: the roster or results file.
    pub title: String,
    /// Lines under the title: portal, time, exit status.
    pub lines: Vec<String>,
    /// What is to be said of a dry run before all else.
    pub dry_run: Option<String>,
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
    // Cells that are wrong in the same way are told together, in the words of the first of them.
    let mut alike: HashMap<String, String> = HashMap::new();
    results.for_each(|number, _, record, _| -> io::Result<()> {
        let [_, user, kind, link, active, outcome, _, _, detail] =
            columns.map(|column| denature(record.cell(column)).to_owned());
        let Ok(outcome) = outcome.parse::<Outcome>() else { return Ok(()) };
        tally.add(outcome);
        if outcome.needs_a_person() {
            let reason = match outcome {
                Outcome::Invalid => alike.entry(without_values(&detail)).or_insert_with(|| detail.clone()).clone(),
                _ => detail.clone(),
            };
            reasons.add(number, outcome, reason, None, true);
        }
        if rows.len() < MOST_ROWS {
            let link = with_links.then_some(link);
            let [name, address] = results.columns().person(record);
            rows.push(PageRow { row: number as u64 + 1, name, address, user, kind, active, outcome, detail, link });
        }
        Ok(())
    })?;
    let about = About {
        mail: Mail::Congratulation,
        carrier: None,
        title: title.to_owned(),
        lines: vec![count(tally.total(), "row")],
        dry_run: None,
        stopped: None,
        outcomes: tally,
        traffic: None,
        per_second: None,
        attention: reasons.grouped(),
    };
    Ok(Some(page(&about, &rows)))
}

/// A reason without what stands in quotes, and without numbers: what rows that are wrong in the same way share.
fn without_values(detail: &str) -> String {
    let unquoted = detail.split('`').step_by(2).flat_map(str::chars);
    unquoted.filter(|c| !c.is_ascii_digit()).collect()
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
                    p.lead { (lead(about.mail, &about.outcomes)) }
                    @if let Some(dry) = &about.dry_run { p.told { (dry) } }
                    @if let Some(stopped) = &about.stopped { p.stopped { (worded(stopped)) } }
                    nav aria-label="On this page" {
                        a href="#attention" { "Needs a person" }
                        a href="#outcomes" { "Result" }
                        a href="#all" { "All rows" }
                        @if about.traffic.is_some() { a href="#requests" { "Figures" } }
                    }
                }
                main {
                    (attention(about.mail, &about.attention, rows))
                    (outcomes(about))
                    (table(about.mail, rows, &about.outcomes))
                    @if let Some(traffic) = &about.traffic { (charts(traffic, about.per_second)) }
                }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    };
    markup.into_string()
}

/// What it came to, in a sentence.
fn lead(mail: Mail, tally: &Tally) -> String {
    let persons: u64 = tally.occurred().filter(|(outcome, _)| outcome.needs_a_person()).map(|(_, rows)| rows).sum();
    let rest = match persons {
        0 => "nothing needs a person".to_owned(),
        1 => "1 needs a person".to_owned(),
        more => format!("{} need a person", Grouped(more)),
    };
    format!(
        "{} of {} {}; {rest}.",
        Grouped(tally.count(Outcome::Sent)),
        count(tally.total(), "row"),
        word(mail, Outcome::Sent)
    )
}

/// A text with what stands between backticks set apart, as what is typed.
fn worded(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (Shown(part)) } } @else { (part) }
        }
    }
}

fn outcomes(about: &About) -> Markup {
    let About { mail, carrier, outcomes: tally, .. } = about;
    let (mail, carrier, dry) = (*mail, *carrier, about.dry_run.is_some());
    let means = |outcome| match outcome {
        Outcome::NotAttempted if dry => "would be sent, or was not reached; each row says which",
        // What is to be done stands above here.
        outcome => meaning(mail, carrier, outcome).trim_end_matches("; see below"),
    };
    html! {
        section aria-labelledby="outcomes" {
            h2 id="outcomes" { "Result" }
            div.bar role="img" aria-label="share of each outcome" {
                @for (outcome, rows) in tally.occurred() {
                    span class=(outcome.as_str()) style=(format!("flex:{rows};background:var(--c)")) title=(format!("{rows} {}", word(mail, outcome))) {}
                }
            }
            ul.key {
                @for (outcome, rows) in tally.occurred() {
                    li class=(outcome.as_str()) {
                        b style="background:var(--c)" {} (Grouped(rows)) " " (word(mail, outcome))
                        span.soft { " " (means(outcome)) }
                    }
                }
            }
        }
    }
}

fn charts(traffic: &Traffic, per_second: Option<f64>) -> Markup {
    html! {
        section aria-labelledby="requests" {
            h2 id="requests" { "Figures" }
            p {
                (count(traffic.sent(), "request")) ", " (Grouped(traffic.refused())) " refused"
                @if traffic.mails() > 0 { ", " (count(traffic.mails(), "mail")) }
            }
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

fn attention(mail: Mail, groups: &[Attention], rows: &[PageRow]) -> Markup {
    // What nobody has decided comes first, and what only the roster's owner can mend last.
    let urgency = [Outcome::Unknown, Outcome::Rejected, Outcome::Failed, Outcome::Invalid];
    let of = |outcome| groups.iter().filter(move |group: &&Attention| group.outcome == outcome);
    let sorted: Vec<&Attention> = urgency.into_iter().flat_map(of).collect();
    html! {
        section aria-labelledby="attention" {
            h2 id="attention" { "Needs a person" }
            @if sorted.is_empty() {
                p { "Nothing." }
            } @else {
                div.scroll {
                    table.groups {
                        thead { tr { th scope="col" { "rows" } th scope="col" { "outcome" } th scope="col" { "who" } th scope="col" { "why, and what to do" } } }
                        tbody {
                            @for group in sorted.iter().take(MOST_GROUPS) {
                                tr class=(group.outcome.as_str()) {
                                    td.n { (Grouped(group.rows)) } td.outcome { (word(mail, group.outcome)) }
                                    td.who { (people(group, rows)) }
                                    td.why { (Shown(&group.reason)) @if let Some(next) = next_step(group) { p.next { "To do: " (worded(next)) } } }
                                }
                            }
                        }
                    }
                }
                @if sorted.len() > MOST_GROUPS {
                    p.soft { "And " (count((sorted.len() - MOST_GROUPS) as u64, "more reason")) "; all rows have theirs below." }
                }
            }
        }
    }
}

/// The first of those who share a reason.
fn people(group: &Attention, rows: &[PageRow]) -> Markup {
    let row_of = |number: u64| rows.binary_search_by_key(&number, |row| row.row).ok().and_then(|place| rows.get(place));
    let more = group.rows.saturating_sub(group.first.len() as u64);
    html! {
        ul {
            @for number in &group.first {
                @let person = row_of(*number).map_or("", PageRow::person);
                @let cell = group.cell.as_ref().filter(|_| *number == group.example);
                li {
                    @if !person.is_empty() { (Shown(person)) " " }
                    span.soft { "row " (number) @if let Some(cell) = cell { ", " (Shown(cell)) } }
                }
            }
            @if more > 0 { li.soft { "and " (Grouped(more)) " more" } }
        }
    }
}

/// What to do about rows that ended so, where their reason does not say it itself.
fn next_step(group: &Attention) -> Option<&'static str> {
    match (group.outcome, group.code) {
        (Outcome::Unknown, _) => None,
        (_, Some(code)) => Some(code.next()),
        (Outcome::Invalid, None) => Some(Code::RowInvalid.next()),
        (Outcome::Failed, None) => Some(Code::NotSent.next()),
        _ => None,
    }
}

fn table(mail: Mail, rows: &[PageRow], tally: &Tally) -> Markup {
    let links = rows.iter().any(|row| row.link.is_some());
    let all = tally.total();
    html! {
        section aria-labelledby="all" {
            h2 id="all" { "All rows" }
            // The choice works by the style sheet alone; the search needs the script, and is not there without it.
            div.controls {
                fieldset {
                    legend { "Show" }
                    input type="radio" name="outcome" id="o-all" value="" checked;
                    label for="o-all" { "all " span.soft { (Grouped(all)) } }
                    @for (outcome, count) in tally.occurred() {
                        @let id = format!("o-{}", outcome.as_str());
                        input type="radio" name="outcome" id=(id) value=(outcome.as_str());
                        label for=(id) class=(outcome.as_str()) { (word(mail, outcome)) " " span.soft { (Grouped(count)) } }
                    }
                }
                p.search { label for="search" { "Search " } input id="search" type="search" placeholder="name, type, outcome or reason"; }
                p.soft id="found" role="status" {}
            }
            @if all > MOST_ROWS as u64 {
                p.soft { "The first " (Grouped(MOST_ROWS as u64)) " of " (Grouped(all)) " rows; the results file has all of them." }
            }
            div.scroll {
                table id="rows" {
                    thead { tr { th.n scope="col" { "row" } th.who scope="col" { "who" } th.type scope="col" { "type" } th.active scope="col" { "active" } th.is scope="col" { "outcome" } th scope="col" { "why" } @if links { th scope="col" { "link" } } } }
                    tbody {
                        @for row in rows.iter().take(MOST_ROWS) {
                            tr class=(row.outcome.as_str()) {
                                td.n { (row.row) }
                                td.who { (Shown(row.person())) @if let Some(also) = row.also() { " " span.soft { (Shown(also)) } } }
                                td { (Shown(&row.kind)) } td data-is="active" { (Shown(&row.active)) }
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

    fn named(name: &str, address: &str, user: &str) -> PageRow {
        PageRow {
            row: 1,
            name: name.to_owned(),
            address: address.to_owned(),
            user: user.to_owned(),
            kind: String::new(),
            active: String::new(),
            outcome: Outcome::Failed,
            detail: String::new(),
            link: None,
        }
    }

    #[test]
    fn people_are_told_by_name_or_address_and_by_an_id_only_where_there_is_neither() {
        for (row, person, also) in [
            (named("Anna", "a@x.example", "1-2"), "Anna", Some("a@x.example")),
            (named("Anna", "", "1-2"), "Anna", None),
            (named("", "a@x.example", "1-2"), "a@x.example", None),
            (named("", "", "1-2"), "1-2", None),
        ] {
            assert_eq!((row.person(), row.also()), (person, also));
        }
    }

    #[test]
    fn cells_that_are_wrong_in_the_same_way_are_alike() {
        let one = without_values("line 9, column user_id: `nobody` is no user id; it looks like 5bf6-7");
        assert_eq!(one, without_values("line 12, column user_id: `no 1` is no user id; it looks like 5bf6-7"));
        assert_ne!(one, without_values("line 9, column email: `nobody` is no address"));
    }

    #[test]
    fn every_outcome_can_be_chosen_without_a_script() {
        let css = include_str!("page.css");
        for outcome in Outcome::ALL {
            let rule = format!("main:has(#o-{outcome}:checked) #rows tbody tr:not(.{outcome})");
            assert!(css.contains(&rule), "{rule}");
        }
    }

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let nasty = "<script>alert(1)</script>\u{202e}\"'&";
        let row = PageRow {
            row: 1,
            name: nasty.to_owned(),
            address: nasty.to_owned(),
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
            first: vec![1],
            again: true,
        };
        let about = About {
            mail: Mail::Congratulation,
            carrier: Some(Carrier::Portal),
            title: nasty.to_owned(),
            lines: vec![nasty.to_owned()],
            dry_run: Some(nasty.to_owned()),
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
