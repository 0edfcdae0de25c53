//! `onboard run` and `onboard invite`: a run of a mail, with whoever sits at the terminal asked before, and told after.

use std::io::IsTerminal;

use super::metrics;
use crate::{
    attempt::Mail,
    display::{Grouped, Span, count, moment, shown_path, wrapped},
    exit::Exit,
    ledger::LedgerError,
    notify::{Notifier, Wanted},
    report::Notice,
    run::{self, Ended, Opened, OutOfTime, Telling},
    settings::Settings,
    terminal::{
        Onlooker, ProgressKind, Screen,
        ask::{ask, can_ask},
        colour_is_wanted,
    },
};

/// Of more messages than this, the number is typed: a yes is given too easily.
const MANY: u64 = 50;

/// How a run that could not start ends.
pub(super) fn exit_of(error: &anyhow::Error) -> Exit {
    // Another try may work.
    let is_held = error.downcast_ref().is_some_and(LedgerError::may_pass);
    match error.downcast_ref::<OutOfTime>() {
        Some(_) => Exit::Early,
        None if is_held => Exit::Storage,
        None => Exit::NotStarted,
    }
}

/// Runs it, and tells of it whoever wants to be told, also where it could not start.
pub(super) fn execute(
    settings: &Settings,
    notices: &Wanted,
    progress: ProgressKind,
    quiet: bool,
    screen: &Screen,
) -> Result<u8, anyhow::Error> {
    let mut notifier = Notifier::new(notices)?;
    for remark in &notifier.remarks {
        screen.say(&format!("warning: {remark}"));
    }
    let done = carried_out(settings, progress, quiet, screen);
    let ending = match &done {
        Ok(Some(ended)) => Some((ended.exit, Some(&ended.summary))),
        // Whoever said no has run nothing.
        Ok(None) => None,
        Err(error) => Some((exit_of(error), None)),
    };
    if let Some(path) = &settings.sinks.metrics
        && let Some((exit, summary)) = ending
        && let Err(error) = metrics::write(path, settings, exit, summary)
    {
        screen.say(&format!("warning: the metrics (--metrics) were not written to {}: {error}", shown_path(path)));
    }
    // Whoever sees what would be sent sends nothing, to nobody.
    if !notifier.is_wanted() || settings.dry_run {
        return done.map(|ended| ended.map_or(2, |ended| ended.exit.code()));
    }
    let notice = match &done {
        Ok(Some(ended)) => Notice::of(&ended.summary, ended.exit),
        Ok(None) => return Ok(2),
        Err(error) => {
            let portal = settings.portal.address.as_ref().filter(|_| !settings.sandbox).map(ToString::to_string);
            Notice::not_started(settings.mail, exit_of(error), portal.as_deref())
        }
    };
    let sandbox = done.as_ref().ok().and_then(|ended| ended.as_ref()?.sandbox.as_ref());
    let ready = sandbox.map_or(Ok(()), |sandbox| notifier.by_sandbox(&sandbox.mail_server()));
    let untold = match ready {
        Ok(()) => notifier.tell(&notice.subject, &notice.text),
        Err(error) => vec![error.to_string()],
    };
    for what in untold {
        screen.say(&format!("warning: {what}"));
    }
    done.map(|ended| ended.map_or(2, |ended| ended.exit.code()))
}

/// Runs it; nothing where whoever was asked said no.
fn carried_out(
    settings: &Settings,
    progress: ProgressKind,
    quiet: bool,
    screen: &Screen,
) -> Result<Option<Ended>, anyhow::Error> {
    // Whoever sees what would be sent, or tries things, agrees to nothing; whoever approved a plan was asked.
    let sending = &settings.sending;
    let needs_consent = !sending.yes && !settings.sandbox && !settings.dry_run && sending.plan.is_none();
    let may_ask = needs_consent && can_ask();
    if settings.sending.again.sent && needs_consent && !may_ask {
        anyhow::bail!(
            "--resend sends {}, so it needs --yes where nobody can be asked; nothing was sent",
            match settings.mail {
                Mail::Congratulation => "a second message to people who had one",
                Mail::Invitation => "people a second invitation",
            }
        );
    }
    let colour = std::io::stderr().is_terminal() && colour_is_wanted();
    let mut say = |text: &str| screen.say(text);
    let opened = run::open(settings, &mut Telling { quiet, colour, say: &mut say })?;
    if may_ask
        && let Some(Question { text, consent }) = question(settings, &opened)
        && !consent.is_given_by(&ask(screen, &text)?)
    {
        screen.say("nothing was sent");
        return Ok(None);
    }
    let progress = if quiet { ProgressKind::Never } else { progress };
    let ended = opened.carry_out(settings, &mut Onlooker::new(progress, screen))?;
    tell(&ended, quiet, screen);
    Ok(Some(ended))
}

/// What is asked, and what counts as consent.
struct Question {
    text: String,
    consent: Consent,
}

/// What somebody has to type so that messages leave. The more there is at stake, the less it can be typed by habit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consent {
    /// A yes.
    Yes,
    /// The number of messages.
    Number(u64),
}

impl Consent {
    /// What so many messages need, so many of them for administrators.
    fn to(messages: u64, administrators: u64) -> Self {
        if messages > MANY || administrators > 0 { Self::Number(messages) } else { Self::Yes }
    }

    /// Digits may be grouped, as they are shown.
    fn is_given_by(self, answer: &str) -> bool {
        match self {
            Self::Yes => matches!(answer.to_lowercase().as_str(), "y" | "yes"),
            Self::Number(messages) => {
                let digits: String = answer.chars().filter(|c| !matches!(c, ',' | ' ' | '.' | '_')).collect();
                digits == messages.to_string()
            }
        }
    }

    fn asked(self) -> String {
        match self {
            Self::Yes => "Go on? [y/N] ".to_owned(),
            Self::Number(messages) => {
                format!("Go on? Type how many messages may leave ({}): ", Grouped(messages))
            }
        }
    }
}

/// Who is due, by employee type: `20 Guest, 9 User`.
fn by_type(opened: &Opened) -> String {
    let types = opened.forecast.due_by_type.iter();
    types.map(|(kind, people)| format!("{} {kind}", Grouped(*people))).collect::<Vec<_>>().join(", ")
}

/// The first and the last moment at which messages leave, as far as the limits tell.
fn from_to(opened: &Opened) -> String {
    let (forecast, now) = (&opened.forecast, opened.budget.now);
    let days = forecast.calendar.as_slice();
    let from = days.first().map_or(now, |day| day.from);
    let to = match days {
        [_, .., last] => last.from,
        _ if forecast.windows == 0 => {
            return format!(
                "From {} on, within {} at the {}",
                moment(from),
                Span(opened.budget.rate.window),
                whose_limits(opened)
            );
        }
        _ => from.checked_add(forecast.duration()).unwrap_or(from),
    };
    format!("From {} to {} at the earliest", moment(from), moment(to))
}

const fn whose_limits(opened: &Opened) -> &'static str {
    if opened.own.is_some() { "limits of portal and mail server" } else { "portal's limits" }
}

/// What is sent, and what carries it: `the portal's invitation`.
fn what_is_sent(settings: &Settings) -> String {
    match (settings.mail, &settings.own) {
        (Mail::Congratulation, None) => "the portal's congratulation".to_owned(),
        (Mail::Invitation, _) => "the portal's invitation".to_owned(),
        (Mail::Congratulation, Some(own)) => {
            let files: Vec<String> = own.files.iter().map(|path| shown_path(path)).collect();
            let by = own.mail_server.server.as_ref().map(|server| format!(", by the mail server {}", server.name()));
            format!("your own ({}{})", files.join(", "), by.unwrap_or_default())
        }
    }
}

/// What is to be known of a message before the first one leaves.
fn said_of_the_message(settings: &Settings, opened: &Opened) -> Option<&'static str> {
    match &opened.own {
        Some(own) if own.needs().invite_link => Some(
            "The message holds the invitation link: whoever gets hold of one can join, also with it passed on. \
             {{ portal }} in its place is for those who are there already.",
        ),
        Some(_) if !opened.ever_sent => Some(
            "It cannot be taken back. To see it first: the same command with --dry-run --preview DIR, or a roster of one \
             row, yourself.",
        ),
        None if !opened.ever_sent && settings.mail == Mail::Congratulation => Some(
            "The message is the portal's own welcome mail for administrators, in the user's language, whoever gets it; on \
             some portals it carries a link to change the password. Nothing else can be chosen, and it cannot be taken \
             back. To see it first, congratulate yourself: a roster of one row, or --limit 1.",
        ),
        _ => None,
    }
}

/// The plan in a few lines, and the question; none where nobody is due.
fn question(settings: &Settings, opened: &Opened) -> Option<Question> {
    let (forecast, portal) = (&opened.forecast, &opened.portal_name);
    let messages = forecast.requests.messages.most;
    let administrators = forecast.due_by_type.get("DocSpaceAdmin").copied().unwrap_or_default();
    if messages == 0 {
        return None;
    }
    let people = count(messages, "person").replace("persons", "people");
    let mut lines = vec![match settings.mail {
        Mail::Congratulation => format!("{people} on {portal} may get a message now, those who are active."),
        Mail::Invitation => {
            format!("{people} may get an invitation to {portal} now, those who are not there yet.")
        }
    }];
    let verb = match settings.mail {
        Mail::Congratulation => "congratulated",
        Mail::Invitation => "invited",
    };
    lines.push(format!(
        "{} were {verb} before, {} may have been; they get none.",
        Grouped(forecast.rows.already_sent),
        Grouped(forecast.rows.unknown)
    ));
    let mail = what_is_sent(settings);
    let first = if messages < forecast.rows.due {
        format!("the first {} (--limit) of ", Grouped(messages))
    } else {
        String::new()
    };
    lines.push(format!("The mail is {mail}, to {first}{}.", by_type(opened)));
    if administrators > 0 {
        lines.push(format!(
            "Who becomes DocSpaceAdmin manages the whole portal: {}.",
            count(administrators, "person").replace("persons", "people")
        ));
    }
    if opened.budget.daily_left < messages {
        let left = Grouped(opened.budget.daily_left);
        lines.push(format!("The day's limit leaves {left} of these for today; the others are another day's."));
    }
    let takes = if forecast.windows > 0 {
        format!(": it takes {} or longer at the {}", Span(forecast.duration()), whose_limits(opened))
    } else {
        String::new()
    };
    lines.push(format!("{}{takes}.", from_to(opened)));
    if settings.sending.again.sent {
        lines.push(match settings.mail {
            Mail::Congratulation => {
                let what =
                    if settings.own.is_some() { "this message besides" } else { "the same message a second time" };
                format!("--resend: people who were congratulated before get {what}.")
            }
            Mail::Invitation => "--resend: people who were invited and have not joined are invited again.".to_owned(),
        });
    }
    if let Some(said) = said_of_the_message(settings, opened) {
        lines.push(format!("\n{}\n", wrapped(said, usize::from(Screen::width()), "")));
    }
    let consent = Consent::to(messages, administrators);
    lines.push(consent.asked());
    Some(Question { text: lines.join("\n"), consent })
}

/// Tells what became of the run where people see it.
fn tell(ended: &Ended, quiet: bool, screen: &Screen) {
    let summary = &ended.summary;
    if !quiet {
        screen.say(&format!("\n{}", summary.text(Screen::width()).trim_end()));
    } else if summary.exit_status != 0 {
        screen.say(summary.brief().trim_end());
    }
    for what in &ended.unwritten {
        screen.say(&format!("onboard: {what}"));
    }
    for text in &ended.github {
        screen.say(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_is_at_stake_the_more_has_to_be_typed() {
        assert_eq!(Consent::to(50, 0), Consent::Yes);
        assert_eq!(Consent::to(51, 0), Consent::Number(51));
        assert_eq!(Consent::to(1, 1), Consent::Number(1));
        for (consent, answer, given) in [
            (Consent::Yes, "y", true),
            (Consent::Yes, "YES", true),
            (Consent::Yes, "", false),
            (Consent::Yes, "4", false),
            (Consent::Number(1200), "1200", true),
            (Consent::Number(1200), "1,200", true),
            (Consent::Number(1200), "yes", false),
            (Consent::Number(1200), "", false),
            (Consent::Number(1200), "120", false),
        ] {
            assert_eq!(consent.is_given_by(answer), given, "{consent:?}: {answer}");
        }
    }
}
