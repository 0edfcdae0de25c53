//! `onboard plan`: what a run would do, without touching the network.

use std::{fmt::Write as _, io::Write};

use jiff::Timestamp;

use crate::{
    attempt::{Held, Mail},
    cli::PlanArgs,
    display::{Grouped, Span, count, moment},
    ledger::{self, Ledger, LedgerError},
    plan::{Between, Budget, Plan, Standing},
    roster::Roster,
    terminal::Screen,
};

pub(super) fn execute(args: &PlanArgs, screen: &Screen, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let roster = Roster::read(&args.roster)?;
    if let Some(warning) = roster.warning() {
        screen.say(&format!("warning: {warning}"));
    }
    #[expect(clippy::disallowed_methods, reason = "a plan is made for now")]
    let now = Timestamp::now();
    let ledger = look(args)?;
    let (daily_left, frees_at) = match &ledger {
        Some(ledger) => {
            let used = ledger.used(None, std::time::Duration::ZERO)?;
            let frees_at = used.frees_in.and_then(|frees_in| now.checked_add(frees_in).ok());
            (args.limits.daily_writes.saturating_sub(used.daily), frees_at)
        }
        None => (args.limits.daily_writes, None),
    };
    let budget = Budget {
        rate: args.limits.rate,
        daily: args.limits.daily_writes,
        daily_left,
        frees_at,
        limit: args.limit,
        portal_users: args.portal_users,
        now,
    };
    let plan = Plan::make(
        roster.rows(),
        &budget,
        |_| false,
        |user| {
            let mut held = None;
            if let Some(ledger) = &ledger {
                let asked = std::iter::once(*user.as_bytes());
                ledger.held(Mail::Congratulation, asked, |_, found| held = Some(found))?;
            }
            Ok::<_, LedgerError>(match held {
                Some(Held::Sent { .. }) if !args.resend => Some(Standing::Sent),
                Some(Held::Unknown { .. }) if !args.retry_unknown => Some(Standing::Unknown),
                _ => None,
            })
        },
    )?;
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &plan)?;
        writeln!(out)?;
    } else {
        out.write_all(text(&plan, args, ledger.is_some()).as_bytes())?;
    }
    out.flush()?;
    Ok(0)
}

/// The ledger, turned to the portal; none where there is none yet, or no portal is named.
fn look(args: &PlanArgs) -> Result<Option<Ledger>, anyhow::Error> {
    let Some(portal) = &args.portal else { return Ok(None) };
    let path = match ledger::place(args.ledger.ledger.as_deref()) {
        Ok(path) => path,
        // Without a ledger there is nothing to look up; a run would say that it needs one.
        Err(_) if !args.ledger.require_ledger => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !path.exists() && !args.ledger.require_ledger {
        return Ok(None);
    }
    let mut ledger = Ledger::look(&path)?;
    if args.ledger.require_ledger {
        ledger.require_runs()?;
    }
    ledger.look_at(&portal.origin(), &args.ledger.formerly)?;
    Ok(Some(ledger))
}

fn text(plan: &Plan, args: &PlanArgs, knows: bool) -> String {
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
    let time = if plan.windows == 0 {
        format!("they fit into one window of {}", args.limits.rate)
    } else {
        format!("at {} they take at least {}", args.limits.rate, Span(plan.duration()))
    };
    let _infallible = writeln!(text, "{time}");
    if plan.calendar.len() > 1 {
        let days = u64::try_from(plan.calendar.len()).unwrap_or(u64::MAX);
        let limit = Grouped(args.limits.daily_writes);
        let _infallible = writeln!(text, "{} at {limit} writes in any 24 hours:", count(days, "day"));
        for day in &plan.calendar {
            let _infallible = writeln!(text, "  {:>9}  from {}", Grouped(day.messages).to_string(), moment(day.from));
        }
    }
    if !knows {
        text.push_str("no ledger was looked at: without --portal, or before the first run, everybody counts as due\n");
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
