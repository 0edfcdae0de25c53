//! Where the password comes from: never from the address, never shown.

use std::path::{Path, PathBuf};

use secrecy::{SecretString, zeroize::Zeroize};

use super::database::{Host, Variables};
use crate::{
    display::shown_path,
    file::read_small,
    ledger::store::StoreFault::{self, Unusable},
    secret::readable_by_others,
};

/// The largest file of passwords that is read, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// What a line of `~/.pgpass` is looked up by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'s> {
    pub(super) host: &'s Host,
    pub(super) port: u16,
    pub(super) database: &'s str,
    pub(super) user: &'s str,
}

/// The password, if there is one: `ONBOARD_LEDGER_PASSWORD_FILE`, `PGPASSWORD`, `PGPASSFILE`, `~/.pgpass`.
pub(super) fn find(entry: &Entry<'_>, variable: Variables<'_>) -> Result<Option<SecretString>, StoreFault> {
    if let Some(path) = variable("ONBOARD_LEDGER_PASSWORD_FILE") {
        let mut text = read(Path::new(&path), "ONBOARD_LEDGER_PASSWORD_FILE")?;
        // An editor's line end is not part of it; blanks may be.
        let password = SecretString::from(text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']));
        text.zeroize();
        return Ok(Some(password));
    }
    if let Some(password) = variable("PGPASSWORD") {
        return Ok(Some(SecretString::from(password)));
    }
    let file = match variable("PGPASSFILE") {
        Some(path) => Some(PathBuf::from(path)),
        None => variable("HOME").map(|home| Path::new(&home).join(".pgpass")).filter(|path| path.is_file()),
    };
    let Some(file) = file else { return Ok(None) };
    let mut text = read(&file, "the file of passwords")?;
    let password = in_lines(&text, entry).map(SecretString::from);
    text.zeroize();
    match readable_by_others(&file) {
        Some(mode) if password.is_some() => Err(Unusable(format!(
            "{} holds the password and can be read by others (mode {mode:03o}): chmod 600 it, and think of a new password",
            shown_path(&file)
        ))),
        _ => Ok(password),
    }
}

fn read(path: &Path, what: &str) -> Result<String, StoreFault> {
    let unreadable = |why: String| Unusable(format!("cannot read {what} ({}): {why}", shown_path(path)));
    let bytes = read_small(path, MAX_FILE).map_err(|error| unreadable(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        unreadable("it is not UTF-8".to_owned())
    })
}

/// `host:port:database:user:password` a line, `*` for anything, `\` before a colon or itself. The first that fits counts.
fn in_lines(text: &str, entry: &Entry<'_>) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = fields(line);
        let password = fields.pop().filter(|_| fields.len() == 4)?;
        let [host, port, database, user] = <[String; 4]>::try_from(fields).ok()?;
        let is_host = host == "*"
            || match entry.host {
                Host::Name(name) => *name == host,
                // As PostgreSQL's own programs have it.
                Host::Socket(folder) => host == "localhost" || folder.as_os_str() == host.as_str(),
            };
        let fits = is_host
            && (port == "*" || port == entry.port.to_string())
            && (database == "*" || database == entry.database)
            && (user == "*" || user == entry.user);
        fits.then_some(password)
    })
}

/// The five fields of a line, of which the last one takes the rest.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.trim_end_matches('\r').chars();
    while let Some(mut next) = characters.next() {
        if next == ':' && fields.len() < 5 {
            fields.push(String::new());
            continue;
        }
        if next == '\\' {
            next = characters.next().unwrap_or('\\');
        }
        if let Some(field) = fields.last_mut() {
            field.push(next);
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn entry(host: &Host) -> Entry<'_> {
        Entry { host, port: 5432, database: "hr", user: "anna" }
    }

    #[test]
    fn the_first_line_that_fits_counts() {
        let host = Host::Name("db.example".to_owned());
        let of = |text: &str| in_lines(text, &entry(&host));
        assert_eq!(of("db.example:5432:hr:anna:p"), Some("p".to_owned()));
        assert_eq!(of("# *:*:*:*:no\r\n*:*:*:ben:no\n*:*:*:*:yes\ndb.example:5432:hr:anna:no"), Some("yes".to_owned()));
        assert_eq!(of(r"*:*:*:*:a\:b\\c:d"), Some(r"a:b\c:d".to_owned()));
        for none in ["", "db.example:5432:hr:anna", "db.example:5433:hr:anna:p", "localhost:*:*:*:p"] {
            assert_eq!(of(none), None, "{none}");
        }
        let socket = Host::Socket("/run/pg".into());
        assert_eq!(in_lines("localhost:*:*:*:p", &entry(&socket)), Some("p".to_owned()));
        assert_eq!(in_lines("/run/pg:*:*:*:p", &entry(&socket)), Some("p".to_owned()));
    }

    #[test]
    fn a_file_of_ours_comes_before_the_usual_ones_and_ends_without_its_line_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
        std::fs::write(&ours, " blank and \u{e4} \r\n").expect("written");
        std::fs::write(&theirs, "*:*:*:*:theirs\n").expect("written");
        let host = Host::Name("db.example".to_owned());
        let found = |names: &[&str]| {
            let variable = |name: &str| {
                let value = match name {
                    "ONBOARD_LEDGER_PASSWORD_FILE" => ours.to_str(),
                    "PGPASSWORD" => Some("variable"),
                    "PGPASSFILE" => theirs.to_str(),
                    _ => None,
                };
                value.filter(|_| names.contains(&name)).map(str::to_owned)
            };
            find(&entry(&host), &variable).map(|found| found.map(|password| password.expose_secret().to_owned()))
        };
        let all = ["ONBOARD_LEDGER_PASSWORD_FILE", "PGPASSWORD", "PGPASSFILE"];
        assert_eq!(found(&all), Ok(Some(" blank and \u{e4} ".to_owned())));
        assert_eq!(found(&all[1..]), Ok(Some("variable".to_owned())));
        assert_eq!(found(&[]), Ok(None));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |mode| std::fs::set_permissions(&theirs, std::fs::Permissions::from_mode(mode)).expect("set");
            mode(0o644);
            let told = found(&all[2..]).expect_err("refused").to_string();
            assert!(told.contains("chmod 600") && !told.contains("*:*"), "{told}");
            mode(0o600);
        }
        assert_eq!(found(&all[2..]), Ok(Some("theirs".to_owned())));
    }
}
