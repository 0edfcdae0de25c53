//! From what was typed to the settings of a run.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    Command, CongratulationArgs, FailArgs, InviteArgs, LedgerArgs, LimitArgs, MessageArgs, Parsed, PlanArgs,
    PortalArgs, Provenance, ReportArgs, RetryArgs, SelectionArgs, Setting, SmtpArgs,
};
use crate::{
    attempt::Mail,
    display::shell_word,
    environment::Environment,
    notify::{Target, Wanted},
    outcome::Outcome,
    pace::Limits,
    place,
    roster::{Reading, Source},
    secret::masked_value,
    settings::{
        Again, End, FailOn, GitHub, KeySource, LedgerSettings, OwnMessage, PortalSettings, Selection, Sending,
        Settings, Sinks, Trouble,
    },
    smtp::Server,
    terminal::ProgressKind,
};

/// Mail servers mind many connections from one machine.
const MAIL_CONNECTIONS: u32 = 4;

impl Parsed {
    /// The settings of a run, and how its progress is shown, where the command is one.
    pub fn run(&self) -> Option<(Settings, ProgressKind)> {
        let ledger = |args: &LedgerArgs| args.settings(&self.settings);
        let (settings, reports) = match &self.cli.command {
            Command::Run(args) => {
                let base = args.congratulation.settings(&args.roster, &args.portal, &args.limits, ledger(&args.ledger));
                let settings = Settings {
                    reading: args.reading.reading(),
                    output: args.output.as_ref().map(|target| target.0.clone()),
                    sandbox: args.sandbox,
                    dry_run: args.dry_run,
                    trouble: Trouble {
                        wait: args.waiting.wait.map(|wait| wait.0),
                        poll: args.waiting.poll.0,
                        ..args.retries.settings()
                    },
                    own: self.own(&args.message, &args.smtp, &args.limits),
                    selection: selection(Some(&args.selection), Some(&args.failing)),
                    sinks: Sinks { no_links: args.no_links, preview: args.preview.clone(), ..args.reports.settings() },
                    sending: Sending { plan: args.plan.clone(), ..base.sending },
                    ..base
                };
                (settings, &args.reports)
            }
            Command::Invite(args) => (args.settings(ledger(&args.ledger)), &args.reports),
            _ => return None,
        };
        Some((Settings { go_on: self.go_on(&settings), ..settings }, reports.progress))
    }

    /// The settings of the run that a plan is about.
    pub fn planned(&self, args: &PlanArgs, roster: &Source) -> Settings {
        let ledger = args.ledger.settings(&self.settings);
        let base = args.congratulation.settings(roster, &args.portal, &args.limits, ledger);
        let own = self.own(&args.message, &args.smtp, &args.limits);
        Settings { reading: args.reading.reading(), own, selection: selection(Some(&args.selection), None), ..base }
    }

    /// The message of one's own, where there is one.
    fn own(&self, args: &MessageArgs, smtp: &SmtpArgs, limits: &LimitArgs) -> Option<OwnMessage> {
        (!args.message.is_empty()).then(|| OwnMessage {
            files: args.message.clone(),
            mail_server: smtp.settings(is_typed(&self.settings, "smtp")),
            rates: args.smtp_rate.clone(),
            connections: limits.max_writes.min(MAIL_CONNECTIONS),
            beside: [("key", "--key"), ("sign-with", "--sign-with")]
                .into_iter()
                .find_map(|(name, option)| is_typed(&self.settings, name).then_some(option)),
        })
    }

    /// Who is told at the end of a run.
    pub fn notices(&self) -> Option<Wanted> {
        let (notices, smtp, portal, sandbox) = match &self.cli.command {
            Command::Run(args) => (&args.notices, &args.smtp, &args.portal, args.sandbox),
            Command::Invite(args) => (&args.notices, &args.smtp, &args.portal, false),
            _ => return None,
        };
        Some(Wanted {
            targets: notices.notify.clone(),
            mail_server: smtp.settings(is_typed(&self.settings, "smtp")),
            environment: Environment::of_process(),
            ca_file: portal.ca_file.clone(),
            proxy: portal.proxy.clone(),
            timeout: portal.timeout.0,
            sandbox,
        })
    }

    /// The command that goes on with what is left: what was typed, but for what would send a second message. A dry run
    /// sent none, so what goes on there is the very same run in earnest. Of a plan nobody gets a second one, and it holds
    /// only with the options that it was made with.
    fn go_on(&self, settings: &Settings) -> Option<String> {
        if settings.source == Source::Stdin {
            return None;
        }
        let again: &[&str] = match &settings.sending.plan {
            _ if settings.dry_run => &["--dry-run"],
            Some(_) => &[],
            None => &["--resend", "--retry-unknown"],
        };
        // Only a dry run needs no mail server, and nobody but the user knows which one it is to be.
        if settings.dry_run && settings.own.as_ref().is_some_and(|own| own.mail_server.server.is_none()) {
            return None;
        }
        let words = self.words.iter().skip(1).map(|word| word.to_string_lossy());
        // Only a dry run shows mails.
        let mut is_preview = false;
        let words: Vec<String> = words
            .filter(|word| {
                let is_folder = std::mem::replace(&mut is_preview, word == "--preview");
                !is_folder && !is_preview && !word.starts_with("--preview=") && !again.contains(&&**word)
            })
            // What was typed by mistake is not shown either.
            .map(|word| shell_word(&told_back(&word)))
            .collect();
        Some(format!("onboard {}", words.join(" ")))
    }
}

/// Whether a person typed this option, as opposed to what stands in the environment or a file.
fn is_typed(effective: &[Setting], name: &str) -> bool {
    effective.iter().any(|setting| setting.name == name && setting.source == Provenance::CommandLine)
}

/// A word that was typed, without its secrets; a ledger's place by its name.
fn told_back(word: &str) -> String {
    // Whom a notice goes to was typed, and is no secret; a webhook's address was refused. So was the address of a mail
    // server that holds a password.
    if word.strip_prefix("--notify=").unwrap_or(word).parse::<Target>().is_ok()
        || word.strip_prefix("--smtp=").unwrap_or(word).parse::<Server>().is_ok()
    {
        return word.to_owned();
    }
    let (option, value) = match word.strip_prefix("--ledger=") {
        Some(value) => ("--ledger=", value),
        None => ("", word),
    };
    place::shown(value).map_or_else(|| masked_value(word), |name| format!("{option}{name}"))
}

/// What a run of this mail is told where nothing else is said.
fn base(mail: Mail, source: &Source, portal: &PortalArgs, limits: &LimitArgs, ledger: LedgerSettings) -> Settings {
    Settings {
        mail,
        source: source.clone(),
        reading: Reading::default(),
        output: None,
        sandbox: false,
        dry_run: false,
        portal: portal.settings(),
        sending: Sending {
            key: String::new(),
            sign_with: None,
            tenant: None,
            culture: None,
            again: Again::default(),
            limit: None,
            at_most: None,
            yes: false,
            plan: None,
        },
        own: None,
        limits: limits.limits(),
        daily_writes: limits.daily_writes,
        trouble: Trouble {
            retries: 5,
            outage: Duration::from_secs(120),
            max_unknown: 5,
            wait: None,
            poll: Duration::from_secs(30),
            end: None,
        },
        ledger,
        selection: selection(None, None),
        sinks: Sinks::default(),
        go_on: None,
    }
}

fn selection(rows: Option<&SelectionArgs>, failing: Option<&FailArgs>) -> Selection {
    let outcomes = vec![Outcome::Failed, Outcome::Rejected, Outcome::Unknown, Outcome::Invalid];
    Selection {
        only: rows.map(|rows| rows.only.clone()).unwrap_or_default(),
        refresh: rows.is_some_and(|rows| rows.refresh),
        strict: failing.is_some_and(|failing| failing.strict),
        fail_on: failing.map_or(FailOn { outcomes, no_link: false, empty: false }, |failing| failing.fail_on.clone()),
    }
}

impl CongratulationArgs {
    fn settings(&self, roster: &Source, portal: &PortalArgs, limits: &LimitArgs, ledger: LedgerSettings) -> Settings {
        Settings {
            sending: Sending {
                key: self.key.clone(),
                sign_with: self.sign_with.clone(),
                tenant: self.tenant,
                culture: None,
                again: Again { sent: self.resend, unknown: self.retry_unknown },
                limit: self.limit,
                at_most: self.at_most,
                yes: self.yes,
                plan: None,
            },
            ..base(Mail::Congratulation, roster, portal, limits, ledger)
        }
    }
}

impl InviteArgs {
    fn settings(&self, ledger: LedgerSettings) -> Settings {
        let base = base(Mail::Invitation, &self.people, &self.portal, &self.limits, ledger);
        Settings {
            reading: self.reading.reading(),
            output: self.output.as_ref().map(|target| target.0.clone()),
            dry_run: self.dry_run,
            sending: Sending {
                culture: self.culture.clone(),
                again: Again { sent: self.resend, unknown: self.retry_unknown },
                limit: self.limit,
                at_most: self.at_most,
                yes: self.yes,
                ..base.sending
            },
            trouble: self.retries.settings(),
            selection: selection(None, Some(&self.failing)),
            sinks: self.reports.settings(),
            ..base
        }
    }
}

impl RetryArgs {
    fn settings(&self) -> Trouble {
        Trouble {
            retries: self.retries,
            outage: self.outage.0,
            max_unknown: self.max_unknown,
            wait: None,
            poll: Duration::from_secs(30),
            end: self.max_duration.and_then(|after| end(after.0)),
        }
    }
}

/// Options are read when the process starts, so that is the start of the time that it may take.
#[expect(clippy::disallowed_methods, reason = "the time that a run may take is counted from here")]
fn end(after: Duration) -> Option<End> {
    Some(End { after, at: Instant::now().checked_add(after)? })
}

impl ReportArgs {
    fn settings(&self) -> Sinks {
        Sinks {
            no_links: false,
            preview: None,
            report: self.report.clone(),
            summary_json: self.summary_json.as_ref().map(|target| target.0.clone()),
            events: self.events.clone(),
            metrics: self.metrics.clone(),
            junit: self.junit.clone(),
            github: github(),
        }
    }
}

/// What GitHub Actions asks for, where it runs this or names a file for the job's summary.
#[expect(clippy::disallowed_methods, reason = "GitHub Actions says so in the environment")]
pub fn github() -> Option<GitHub> {
    let file = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let runs_this = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    let github = GitHub {
        runs_this,
        summary: file("GITHUB_STEP_SUMMARY"),
        output: file("GITHUB_OUTPUT"),
        workspace: file("GITHUB_WORKSPACE"),
    };
    (runs_this || github.summary.is_some() || github.output.is_some()).then_some(github)
}

impl PortalArgs {
    /// The portal, and where the key comes from: the command if there is one, else the file, else the environment.
    pub fn settings(&self) -> PortalSettings {
        let key = match (&self.api_key_command, &self.api_key_file) {
            (Some(command), _) => KeySource::Command(command.clone()),
            (None, Some(path)) => KeySource::File(path.into()),
            (None, None) => KeySource::Environment,
        };
        PortalSettings {
            address: self.portal.clone(),
            key,
            timeout: self.timeout.0,
            ca_file: self.ca_file.clone(),
            proxy: self.proxy.clone(),
        }
    }
}

impl LimitArgs {
    /// The limits, as the pacer knows them.
    pub fn limits(&self) -> Limits {
        Limits {
            rate: self.rate,
            max_reads: self.max_reads,
            max_writes: self.max_writes,
            hold_off: self.hold_off.0,
            spike: self.spike,
        }
    }
}

impl LedgerArgs {
    /// Where the record is, and how a run treats it.
    pub fn settings(&self, effective: &[Setting]) -> LedgerSettings {
        LedgerSettings {
            place: self.ledger.clone(),
            environment: Environment::of_process(),
            seal: self.ledger_seal.clone(),
            typed: is_typed(effective, "ledger"),
            must_exist: self.require_ledger,
            formerly: self.formerly.clone(),
            other_portal: self.other_portal,
            wait_for: self.lock_timeout.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::cli::parse;

    fn settings(words: &[&str]) -> Settings {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let parsed = parse(&words).expect("options").expect("settings");
        parsed.run().expect("a run").0
    }

    #[test]
    fn invitations_have_what_runs_have_where_there_is_no_option() {
        let (run, invite) = (settings(&["onboard", "run", "-"]), settings(&["onboard", "invite", "-"]));
        assert_eq!((run.mail, invite.mail), (Mail::Congratulation, Mail::Invitation));
        let rest = |settings: &Settings| {
            let Settings { limits, daily_writes, trouble, selection, sinks, ledger, .. } = settings;
            format!("{limits:?} {daily_writes} {trouble:?} {selection:?} {sinks:?} {ledger:?}")
        };
        assert_eq!(rest(&run), rest(&invite));
    }

    #[test]
    fn a_ledger_is_known_to_be_typed_or_not() {
        assert!(settings(&["onboard", "run", "-", "--ledger", "command line"]).ledger.typed);
        assert!(!settings(&["onboard", "run", "-"]).ledger.typed);
    }

    #[test]
    fn the_key_is_the_commands_before_it_is_the_files() {
        let (file, command) = (["--api-key-file", "key"], ["--api-key-command", "pass"]);
        let both = settings(&[&["onboard", "run", "-"], file.as_slice(), command.as_slice()].concat());
        assert_eq!(both.portal.key, KeySource::Command("pass".to_owned()));
        assert_eq!(
            settings(&[&["onboard", "run", "-"], file.as_slice()].concat()).portal.key,
            KeySource::File("key".into())
        );
    }

    #[test]
    fn what_goes_on_is_what_was_typed_but_for_what_sends_twice() {
        let words = [
            "onboard",
            "run",
            "my users.csv",
            "--sign-with",
            "mk",
            "--rate",
            "150/6s",
            "--resend",
            "--yes",
            "-o",
            "x.csv",
        ];
        let go_on = settings(&words).go_on;
        let expected = "onboard run 'my users.csv' --sign-with mk --rate 150/6s --yes -o x.csv";
        assert_eq!(go_on.as_deref(), Some(expected));
        assert_eq!(settings(&["onboard", "run", "-"]).go_on, None, "nobody can paste what came through a pipe");
        let own = ["--message", "m.md", "--dry-run", "--preview", "mails"];
        let run = ["onboard", "run", "users.csv"];
        assert_eq!(settings(&[&run[..], &own].concat()).go_on, None, "a run needs a mail server");
        let server = ["--smtp", "smtps://it@mail.example.com"];
        let go_on = settings(&[&run[..], &own, &server].concat()).go_on;
        let expected = "onboard run users.csv --message m.md --smtp smtps://it@mail.example.com";
        assert_eq!(go_on.as_deref(), Some(expected));
        let dry = settings(&["onboard", "run", "users.csv", "--dry-run", "--retry-unknown", "--limit", "5"]).go_on;
        assert_eq!(dry.as_deref(), Some("onboard run users.csv --retry-unknown --limit 5"), "nothing was sent as yet");
    }
}
