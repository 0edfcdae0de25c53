//! `onboard plan`: what a run would do, without touching the network.

use std::{fmt::Write as _, io::Write, path::Path};

use anyhow::Context;

use crate::{
    cli::PlanArgs,
    display::{Grouped, Shown, Span, count, moment, shell_word, shown_path},
    file,
    plan::{Between, bound::PlanFile},
    roster::Source,
    run::{self, Foreseen, Telling},
    settings::Settings,
    terminal::Screen,
};

/// So many digits of a text's digest tell it from others.
const SHORT: usize = 12;
/// `--exit-code`: something is due.
const DUE: u8 = 10;
/// What becomes of rows.
const DECISIONS: [&str; 6] = [
    "due: congratulated if their users are active",
    "congratulated by an earlier run",
    "may have been congratulated; a person decides (`onboard settle`, --retry-unknown)",
    "of a user who stands in an earlier row",
    "cannot be used (`onboard check` shows each)",
    "left as they are (--only)",
];

pub(super) fn execute(
    args: &PlanArgs,
    settings: impl FnOnce(&Source) -> Settings,
    screen: &Screen,
    out: &mut dyn Write,
) -> Result<u8, anyhow::Error> {
    if let Some(path) = &args.show {
        out.write_all(shown(&run::read_plan(path)?).as_bytes())?;
        return Ok(0);
    }
    // The parser asks for one.
    let Some(roster) = &args.roster else { anyhow::bail!("no roster is given") };
    let settings = settings(roster);
    if let Some(path) = &args.plan_output {
        file::probe_place(path)?;
    }
    let mut say = |text: &str| screen.say(text);
    let foreseen =
        run::foresee(&settings, args.portal_users, &mut Telling { quiet: false, colour: false, say: &mut say })?;
    if let Some(path) = &args.plan_output {
        let plan = foreseen.to_bind(&settings)?;
        write(&plan, path).with_context(|| format!("the plan {} cannot be written", shown_path(path)))?;
        screen.say(&format!(
            "plan {} was written to {}; once it is approved, carry it out with the same options: onboard run {} --plan {}",
            plan.short(),
            shown_path(path),
            shell_word(&Shown(&roster.to_string()).to_string()),
            shell_word(&shown_path(path))
        ));
    }
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &foreseen.forecast)?;
        writeln!(out)?;
    } else {
        out.write_all(text(&foreseen, args, roster).as_bytes())?;
    }
    out.flush()?;
    let is_due = foreseen.forecast.rows.due > 0;
    Ok(if args.exit_code && is_due { DUE } else { 0 })
}

/// Writes a plan, whole.
fn write(plan: &PlanFile, path: &Path) -> std::io::Result<()> {
    file::write_whole(path, |to| {
        serde_json::to_writer_pretty(&mut *to, plan)?;
        to.write_all(b"\n")
    })
}

/// A plan as whoever approves it reads it.
fn shown(file: &PlanFile) -> String {
    let plan = &file.plan;
    let (made, counts, message) = (&plan.made, &plan.counts, &plan.message);
    let mut text = format!(
        "plan {} for `onboard {}`, made {} by {} with onboard {}\n",
        file.short(),
        Shown(&plan.command),
        moment(made.at),
        Shown(&made.by),
        Shown(&made.program)
    );
    let account =
        plan.account.as_deref().map_or_else(|| "any: no key was at hand".to_owned(), |it| Shown(it).to_string());
    let tenant = message.tenant.map(|tenant| format!(" for tenant {tenant}")).unwrap_or_default();
    let signed = if message.signed { format!(", its keys signed{tenant}") } else { String::new() };
    let mail = match &message.text {
        None => format!("the {}'s {}{signed}", Shown(&message.carrier), Shown(&message.mail)),
        Some(text) => format!(
            "a message of one's own by the {}, as the {}; its text is {}",
            Shown(&message.carrier),
            Shown(&message.mail),
            Shown(text.get(..SHORT).unwrap_or(text))
        ),
    };
    let options = Some(plan.options.typed()).filter(|typed| !typed.is_empty());
    for (what, value) in [
        ("portal", Shown(&plan.portal).to_string()),
        ("account", account),
        ("mail", mail),
        ("roster", format!("{}, as it was then", Shown(&plan.roster.name))),
        ("options", options.unwrap_or_else(|| "none that changes whom it is for".to_owned())),
    ] {
        // Writing to a string cannot fail; so everywhere below.
        let _infallible = writeln!(text, "  {what:<9}{value}");
    }
    let people = count(counts.people, "person").replace("persons", "people");
    let _infallible = writeln!(text, "{} of {people}", count(counts.rows, "row"));
    text.push_str(&decided([
        counts.due,
        counts.already_sent,
        counts.unknown,
        counts.duplicate,
        counts.invalid,
        counts.left_out,
    ]));
    let _infallible = writeln!(text, "{} in one run of it, at the most", count(counts.messages_at_most, "message"));
    for (kind, number) in &counts.due_by_type {
        let aloud = if kind == "DocSpaceAdmin" { ", who manage the whole portal" } else { "" };
        let _infallible = writeln!(text, "  {:>9}  {}{aloud}", Grouped(*number).to_string(), Shown(kind));
    }
    text
}

/// What becomes of the rows, by [`DECISIONS`], in a line each where there are any.
fn decided(rows: [u64; DECISIONS.len()]) -> String {
    let mut text = String::new();
    for (number, what) in rows.into_iter().zip(DECISIONS).filter(|(number, _)| *number > 0) {
        let _infallible = writeln!(text, "  {:>9}  {what}", Grouped(number).to_string());
    }
    text
}

fn text(foreseen: &Foreseen, args: &PlanArgs, roster: &Source) -> String {
    let Foreseen { forecast: plan, budget, knows_ledger, knows_account, .. } = foreseen;
    let rows = &plan.rows;
    let mut text = format!("{} in {}\n", count(rows.total, "row"), roster);
    text.push_str(&decided([rows.due, rows.already_sent, rows.unknown, rows.duplicate, rows.invalid, 0]));
    let requests = &plan.requests;
    let how = match budget.by_mail {
        Some(true) => "for the statuses: one by one, since the message has several languages",
        Some(false) | None => "for the statuses: pages of 100, or one by one where that is fewer",
    };
    let what = match budget.by_mail {
        Some(_) => "mails, which are no requests to the portal",
        None => "congratulations",
    };
    let _infallible = writeln!(text, "{} requests", between(requests.total));
    for (number, what) in [
        (
            between(Between { least: requests.links, most: requests.links }),
            "invitation links, one for each employee type",
        ),
        (between(requests.statuses), how),
        (between(requests.messages), what),
    ] {
        let _infallible = writeln!(text, "  {number:>9}  {what}");
    }
    let today = requests.messages.most.min(budget.daily_left);
    let time = if today < requests.messages.most && today == 0 {
        let from = budget.frees_at.map(|at| format!("; the first is free again at {}", moment(at))).unwrap_or_default();
        format!("none of the day's {} writes is left{from}", Grouped(args.limits.daily_writes))
    } else if plan.windows == 0 {
        format!("they fit into one window of {}", args.limits.rate)
    } else {
        let rates: Vec<String> = args.message.smtp_rate.iter().map(ToString::to_string).collect();
        let mails = budget.by_mail.map(|_| format!(", the mails at {},", rates.join(" and "))).unwrap_or_default();
        format!("at {}{mails} they take at least {}", args.limits.rate, Span(plan.duration()))
    };
    let _infallible = writeln!(text, "{time}");
    if plan.calendar.len() > 1 || today == 0 && !plan.calendar.is_empty() {
        let days = u64::try_from(plan.calendar.len()).unwrap_or(u64::MAX);
        let limit = Grouped(args.limits.daily_writes);
        let _infallible = writeln!(text, "{} at {limit} writes in any 24 hours:", count(days, "day"));
        for day in &plan.calendar {
            let _infallible = writeln!(text, "  {:>9}  from {}", Grouped(day.messages).to_string(), moment(day.from));
        }
    }
    if !knows_ledger {
        text.push_str("no ledger was looked at: without --portal, or before the first run, everybody counts as due\n");
    } else if !knows_account && budget.daily_left < requests.messages.most {
        text.push_str("without a key, the day's writes of every account on this portal count\n");
    }
    text
}

fn between(number: Between) -> String {
    if number.least == number.most {
        return Grouped(number.most).to_string();
    }
    if number.least == 0 {
        return format!("0 to {}", Grouped(number.most));
    }
    format!("{} to {}", Grouped(number.least), Grouped(number.most))
}
