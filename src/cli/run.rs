//! From what was typed to the settings of a run.

use std::time::Duration;

use super::{InviteArgs, LedgerArgs, LimitArgs, PortalArgs, Provenance, RunArgs, Setting};
use crate::{
    attempt::Mail,
    outcome::Outcome,
    pace::Limits,
    settings::{
        Again, FailOn, KeySource, LedgerSettings, PortalSettings, Selection, Sending, Settings, Sinks, Trouble,
    },
    terminal::ProgressKind,
};

impl RunArgs {
    /// The settings of the run; the effective ones tell what a person typed.
    pub fn settings(&self, effective: &[Setting]) -> Settings {
        let Self { congratulation, retries, selection, reports, .. } = self;
        Settings {
            mail: Mail::Congratulation,
            source: self.roster.clone(),
            output: self.output.as_ref().map(|target| target.0.clone()),
            sandbox: self.sandbox,
            portal: self.portal.settings(),
            sending: Sending {
                key: congratulation.key.clone(),
                sign_with: congratulation.sign_with.clone(),
                tenant: congratulation.tenant,
                culture: None,
                again: Again { sent: congratulation.resend, unknown: congratulation.retry_unknown },
                limit: congratulation.limit,
                yes: congratulation.yes,
            },
            limits: self.limits.limits(),
            daily_writes: self.limits.daily_writes,
            trouble: Trouble {
                retries: retries.retries,
                outage: retries.outage.0,
                wait: retries.wait.map(|wait| wait.0),
                poll: retries.poll.0,
            },
            ledger: self.ledger.settings(effective),
            selection: Selection {
                only: selection.only.clone(),
                refresh: selection.refresh,
                strict: selection.strict,
                fail_on: selection.fail_on.clone(),
            },
            sinks: Sinks {
                no_links: reports.no_links,
                report: reports.report.clone(),
                summary_json: reports.summary_json.as_ref().map(|target| target.0.clone()),
                events: reports.events.clone(),
                junit: reports.junit.clone(),
            },
            progress: reports.progress,
        }
    }
}

impl InviteArgs {
    /// The settings of a run that invites; what it has no option for is as `run` has it by default.
    pub fn settings(&self, effective: &[Setting]) -> Settings {
        Settings {
            mail: Mail::Invitation,
            source: self.people.clone(),
            output: self.output.as_ref().map(|target| target.0.clone()),
            sandbox: false,
            portal: self.portal.settings(),
            sending: Sending {
                key: String::new(),
                sign_with: None,
                tenant: None,
                culture: self.culture.clone(),
                again: Again { sent: self.resend, unknown: self.retry_unknown },
                limit: self.limit,
                yes: self.yes,
            },
            limits: self.limits.limits(),
            daily_writes: self.limits.daily_writes,
            trouble: Trouble {
                retries: 5,
                outage: Duration::from_secs(120),
                wait: None,
                poll: Duration::from_secs(30),
            },
            ledger: self.ledger.settings(effective),
            selection: Selection {
                only: Vec::new(),
                refresh: false,
                strict: false,
                fail_on: FailOn {
                    outcomes: vec![Outcome::Failed, Outcome::Rejected, Outcome::Unknown, Outcome::Invalid],
                    no_link: false,
                },
            },
            sinks: Sinks::default(),
            progress: ProgressKind::Auto,
        }
    }
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
            typed: effective
                .iter()
                .any(|setting| setting.name == "ledger" && setting.source == Provenance::CommandLine),
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
    use crate::cli::{Command, parse};

    fn settings(words: &[&str]) -> Settings {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let parsed = parse(&words).expect("options").expect("settings");
        match &parsed.cli.command {
            Command::Run(args) => args.settings(&parsed.settings),
            Command::Invite(args) => args.settings(&parsed.settings),
            other => panic!("{other:?} is no run"),
        }
    }

    #[test]
    fn invitations_have_what_runs_have_where_there_is_no_option() {
        let (run, invite) = (settings(&["onboard", "run", "-"]), settings(&["onboard", "invite", "-"]));
        assert_eq!((run.mail, invite.mail), (Mail::Congratulation, Mail::Invitation));
        let rest = |settings: &Settings| {
            let Settings { limits, daily_writes, trouble, selection, sinks, progress, ledger, .. } = settings;
            format!("{limits:?} {daily_writes} {trouble:?} {selection:?} {sinks:?} {progress:?} {ledger:?}")
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
}
