//! The options of `onboard sandbox`.

use std::{path::PathBuf, time::Duration};

use super::{Finite, ReadingArgs};
use crate::{
    pace::Rate,
    roster::Source,
    sandbox::{Fault, MailFault},
    user::EmployeeType,
};

/// Options of `onboard sandbox`.
#[derive(Debug, Clone, clap::Args)]
pub struct SandboxArgs {
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
    /// How it is read.
    #[command(flatten)]
    pub reading: ReadingArgs,
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
    /// Port of its mail server; 0 takes any. What came is told by its address with /sandbox/mails
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Mail")]
    pub mail_port: u16,
    /// Take mail only from whoever logs in, by whatever name, with the password in this file
    #[arg(long, value_name = "PATH", help_heading = "Mail")]
    pub mail_password_file: Option<PathBuf>,
    /// Take mail for nobody before so long after the first try, as greylisting does
    #[arg(long, value_name = "DURATION", help_heading = "Mail")]
    pub mail_greylist: Option<Finite>,
    /// What goes wrong with mail, and how often: recipient:550:20%, dot:cut-after:#3 (repeatable)
    ///
    /// Steps are connect, hello, login, sender, recipient, data and dot; what happens there is a code from 400 to 599, garbage,
    /// hang, cut, or at the dot, after the mail was kept, hang-after and cut-after
    #[arg(long, value_name = "STEP:WHAT:HOW-OFTEN", help_heading = "Mail")]
    pub mail_fault: Vec<MailFault>,
    /// Makes latencies and faults repeatable
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

fn latency(text: &str) -> Result<(Duration, Duration), String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    let (from, to) = (from.parse::<Finite>()?.0, to.parse::<Finite>()?.0);
    if from > to { Err("the first length of time must not be the longer one".to_owned()) } else { Ok((from, to)) }
}
