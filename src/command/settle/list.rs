//! `settle` alone: what may have been sent and nobody knows, with whatever helps a person to find out.

use std::{io::Write, path::Path};

use anyhow::bail;

use crate::{
    cli::SettleArgs,
    command::pages::{answer, labelled, row_of, short, whom},
    display::{Shown, count, moment, shell_word, shown_path},
    environment::Environment,
    ledger::{AttemptRecord, places},
    origin::PortalAddress,
    place::{self, Asked, Place},
};

pub(super) fn list(args: &SettleArgs, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let given = args.portal.as_ref().map(PortalAddress::origin);
    let environment = Environment::of_process();
    let places = match place::asked(args.ledger.as_deref(), given.as_ref())? {
        Asked::One(place) => {
            is_there(&place)?;
            vec![(place, args.ledger.clone())]
        }
        Asked::All(all) => {
            let named = |place: Place| (place.name().into(), place);
            let found = places::below(&all, &environment)?.into_iter().map(named);
            found.map(|(name, place)| (place, Some(name))).collect()
        }
    };
    let mut all = Vec::new();
    let mut said = Vec::new();
    for (place, typed) in &places {
        let ledger = places::look(place, &environment, |_| {})?;
        let mut undecided = ledger.undecided()?;
        undecided.retain(|attempt| given.as_ref().is_none_or(|origin| origin.as_str() == attempt.portal));
        // An id alone says which portal is meant only where the ledger has one.
        let names_portal = ledger.origins()?.len() > 1;
        if let Some(one) = undecided.first() {
            said.push((next(one, typed.as_deref(), names_portal), undecided.clone()));
        }
        all.extend(undecided);
    }
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &all)?;
        writeln!(out)?;
        return Ok(0);
    }
    if all.is_empty() {
        writeln!(out, "nothing is undecided")?;
        return Ok(0);
    }
    for (next, undecided) in &said {
        let mut portal = None;
        for one in undecided {
            if portal != Some(&one.portal) {
                portal = Some(&one.portal);
                let here = undecided.iter().filter(|other| other.portal == one.portal).count();
                let here = u64::try_from(here).unwrap_or(u64::MAX);
                writeln!(out, "{}: {} undecided\n", Shown(&one.portal), count(here, "message"))?;
            }
            writeln!(out, "{}\n", evidence(one))?;
        }
        writeln!(out, "{next}")?;
    }
    Ok(0)
}

/// Refuses the place of a file that is not there.
pub(super) fn is_there(place: &Place) -> Result<(), anyhow::Error> {
    if let Place::File(path) = place
        && !path.exists()
    {
        bail!(
            "there is no ledger at {}, so there is nothing to settle; name the one that the runs used with --ledger (or \
             ONBOARD_LEDGER)",
            shown_path(path)
        );
    }
    Ok(())
}

/// All that is known of one.
fn evidence(attempt: &AttemptRecord) -> String {
    let to = match attempt.user_id {
        Some(_) => whom(attempt),
        None => format!("the {} in that row of the roster", whom(attempt)),
    };
    [
        labelled(&format!("{} to ", attempt.mail), &to),
        labelled("  when    ", &moment(attempt.ended_at.unwrap_or(attempt.began_at))),
        labelled("  run     ", &format!("{}, by {}", short(&attempt.run), Shown(&attempt.who))),
        labelled("  row     ", row_of(attempt).trim_start_matches("row ")),
        labelled("  answer  ", &answer(attempt)),
    ]
    .join("\n")
}

/// What to type next.
fn next(one: &AttemptRecord, ledger: Option<&Path>, names_portal: bool) -> String {
    let portal = names_portal.then(|| format!(" --portal {}", shell_word(&one.portal)));
    let ledger = ledger.map(|ledger| format!(" --ledger {}", shell_word(&ledger.to_string_lossy())));
    let more: String = [portal, ledger].into_iter().flatten().collect();
    let who = one.user_id.clone().unwrap_or_else(|| "ADDRESS".to_owned());
    let from = if one.user_id.is_some() {
        format!(
            "\nor, for all rows of a run's results that are unknown:\n  onboard settle --from RESULTS --as sent{more}"
        )
    } else {
        String::new()
    };
    format!(
        "Ask the people, or look at the mail server's log. Then, if it was sent:\n  onboard settle {who} --as sent{more}\n\
         and if not, so that the next run sends it:\n  onboard settle {who} --as not-sent{more}{from}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::pages::tests::attempt;

    #[test]
    fn evidence_is_when_which_run_which_row_and_what_came_back() {
        let mut one = attempt("unknown", true);
        one.reason = Some("the connection broke before the answer was whole".to_owned());
        assert_eq!(
            evidence(&one),
            "congratulation to 5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10\n  when    1970-01-01 00:00:00 UTC\n  \
             run     1a2b3c4d, by anna@laptop\n  row     12 of users.csv\n  answer  the connection broke before the answer \
             was whole"
        );
        let next = next(&one, Some(Path::new("a b.db")), true);
        assert!(next.contains("--as sent --portal https://portal.example.com --ledger 'a b.db'"), "{next}");
    }
}
