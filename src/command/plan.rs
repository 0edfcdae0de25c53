//! `onboard plan`: what a run would do, without touching the network.

use std::{fmt::Write as _, io::Write};

use crate::{
    cli::PlanArgs,
    display::{Grouped, Span, count, moment},
    plan::Between,
    run::{self, Foreseen, Telling},
    settings::Settings,
    terminal::Screen,
};

/// `--exit-code`: something is due.
const DUE: u8 = 10;

pub(super) fn execute(
    args: &PlanArgs,
    settings: &Settings,
    screen: &Screen,
    out: &mut dyn Write,
) -> Result<u8, anyhow::Error> {
    let mut say = |text: &str| screen.say(text);
    let foreseen =
        run::foresee(settings, args.portal_users, &mut Telling { quiet: false, colour: false, say: &mut say })?;
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &foreseen.forecast)?;
        writeln!(out)?;
    } else {
        out.write_all(text(&foreseen, args).as_bytes())?;
    }
    out.flush()?;
    let is_due = foreseen.forecast.rows.due > 0;
    Ok(if args.exit_code && is_due { DUE } else { 0 })
}

fn text(foreseen: &Foreseen, args: &PlanArgs) -> String {
    let Foreseen { forecast: plan, budget, knows_ledger, knows_account, .. } = foreseen;
    let rows = &plan.rows;
    let mut text = format!("{} in {}\n", count(rows.total, "row"), args.roster);
    for (number, what) in [
        (rows.due, "due: congratulated if their users are active"),
        (rows.already_sent, "congratulated by an earlier run"),
        (rows.unknown, "may have been congratulated; a person decides (`onboard settle`, --retry-unknown)"),
        (rows.duplicate, "of a user who stands in an earlier row"),
        (rows.invalid, "cannot be used (`onboard check` shows each)"),
    ] {
        if number > 0 {
            // Writing to a string cannot fail; so everywhere below.
            let _infallible = writeln!(text, "  {:>9}  {what}", Grouped(number).to_string());
        }
    }
    let requests = &plan.requests;
    let _infallible = writeln!(text, "{} requests", between(requests.total));
    for (number, what) in [
        (
            between(Between { least: requests.links, most: requests.links }),
            "invitation links, one for each employee type",
        ),
        (between(requests.statuses), "for the statuses: pages of 100, or one by one where that is fewer"),
        (between(requests.messages), "congratulations"),
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
        format!("at {} they take at least {}", args.limits.rate, Span(plan.duration()))
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
