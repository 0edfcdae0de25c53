//! `onboard run` and `onboard invite`: a run of a mail, with whoever sits at the terminal asked before, and told after.

use std::io::IsTerminal;

use crate::{
    attempt::Mail,
    display::{Grouped, Span, count, wrapped},
    run::{self, Ended, Opened, Telling},
    settings::Settings,
    terminal::{
        Onlooker, ProgressKind, Screen,
        ask::{ask, can_ask},
        colour_is_wanted,
    },
};

/// On a terminal, a run that may send more messages than this asks first.
const FEW: u64 = 3;

pub(super) fn execute(
    settings: &Settings,
    progress: ProgressKind,
    quiet: bool,
    screen: &Screen,
) -> Result<u8, anyhow::Error> {
    let may_ask = !settings.sending.yes && !settings.sandbox && can_ask();
    if settings.sending.again.sent && !settings.sending.yes && !settings.sandbox && !may_ask {
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
        && let Some(question) = question(settings, &opened)
        && !matches!(ask(screen, &question)?.to_lowercase().as_str(), "y" | "yes")
    {
        screen.say("nothing was sent");
        return Ok(2);
    }
    let progress = if quiet { ProgressKind::Never } else { progress };
    let ended = opened.carry_out(settings, &mut Onlooker::new(progress, screen))?;
    tell(&ended, quiet, screen);
    Ok(ended.exit.code())
}

/// The plan in a few lines, and the question; none where so few are due that it would be a nuisance.
fn question(settings: &Settings, opened: &Opened) -> Option<String> {
    let (forecast, portal) = (&opened.forecast, &opened.portal_name);
    let messages = forecast.requests.messages.most;
    let few = messages <= FEW && settings.mail == Mail::Congratulation;
    if (few && !settings.sending.again.sent) || messages == 0 {
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
    let administrators = forecast.due_by_type.get("DocSpaceAdmin").copied().unwrap_or_default();
    if administrators > 0 {
        lines.push(format!("{} of them are to be DocSpaceAdmin.", Grouped(administrators)));
    }
    if opened.budget.daily_left < messages {
        let left = Grouped(opened.budget.daily_left);
        lines.push(format!("The day's limit leaves {left} of these for today; the others are another day's."));
    }
    if forecast.windows > 0 {
        lines.push(format!("It takes {} or longer at the portal's limits.", Span(forecast.duration())));
    }
    if settings.sending.again.sent {
        lines.push(match settings.mail {
            Mail::Congratulation => {
                "--resend: people who were congratulated before get the same message a second time.".to_owned()
            }
            Mail::Invitation => "--resend: people who were invited and have not joined are invited again.".to_owned(),
        });
    }
    if !opened.ever_sent && settings.mail == Mail::Congratulation {
        let mail = "The message is the portal's own welcome mail for administrators, in the user's language, whoever gets \
                    it; on some portals it carries a link to change the password. Nothing else can be chosen, and it \
                    cannot be taken back. To see it first, congratulate yourself: a roster of one row, or --limit 1.";
        lines.push(format!("\n{}\n", wrapped(mail, usize::from(Screen::width()), "")));
    }
    lines.push("Go on? [y/N] ".to_owned());
    Some(lines.join("\n"))
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
