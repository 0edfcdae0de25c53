//! `onboard sandbox`: the embedded portal, served until it is stopped.

use std::{collections::HashSet, fs, io, io::Write, path::Path};

use crate::{
    cli::SandboxArgs,
    display::shown_path,
    file::write_whole,
    roster::Roster,
    sandbox::{Config, Limits, MailConfig, Sandbox, User, keys_of, users_of},
    signals::stop_signal,
};

/// The portal that these options describe.
fn config(args: &SandboxArgs) -> Result<Config, String> {
    let read = |path: &Path| {
        fs::read_to_string(path)
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|error| format!("cannot read {}: {error}", shown_path(path)))
    };
    let mut row_keys = HashSet::new();
    let users = match &args.roster {
        Some(source) => {
            let roster = Roster::read_as(source, &args.reading.reading()).map_err(|error| error.to_string())?;
            row_keys = keys_of(&roster).map_err(|error| error.to_string())?;
            users_of(&roster).map_err(|error| error.to_string())?
        }
        None => (0..args.users).map(|number| User::made_up(number, f64::from(args.active_share) / 100.0)).collect(),
    };
    let window_ms = u64::try_from(args.rate.window.as_millis()).unwrap_or(u64::MAX);
    let limits = Limits {
        window: Some((args.rate.requests, window_ms)),
        reads: Some(args.max_reads),
        writes: Some(args.max_writes),
        daily: Some(args.daily_writes),
    };
    Ok(Config {
        port: args.port,
        api_key: args.api_key_file.as_deref().map(read).transpose()?,
        users,
        limits: if args.no_limits { Limits::OFF } else { limits },
        release_lag: args.release_lag.0,
        latency: args.latency,
        congratulation_key: args.key.clone(),
        row_keys,
        machine_key: args.machine_key_file.as_deref().map(read).transpose()?,
        tenant: args.tenant,
        role: args.role,
        scopes: args.scopes.clone(),
        allow_inviting: !args.no_inviting,
        placeholder: args.placeholder,
        version: args.release.clone(),
        clock_off: jiff::SignedDuration::ZERO,
        faults: args.fault.clone(),
        mail: MailConfig {
            port: args.mail_port,
            password: args.mail_password_file.as_deref().map(read).transpose()?,
            greylist: args.mail_greylist.map(|length| length.0),
            faults: args.mail_fault.clone(),
        },
        seed: args.seed,
    })
}

/// Serves until it is stopped.
pub(super) fn execute(args: &SandboxArgs, out: &mut dyn Write) -> Result<(), String> {
    let config = config(args)?;
    if let Some(path) = &args.write_roster {
        write_roster(path, &config.users).map_err(|error| format!("cannot write {}: {error}", shown_path(path)))?;
    }
    let sandbox = Sandbox::start(config).map_err(|error| {
        format!("cannot listen on port {} or {} of this machine: {error}", args.port, args.mail_port)
    })?;
    let announce = |out: &mut dyn Write| -> io::Result<()> {
        writeln!(out, "listening on {}", sandbox.origin())?;
        if args.api_key_file.is_none() {
            writeln!(out, "key: {}", sandbox.api_key())?;
        }
        writeln!(out, "token: {}", sandbox.token())?;
        writeln!(out, "mail: {}", sandbox.mail_server())?;
        out.flush()
    };
    announce(out).map_err(|error| error.to_string())?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(stop_signal()).map_err(|error| error.to_string())?;
    let stats = sandbox.stats();
    let (mails, most_mails) = (stats.mails.len(), stats.mails.values().max().copied().unwrap_or(0));
    let (people, most) = (stats.messages.len(), stats.messages.values().max().copied().unwrap_or(0));
    let closing = format!(
        "{} requests, {} refused; {people} people congratulated, nobody more than {most} times; {mails} people had mail, nobody more than \
         {most_mails} times; at most {} reads and {} \
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
    write_whole(path, |out| {
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(["user_id", "employee_type", "email", "name"])?;
        for user in users {
            let name = format!("{} {}", user.first_name, user.last_name);
            writer.write_record([&user.id.to_string(), user.role.as_str(), &user.email, &name])?;
        }
        writer.flush()
    })
}
