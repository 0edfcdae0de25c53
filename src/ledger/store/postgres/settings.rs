//! From a place, and from what the environment says, to the settings of a connection. We read them ourselves: the library
//! falls silently to clear text, and knows no `verify-full`. Pure, but for the password's file.
//!
//! The environment is handed in as a look-up by name, since the core reads none.

use std::path::PathBuf;

use secrecy::SecretString;

use super::{
    database::{Host, Variables},
    password,
};
use crate::{
    display::Shown,
    home::at_home,
    ledger::store::StoreFault::{self, Unusable},
    place::Database,
};

/// Between a ledger's name and the number of a probe of its server: what no ledger is named.
pub(super) const PROBE: &str = " (probe ";

/// Whose certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    System,
    File(PathBuf),
}

/// All that a connection needs.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// As people may read it.
    pub(super) name: String,
    pub(super) user: String,
    pub(super) password: Option<SecretString>,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) ledger: String,
    /// Nothing where no one but this machine listens.
    pub(super) tls: Option<Roots>,
    /// What the server is told that we are.
    pub(super) application: String,
}

fn unusable<T>(text: impl Into<String>) -> Result<T, StoreFault> {
    Err(Unusable(text.into()))
}

impl Settings {
    pub(super) fn new(given: &Database, application: &str, variables: Variables<'_>) -> Result<Self, StoreFault> {
        let variable = |name: &str| variables(name).filter(|value| !value.is_empty());
        let (mut mode, mut roots, mut asked) = (None, None, given.clone());
        for (name, value) in &given.parameters {
            match name.as_str() {
                "sslmode" => mode = Some((value.clone(), "sslmode")),
                "sslrootcert" => roots = Some(value.clone()),
                "host" => asked.host = Some(value.clone()),
                "port" => match value.parse() {
                    Ok(port) => asked.port = Some(port),
                    Err(_number) => return unusable(format!("`{}` is no port", Shown(value))),
                },
                "user" => asked.user = Some(value.clone()),
                "dbname" => asked.database = Some(value.clone()),
                "ledger" => asked.ledger.clone_from(value),
                // Its value is not shown, and stays out of the memory of those who are told.
                "password" => return unusable(NO_PASSWORD),
                other => {
                    return unusable(format!(
                        "onboard knows no `{}` of PostgreSQL's settings; it knows ledger, sslmode, sslrootcert, host, \
                         port, user and dbname: leave it out",
                        Shown(other)
                    ));
                }
            }
        }
        let ledger = asked.ledger;
        if ledger.is_empty() {
            return unusable("it is not said which ledger of the database: add ?ledger=NAME");
        }
        if ledger.len() > 200 || ledger.chars().any(char::is_control) || ledger.contains(PROBE) {
            return unusable("no ledger can have that name: at most 200 bytes, no control characters, no ` (probe `");
        }
        let Some(host) = asked.host.filter(|host| !host.is_empty()).or_else(|| variable("PGHOST")) else {
            return unusable("no host is named, neither in the place nor by PGHOST");
        };
        if host.contains(',') {
            return unusable("several hosts are named; a log has one place: name the server that takes writes");
        }
        let port = match (asked.port, variable("PGPORT")) {
            (Some(port), _) => port,
            (None, Some(text)) => match text.parse() {
                Ok(port) => port,
                Err(_number) => return unusable(format!("PGPORT `{}` is no port", Shown(&text))),
            },
            (None, None) => 5432,
        };
        let Some(user) = asked.user.or_else(|| ["PGUSER", "USER", "USERNAME"].into_iter().find_map(variable)) else {
            return unusable("no user is named, neither in the place nor by PGUSER");
        };
        let database = asked.database.or_else(|| variable("PGDATABASE")).unwrap_or_else(|| user.clone());
        let mode = mode.or_else(|| variable("PGSSLMODE").map(|mode| (mode, "PGSSLMODE")));
        let roots = roots.or_else(|| variable("PGSSLROOTCERT"));
        let home = variable("HOME").or_else(|| variable("USERPROFILE")).map(PathBuf::from);
        let roots = match roots.as_deref() {
            None | Some("system") => Roots::System,
            Some(path) => match at_home(path.as_ref(), home.as_deref()) {
                Ok(path) => Roots::File(path),
                Err(error) => return unusable(error.to_string()),
            },
        };
        let has_roots = roots != Roots::System;
        let is_local = host.eq_ignore_ascii_case("localhost")
            || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|host| host.is_loopback());
        let (host, shown_host) = if host.starts_with('/') {
            (Host::Socket(host.clone().into()), host)
        } else {
            let plain = host.trim_matches(['[', ']']).to_owned();
            let shown = if plain.contains(':') { format!("[{plain}]") } else { plain.clone() };
            (Host::Name(plain), shown)
        };
        let is_socket = matches!(host, Host::Socket(_));
        let tls = match mode.as_ref().map(|(mode, whence)| (mode.as_str(), *whence)) {
            // A socket is a file of this machine; there is nothing to encrypt, whatever is asked for.
            _ if is_socket => None,
            Some(("verify-full", _)) => Some(roots),
            None if !is_local || has_roots => Some(roots),
            None => None,
            Some(("disable", _)) if is_local => None,
            Some((mode, whence)) => return unusable(refused_mode(mode, whence)),
        };
        let at = if port == 5432 { String::new() } else { format!(":{port}") };
        let name = format!("postgres://{shown_host}{at}/{database}?ledger={ledger}");
        let password =
            password::find(&password::Entry { host: &host, port, database: &database, user: &user }, &variable)?;
        let application = application.to_owned();
        Ok(Self { name: Shown(&name).to_string(), user, password, host, port, database, ledger, tls, application })
    }
}

const NO_PASSWORD: &str = "a password stands in the address of the ledger, where logs and process lists show it: take it out, \
                           make a new one, and put that into a file that ONBOARD_LEDGER_PASSWORD_FILE names, into \
                           PGPASSWORD or ~/.pgpass";

fn refused_mode(mode: &str, whence: &str) -> String {
    let why = match mode {
        "disable" => "it would send the password and the log in clear text; it is for a socket and loopback only",
        "allow" | "prefer" => "whoever sits between decides whether it is encrypted at all",
        "require" => "it encrypts without asking who the server is",
        "verify-ca" => "any server whose certificate that authority has signed could take the log's place",
        _ => "there is no such mode",
    };
    format!(
        "{whence} `{}` is refused: {why}. Say sslmode=verify-full (the default), with sslrootcert=FILE where the server's \
         authority is not one that this machine knows",
        Shown(mode)
    )
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn at(host: &str, parameters: &[(&str, &str)]) -> Database {
        Database {
            user: Some("anna".to_owned()),
            host: Some(host.to_owned()),
            port: None,
            database: Some("hr".to_owned()),
            ledger: "docs.example".to_owned(),
            parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn settings(database: &Database, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let found = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::new(database, "onboard 1", &found).map_err(|fault| fault.to_string())
    }

    #[test]
    fn who_the_server_is_is_asked_unless_it_is_this_machine() {
        let tls = |host: &str, parameters: &[(&str, &str)]| settings(&at(host, parameters), &[]).expect("settings").tls;
        assert_eq!(tls("db.example", &[]), Some(Roots::System));
        assert_eq!(tls("db.example", &[("sslmode", "verify-full")]), Some(Roots::System));
        assert_eq!(tls("db.example", &[("sslrootcert", "/ca.pem")]), Some(Roots::File("/ca.pem".into())));
        for local in ["localhost", "127.0.0.1", "::1", "[::1]", "/run/postgresql"] {
            assert_eq!(tls(local, &[]), None, "{local}");
            assert_eq!(tls(local, &[("sslmode", "disable")]), None, "{local}");
        }
        assert_eq!(tls("localhost", &[("sslmode", "verify-full")]), Some(Roots::System));
        assert_eq!(tls("localhost", &[("sslrootcert", "/ca.pem")]), Some(Roots::File("/ca.pem".into())));
        assert_eq!(tls("/run/postgresql", &[("sslmode", "verify-full")]), None);
    }

    #[test]
    fn other_modes_are_refused_by_name_with_the_reason() {
        for (mode, why) in [
            ("disable", "clear text"),
            ("prefer", "whoever sits between"),
            ("require", "who the server is"),
            ("verify-ca", "any server"),
            ("VERIFY-FULL", "no such mode"),
        ] {
            let told = settings(&at("db.example", &[("sslmode", mode)]), &[]).expect_err("refused");
            assert!(told.contains(&format!("sslmode `{mode}`")) && told.contains(why), "{told}");
            let told = settings(&at("db.example", &[]), &[("PGSSLMODE", mode)]).expect_err("refused");
            assert!(told.contains(&format!("PGSSLMODE `{mode}`")), "{told}");
        }
        let both = at("db.example", &[("sslmode", "verify-full")]);
        assert!(settings(&both, &[("PGSSLMODE", "require")]).is_ok(), "the place counts");
    }

    #[test]
    fn what_the_place_leaves_out_the_environment_says() {
        let ledger = Database { ledger: "x".to_owned(), ..Database::default() };
        let told = settings(&ledger, &[]).expect_err("no host");
        assert!(told.contains("PGHOST"), "{told}");
        let all = [
            ("PGHOST", "db.example"),
            ("PGPORT", "6000"),
            ("PGUSER", "ben"),
            ("PGDATABASE", "hr"),
            ("PGPASSWORD", "p"),
        ];
        let all = settings(&ledger, &all).expect("settings");
        assert_eq!(all.name, "postgres://db.example:6000/hr?ledger=x");
        assert_eq!((all.user.as_str(), all.port), ("ben", 6000));
        assert_eq!(all.password.expect("a password").expose_secret(), "p");
        let fewer = settings(&ledger, &[("PGHOST", "/run/pg"), ("USER", "ben")]).expect("settings");
        assert_eq!(fewer.name, "postgres:///run/pg/ben?ledger=x");
        let whole =
            settings(&at("::1", &[]), &[("PGHOST", "other"), ("PGPORT", "1"), ("PGUSER", "x")]).expect("settings");
        assert_eq!(whole.name, "postgres://[::1]:1/hr?ledger=docs.example");
        assert_eq!(whole.user, "anna");
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_shown() {
        let told = settings(&at("db.example", &[("password", "hunter2")]), &[]).expect_err("refused");
        assert!(told.contains("ONBOARD_LEDGER_PASSWORD_FILE") && !told.contains("hunter2"), "{told}");
    }

    #[test]
    fn what_is_no_setting_is_named() {
        let told = settings(&at("db.example", &[("target_session_attrs", "any")]), &[]).expect_err("refused");
        assert!(told.contains("`target_session_attrs`"), "{told}");
        let told = settings(&at("a,b", &[]), &[]).expect_err("refused");
        assert!(told.contains("several hosts"), "{told}");
        let told = settings(&Database { ledger: String::new(), ..at("a", &[]) }, &[]).expect_err("refused");
        assert!(told.contains("?ledger=NAME"), "{told}");
        assert!(settings(&Database { ledger: "a (probe 1)".to_owned(), ..at("a", &[]) }, &[]).is_err());
    }
}
