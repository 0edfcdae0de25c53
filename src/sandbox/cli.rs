//! `onboard sandbox`.

use std::{
    collections::HashSet,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Config, Fault, Limits, Sandbox, User};
use crate::{
    cli::Finite,
    pace::Rate,
    roster::{Roster, Source},
    user::EmployeeType,
};

/// Options of `onboard sandbox`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Port to listen on; 0 takes any
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port: u16,
    /// File with the API key it accepts [default: made up, and printed]
    #[arg(long, value_name = "PATH")]
    pub api_key_file: Option<PathBuf>,
    /// How many users it makes up
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub users: u32,
    /// Take the users of this roster instead
    #[arg(long, value_name = "PATH")]
    pub roster: Option<Source>,
    /// How many of a hundred made-up users are active
    #[arg(long, value_name = "PERCENT", default_value_t = 90, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub active_share: u8,
    /// Write a roster of its users, then serve
    #[arg(long, value_name = "PATH")]
    pub write_roster: Option<PathBuf>,
    /// How long a request takes: 40ms, or from and to: 30ms..70ms
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = latency)]
    pub latency: (Duration, Duration),
    /// Requests it takes in any window
    #[arg(long, value_name = "N/UNIT", default_value = "1500/min")]
    pub rate: Rate,
    /// Questions in flight that it takes
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub max_reads: u32,
    /// Other requests in flight that it takes
    #[arg(long, value_name = "N", default_value_t = 15)]
    pub max_writes: u32,
    /// Writes that it takes in 24 hours
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub daily_writes: u32,
    /// Take any number of requests, as a self-hosted portal does by default
    #[arg(long)]
    pub no_limits: bool,
    /// How long a place in flight stays taken after the answer
    #[arg(long, value_name = "DURATION", default_value = "2ms")]
    pub release_lag: Finite,
    /// The congratulation key it accepts
    #[arg(long, value_name = "TEXT", default_value = "welcome_guest")]
    pub key: String,
    /// Accept only keys signed with the machine key in this file, as a real portal does
    #[arg(long, value_name = "PATH")]
    pub machine_key_file: Option<PathBuf>,
    /// The tenant's number
    #[arg(long, value_name = "ID", default_value_t = 1)]
    pub tenant: i64,
    /// Whose key it is, where it is not the owner's
    #[arg(long, value_name = "TYPE")]
    pub role: Option<EmployeeType>,
    /// The key's scopes [default: all]
    #[arg(long, value_name = "SCOPES", value_delimiter = ',')]
    pub scopes: Vec<String>,
    /// Nobody may be invited
    #[arg(long)]
    pub no_inviting: bool,
    /// Answer a placeholder for unknown users, as releases before 3.7 do
    #[arg(long)]
    pub placeholder: bool,
    /// The release that it says it is
    #[arg(long, value_name = "VERSION", default_value = "3.7.2")]
    pub release: String,
    /// What goes wrong, and how often: user:error:20%, congratulation:drop-after:#3 (repeatable)
    #[arg(long, value_name = "CLASS:KIND:HOW-OFTEN")]
    pub fault: Vec<Fault>,
    /// Makes latencies and faults repeatable
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

fn latency(text: &str) -> Result<(Duration, Duration), String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (from, to) = (from.parse::<Finite>()?.0, to.parse::<Finite>()?.0);
    if from > to { Err("the first length of time must not be the longer one".to_owned()) } else { Ok((from, to)) }
}

/// The users that a roster names.
pub fn users_of(roster: &Roster) -> io::Result<Vec<User>> {
    let mut users = Vec::new();
    for (number, row) in roster.rows().iter().enumerate() {
        if row.state != crate::roster::RowState::Valid {
            continue;
        }
        let email = roster.email(number)?.map(|email| email.as_str().to_owned());
        let id = row.user.or_else(|| row.email.map(|digest| crate::user::UserId::from_bytes(digest.0)));
        if let Some(id) = id {
            users.push(User::of_roster(id, email, row.employee_type.unwrap_or(EmployeeType::User)));
        }
    }
    Ok(users)
}

/// The congratulation keys that rows of a roster have of their own.
pub fn keys_of(roster: &Roster) -> io::Result<HashSet<String>> {
    (0..roster.rows().len()).filter_map(|row| roster.key(row).transpose()).collect()
}

impl Args {
    /// The portal that these options describe.
    pub fn config(&self) -> Result<Config, String> {
        let read = |path: &Path| {
            fs::read_to_string(path)
                .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|error| format!("cannot read {}: {error}", path.display()))
        };
        let mut row_keys = HashSet::new();
        let users = match &self.roster {
            Some(source) => {
                let roster = Roster::read(source).map_err(|error| error.to_string())?;
                row_keys = keys_of(&roster).map_err(|error| error.to_string())?;
                users_of(&roster).map_err(|error| error.to_string())?
            }
            None => (0..self.users).map(|number| User::made_up(number, f64::from(self.active_share) / 100.0)).collect(),
        };
        let window_ms = u64::try_from(self.rate.window.as_millis()).unwrap_or(u64::MAX);
        let limits = Limits {
            window: Some((self.rate.requests, window_ms)),
            reads: Some(self.max_reads),
            writes: Some(self.max_writes),
            daily: Some(self.daily_writes),
        };
        Ok(Config {
            port: self.port,
            api_key: self.api_key_file.as_deref().map(read).transpose()?,
            users,
            limits: if self.no_limits { Limits::OFF } else { limits },
            release_lag: self.release_lag.0,
            latency: self.latency,
            congratulation_key: self.key.clone(),
            row_keys,
            machine_key: self.machine_key_file.as_deref().map(read).transpose()?,
            tenant: self.tenant,
            role: self.role,
            scopes: self.scopes.clone(),
            allow_inviting: !self.no_inviting,
            placeholder: self.placeholder,
            version: self.release.clone(),
            clock_off: jiff::SignedDuration::ZERO,
            faults: self.fault.clone(),
            seed: self.seed,
        })
    }
}

/// Serves until it is stopped.
pub fn serve(args: &Args, out: &mut dyn Write) -> Result<(), String> {
    let config = args.config()?;
    if let Some(path) = &args.write_roster {
        write_roster(path, &config.users).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    let sandbox = Sandbox::start(config)
        .map_err(|error| format!("cannot listen on port {} of this machine: {error}", args.port))?;
    let announce = |out: &mut dyn Write| -> io::Result<()> {
        writeln!(out, "listening on {}", sandbox.origin())?;
        if args.api_key_file.is_none() {
            writeln!(out, "key: {}", sandbox.api_key())?;
        }
        writeln!(out, "token: {}", sandbox.token())?;
        out.flush()
    };
    announce(out).map_err(|error| error.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(crate::signals::stop_signal()).map_err(|error| error.to_string())?;
    let stats = sandbox.stats();
    let (people, most) = (stats.messages.len(), stats.messages.values().max().copied().unwrap_or(0));
    let closing = format!(
        "{} requests, {} refused; {people} people congratulated, nobody more than {most} times; at most {} reads and {} \
         writes in flight\n",
        stats.total_requests(),
        stats.total_refusals(),
        stats.peak_reads,
        stats.peak_writes
    );
    // Whoever stopped it may have closed the output too.
    drop(out.write_all(closing.as_bytes()));
    Ok(())
}

fn write_roster(path: &Path, users: &[User]) -> io::Result<()> {
    crate::file::write_whole(path, |out| {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(["user_id", "employee_type", "email", "name"])?;
        for user in users {
            let name = format!("{} {}", user.first_name, user.last_name);
            writer.write_record([&user.id.to_string(), user.role.as_str(), &user.email, &name])?;
        }
        writer.flush()
    })
}
