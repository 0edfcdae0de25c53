//! `onboard history`: what the ledger knows, of runs, of users, of one run or of one user.

mod all;
mod lines;
mod wanted;

use std::{collections::BTreeMap, io::Write, time::Duration};

use self::{
    lines::{Line, optional, place_of, write},
    wanted::{Wanted, outcomes},
};
use super::pages::{self, SHORT, labelled, short};
use crate::{
    cli::{HistoryArgs, HistoryFormat},
    display::{Grouped, Shown, Span, count, moment, shown_path},
    environment::Environment,
    ledger::{AttemptRecord, BY_MAIL, Ledger, RunRecord, UserRecord, places},
    origin::PortalAddress,
    place::{self, Asked, Place},
    user::{Email, UserId},
};
use anyhow::bail;

pub(super) fn execute(args: &HistoryArgs, out: &mut dyn Write) -> Result<u8, anyhow::Error> {
    let origin = args.portal.as_ref().map(PortalAddress::origin);
    let environment = Environment::of_process();
    let format = if args.json { HistoryFormat::Json } else { args.format };
    let outcomes = outcomes(&args.outcome)?;
    let place = match place::asked(args.ledger.as_deref(), origin.as_ref())? {
        Asked::One(place) => place,
        Asked::All(place) => {
            if args.users || args.user.is_some() {
                bail!(
                    "runs and users are looked up in one ledger, and --ledger names many; name the one that is meant"
                );
            }
            let asked = all::Asked {
                portal: origin.map(|origin| origin.to_string()),
                outcomes,
                since: args.since,
                no_good_run_since: args.no_good_run_since,
            };
            return all::tell(&place, &environment, &asked, format, out);
        }
    };
    if args.no_good_run_since.is_some() {
        bail!("--no-good-run-since is for many ledgers, like --ledger 's3://BUCKET/PREFIX/*', and --ledger names one");
    }
    if let Place::File(path) = &place
        && !path.exists()
    {
        bail!("there is no ledger at {}: nothing was recorded yet (or name another with --ledger)", shown_path(path));
    }
    let ledger = places::look(&place, &environment, |_| {})?;
    let wanted = Wanted {
        portal: origin.map(|origin| origin.to_string()),
        outcomes,
        since: args.since.map(|since| since.before(ledger.now())),
    };
    match &args.user {
        Some(text) => match asked_for(text, &ledger)? {
            About::Run(run) => {
                let Some(run) = ledger.run_named(&run)? else { return Ok(0) };
                let mut attempts = ledger.attempts_of(&run.run)?;
                attempts.retain(|attempt| wanted.is_attempt(attempt));
                RunPage::of(run, attempts).write(format, out)?;
            }
            About::User(mut story) => {
                story.retain(|attempt| wanted.is_attempt(attempt));
                if story.is_empty() && format == HistoryFormat::Table {
                    writeln!(out, "the ledger knows nothing of {}", Shown(text))?;
                }
                write(format, &story, out)?;
            }
        },
        None if args.users => {
            let mut users = ledger.users()?;
            users.retain(|user| wanted.is_user(user));
            write(format, &users, out)?;
        }
        None => {
            let mut runs = ledger.runs()?;
            runs.retain(|run| wanted.is_run(run));
            write(format, &runs, out)?;
        }
    }
    Ok(0)
}

/// What is asked about.
enum About {
    /// The run of this id.
    Run(String),
    /// Somebody, with their story.
    User(Vec<AttemptRecord>),
}

/// What could be a run or a user is a run first.
fn asked_for(text: &str, ledger: &Ledger) -> Result<About, anyhow::Error> {
    if let Some(digits) = run_digits(text) {
        match ledger.runs_named(&digits)?.as_slice() {
            [] => {}
            [only] => return Ok(About::Run(only.clone())),
            several => {
                bail!("`{}` names several runs; give one of these ids whole: {}", Shown(text), told(several, ledger)?)
            }
        }
    }
    if let Ok(id) = text.parse::<UserId>() {
        return Ok(About::User(ledger.story(id)?));
    }
    match text.parse::<Email>() {
        Ok(email) => Ok(About::User(ledger.story_by_email(email.digest())?)),
        Err(_) => bail!("`{}` is neither a run, nor a user id, nor an e-mail address", Shown(text)),
    }
}

/// Runs to choose from.
fn told(runs: &[String], ledger: &Ledger) -> Result<String, anyhow::Error> {
    let mut told = Vec::new();
    for run in runs {
        let of = ledger.run_named(run)?;
        told.push(of.map_or_else(
            || run.clone(),
            |of| format!("{run} ({} {}, {})", Shown(&of.command), Shown(&of.roster), moment(of.started_at)),
        ));
    }
    Ok(told.join("; "))
}

/// The text as a run's id, or as a short one: its last 8 digits.
fn run_digits(text: &str) -> Option<String> {
    let is_short = text.len() == SHORT && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let digits = if is_short { Some(text.to_owned()) } else { text.parse::<UserId>().ok().map(|id| id.to_string()) };
    digits.map(|digits| digits.to_ascii_lowercase())
}

/// A run's page.
#[derive(Debug, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct RunPage {
    #[serde(flatten)]
    run: RunRecord,
    /// Messages by how they ended, those that a person decided about apart.
    messages: BTreeMap<&'static str, u64>,
    /// All that it attempted.
    attempts: Vec<AttemptRecord>,
}

/// How a run's messages are grouped, in the order in which people are told of them.
const GROUPS: [&str; 5] = ["undecided", "decided", "not_sent", "let_go", "sent"];

fn group(attempt: &AttemptRecord) -> &'static str {
    match attempt.state.as_str() {
        _ if pages::is_decided(attempt) => "decided",
        _ if attempt.decision.is_some() => "let_go",
        _ if pages::is_undecided(attempt) => "undecided",
        "sent" => "sent",
        _ => "not_sent",
    }
}

impl RunPage {
    fn of(run: RunRecord, attempts: Vec<AttemptRecord>) -> Self {
        let mut messages: BTreeMap<&'static str, u64> = GROUPS.map(|name| (name, 0)).into();
        for attempt in &attempts {
            *messages.entry(group(attempt)).or_default() += 1;
        }
        Self { run, messages, attempts }
    }

    fn write(&self, format: HistoryFormat, out: &mut dyn Write) -> Result<(), anyhow::Error> {
        match format {
            HistoryFormat::Json => {
                serde_json::to_writer_pretty(&mut *out, self)?;
                writeln!(out)?;
            }
            HistoryFormat::Csv => write(format, &self.attempts, out)?,
            HistoryFormat::Table => self.tell(out)?,
        }
        Ok(())
    }

    fn tell(&self, out: &mut dyn Write) -> Result<(), anyhow::Error> {
        let run = &self.run;
        let mut line = |label: &str, text: &str| writeln!(out, "{}", labelled(&format!("{label:<10}"), text));
        line("run", &run.run)?;
        line("portal", &Shown(&run.portal).to_string())?;
        let rows = count(run.rows.unsigned_abs(), "row");
        line("what", &format!("{} {}, {rows}", Shown(&run.command), Shown(&run.roster)))?;
        line("sha-256", &run.roster_sha256)?;
        line("who", &Shown(&run.who).to_string())?;
        line("began", &moment(run.started_at))?;
        line("ended", &ended(run))?;
        if let Some(plan) = &run.plan {
            line("plan", plan)?;
        }
        if let Some(seal) = &run.seal {
            line("seal", &format!("{}, number {}", seal.hash, seal.number))?;
        }
        line("rows", &outcomes_of(run))?;
        if let Some(requests) = run.requests {
            line("requests", &Grouped(requests.unsigned_abs()).to_string())?;
        }
        for name in GROUPS {
            let of: Vec<&AttemptRecord> = self.attempts.iter().filter(|attempt| group(attempt) == name).collect();
            if of.is_empty() {
                continue;
            }
            let title = match name {
                "undecided" => "may have been sent, and nobody has decided",
                "decided" => "may have been sent, until a person decided",
                "not_sent" => "certainly not sent",
                "let_go" => "let go, to be sent again",
                _ if run.command == BY_MAIL => "sent: the mail server accepted it",
                _ => "sent: the portal accepted it",
            };
            let number = u64::try_from(of.len()).unwrap_or(u64::MAX);
            writeln!(out, "\n{}: {title}", count(number, "message"))?;
            for attempt in of {
                writeln!(out, "{}", row_line(attempt))?;
            }
        }
        if self.messages.get("undecided").is_some_and(|undecided| *undecided > 0) {
            writeln!(out, "\nnext: onboard settle   (what is undecided, and how to decide it)")?;
        }
        Ok(())
    }
}

/// A message on its run's page.
fn row_line(attempt: &AttemptRecord) -> String {
    let row = attempt.row.map_or_else(|| "-".to_owned(), |row| row.to_string());
    let at = attempt.ended_at.unwrap_or(attempt.began_at).strftime("%Y-%m-%d %H:%M:%S");
    let mut lines = vec![format!("  row {row:<6}  {:<36}  {at}", pages::whom(attempt))];
    let indent = " ".repeat(14);
    let answer = pages::answer(attempt);
    if !answer.is_empty() && group(attempt) != "sent" {
        lines.push(labelled(&indent, &answer));
    }
    if let Some(decision) = pages::decision(attempt) {
        let at = attempt.decided_at.map(|at| format!("{}: ", moment(at))).unwrap_or_default();
        lines.push(labelled(&indent, &format!("{at}{decision}")));
    }
    lines.join("\n")
}

/// When a run ended, and how.
fn ended(run: &RunRecord) -> String {
    let Some(at) = run.ended_at else { return "still running, or killed".to_owned() };
    let took = Duration::try_from(at.duration_since(run.started_at)).unwrap_or_default();
    let status = run.exit_status.map(|status| format!(", exit status {status}")).unwrap_or_default();
    format!("{}, after {}{status}", moment(at), Span(took))
}

fn outcomes_of(run: &RunRecord) -> String {
    let Some(outcomes) = run.outcomes.as_ref().and_then(serde_json::Value::as_object) else {
        return "still running, or killed".to_owned();
    };
    let mut outcomes: Vec<(&String, &serde_json::Value)> = outcomes.iter().collect();
    outcomes.sort_by_key(|(outcome, _)| place_of(outcome));
    let told: Vec<String> = outcomes.iter().map(|(outcome, rows)| format!("{rows} {}", Shown(outcome))).collect();
    if told.is_empty() { "no rows".to_owned() } else { told.join(", ") }
}

impl Line for RunRecord {
    const HEADER: &'static [&'static str] =
        &["run", "portal", "command", "roster", "rows", "who", "started", "ended", "exit", "outcomes", "plan"];
    const TITLE: &'static str = "run       began (UTC)       what    exit  rows by what became of them";

    fn cells(&self) -> Vec<String> {
        vec![
            self.run.clone(),
            self.portal.clone(),
            self.command.clone(),
            self.roster.clone(),
            self.rows.to_string(),
            self.who.clone(),
            moment(self.started_at),
            self.ended_at.map_or_else(|| "still running, or killed".to_owned(), moment),
            self.exit_status.map(|status| status.to_string()).unwrap_or_default(),
            self.outcomes.as_ref().map(|_| outcomes_of(self)).unwrap_or_default(),
            self.plan.clone().unwrap_or_default(),
        ]
    }

    fn heading(&self) -> String {
        self.portal.clone()
    }

    fn page(&self) -> String {
        let exit = self.exit_status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let began = self.started_at.strftime("%Y-%m-%d %H:%M");
        let command = Shown(&self.command).to_string();
        let label = format!("{}  {began}  {command:<6}  {exit:>4}  ", short(&self.run));
        let rows = count(self.rows.unsigned_abs(), "row");
        let more = format!("{}, {rows}, by {}", Shown(&self.roster), Shown(&self.who));
        format!("{}\n{}", labelled(&label, &outcomes_of(self)), labelled(&" ".repeat(SHORT + 2), &more))
    }
}

impl Line for UserRecord {
    const HEADER: &'static [&'static str] = &["portal", "user_id", "state", "at", "run", "attempts"];
    const TITLE: &'static str = "user                                  state         since (UTC)       run";

    fn cells(&self) -> Vec<String> {
        vec![
            self.portal.clone(),
            match (&self.user_id, &self.address) {
                (Some(user), _) => user.clone(),
                (None, address) => format!("{} {}", self.mail, address.as_deref().unwrap_or_default()),
            },
            self.state.clone(),
            moment(self.at),
            self.run.clone(),
            self.attempts.to_string(),
        ]
    }

    fn heading(&self) -> String {
        self.portal.clone()
    }

    fn page(&self) -> String {
        let who = match (&self.user_id, &self.address) {
            (Some(user), _) => user.clone(),
            (None, address) => format!("{} {}", self.mail, address.as_deref().unwrap_or_default()),
        };
        let state = if self.state == "no_effect" { "not sent" } else { &self.state };
        let tries = if self.attempts > 1 { format!(" x{}", self.attempts) } else { String::new() };
        let state = format!("{}{tries}", Shown(state));
        let at = self.at.strftime("%Y-%m-%d %H:%M");
        format!("{who:<36}  {state:<12}  {at}  {}", short(&self.run))
    }
}

impl Line for AttemptRecord {
    const HEADER: &'static [&'static str] = &[
        "mail", "portal", "user_id", "began", "state", "ended", "run", "reason", "decision", "by", "decided", "why",
        "row", "roster", "who",
    ];
    const TITLE: &'static str = "";

    fn cells(&self) -> Vec<String> {
        vec![
            self.mail.to_owned(),
            self.portal.clone(),
            self.user_id.clone().unwrap_or_default(),
            moment(self.began_at),
            self.state.clone(),
            optional(self.ended_at),
            self.run.clone(),
            self.reason.clone().unwrap_or_default(),
            self.decision.clone().unwrap_or_default(),
            self.decided_by.clone().unwrap_or_default(),
            optional(self.decided_at),
            self.decision_reason.clone().unwrap_or_default(),
            self.row.map(|row| row.to_string()).unwrap_or_default(),
            self.roster.clone(),
            self.who.clone(),
        ]
    }

    fn heading(&self) -> String {
        format!("{} to {}\nat {}", self.mail, pages::whom(self), self.portal)
    }

    fn page(&self) -> String {
        pages::told(self)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::command::pages::tests::attempt;

    /// All forms of `history --json` and `settle --json`, each under a name of its own.
    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Forms {
        /// `history`
        runs: Vec<RunRecord>,
        /// `history RUN`
        run: RunPage,
        /// `history USER`, `settle`
        messages: Vec<AttemptRecord>,
        /// `history --users`
        users: Vec<UserRecord>,
        /// `history` of many ledgers
        ledgers: Vec<all::LedgerRecord>,
    }

    /// `UPDATE_SCHEMA=1 cargo test schema` writes it anew.
    #[test]
    fn the_schema_in_the_repository_is_the_one_of_the_code() {
        let schema = serde_json::to_string_pretty(&schemars::schema_for!(Forms)).expect("JSON") + "\n";
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/command/history.schema.json");
        #[expect(clippy::disallowed_methods, reason = "whoever changes the form says so")]
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, &schema).expect("written");
        }
        assert_eq!(std::fs::read_to_string(path).expect("there"), schema);
    }

    fn run() -> RunRecord {
        RunRecord {
            run: "0193a7b2-0000-7000-8000-00001a2b3c4d".to_owned(),
            portal: "https://portal.example.com".to_owned(),
            command: "run".to_owned(),
            roster: "users.csv".to_owned(),
            rows: 2,
            who: "anna@laptop".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
            ended_at: Timestamp::from_second(80).ok(),
            exit_status: Some(1),
            outcomes: Some(serde_json::json!({ "unknown": 2, "sent": 1, "invited": 0 })),
            requests: Some(3),
            roster_sha256: "00".repeat(32),
            plan: Some("ab".repeat(32)),
            seal: None,
        }
    }

    #[test]
    fn a_runs_page_shows_the_plan_that_it_carried_out() {
        let mut out = Vec::new();
        RunPage::of(run(), Vec::new()).write(HistoryFormat::Table, &mut out).expect("written");
        let told = String::from_utf8(out).expect("text");
        assert!(told.contains(&format!("plan      {}", "ab".repeat(32))), "{told}");
        assert!(told.contains("after 1 min 20 s, exit status 1"), "{told}");
        assert!(told.contains("1 sent") && told.find("1 sent") < told.find("2 unknown"), "{told}");
    }

    #[test]
    fn what_is_asked_for_is_found_by_outcome_whoever_decided_later() {
        let wanted = |words: &[&str]| Wanted {
            outcomes: outcomes(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).expect("outcomes"),
            ..Wanted::default()
        };
        let mut decided = attempt("sent", true);
        decided.decision = Some("sent".to_owned());
        assert!(wanted(&["unknown"]).is_attempt(&decided) && !wanted(&["sent"]).is_attempt(&decided));
        assert!(wanted(&["invited"]).is_attempt(&attempt("sent", true)));
        assert!(wanted(&["failed"]).is_attempt(&attempt("no_effect", false)));
        assert!(wanted(&["invited", "unknown"]).is_run(&run()) && !wanted(&["rejected"]).is_run(&run()));
        let open = RunRecord { outcomes: None, ..run() };
        assert!(wanted(&["unknown"]).is_run(&open) && !wanted(&["sent"]).is_run(&open));
        assert!(outcomes(&["lost".to_owned()]).is_err());
    }

    #[test]
    fn messages_of_a_run_stand_in_one_group_each() {
        let mut decided = attempt("unknown", false);
        decided.decision = Some("not sent".to_owned());
        let mut again = attempt("sent", false);
        again.decision = Some("sent again".to_owned());
        let attempts = [
            attempt("intent", true),
            attempt("unknown", true),
            attempt("no_effect", false),
            attempt("sent", true),
            decided,
            again,
        ];
        assert_eq!(attempts.each_ref().map(group), ["undecided", "undecided", "not_sent", "sent", "decided", "let_go"]);
    }
}
