//! Secrets: an administrator's key or token, and the portal's machine key. They cannot be printed, are wiped when
//! dropped, and are masked in any text that a portal sends back.
//!
//! Absent on purpose: any way to give a secret as an argument's value (process lists and shell histories keep those),
//! and any `Display`. They stay out of core dumps where the platform lets that be said.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};
use sha2::{Digest, Sha256};

/// The longest secret that is taken, in bytes: a portal's header buffer is 8 KiB.
const MAX_BYTES: usize = 4096;
/// Any run of this many characters of a secret is masked where it turns up.
const MASKED_RUN: usize = 8;
/// What stands where a secret stood.
const REDACTED: &str = "[redacted]";
/// So many letters and digits after `sk-` are taken for an API key; a real one has 64.
const SHORTEST_KEY: usize = 12;

/// A secret text. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(SecretString);

/// Why a secret could not be had. No variant holds the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file could not be read.
    #[error("cannot read the {what} from {}: {source}", path.display())]
    Unreadable {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The command could not be run.
    #[error("the command that prints the {what} could not be run: {source}")]
    CommandNotRun {
        /// What was looked for.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The command failed.
    #[error("the command that prints the {what} ended with {status}")]
    CommandFailed {
        /// What was looked for.
        what: &'static str,
        /// How it ended.
        status: std::process::ExitStatus,
    },
    /// The path is no path: somebody gave the secret itself. It is not shown.
    #[error(
        "the file with the {0} cannot be read, and what was given in place of its path looks like the {0} itself: put \
         that into a file of your own and give the file's path. Where it stood may be kept in a shell's history: think \
         of making a new one"
    )]
    GivenItself(&'static str),
    /// Nothing there.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// Longer than any key.
    #[error("the {0} is longer than {MAX_BYTES} bytes: that is no key")]
    TooLong(&'static str),
    /// A blank, a control character or anything beyond ASCII.
    #[error(
        "the {what} contains an invalid character at position {position}: only visible ASCII characters can be sent"
    )]
    InvalidCharacter {
        /// What was looked for.
        what: &'static str,
        /// Counted from 1.
        position: usize,
    },
}

impl Secret {
    /// A secret from its text; one final line end is cut off.
    fn from_bytes(what: &'static str, mut bytes: Vec<u8>, any_character: bool) -> Result<Self, SecretError> {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        bytes.zeroize();
        let mut text = text;
        if text.ends_with('\n') {
            text.pop();
        }
        if text.ends_with('\r') {
            text.pop();
        }
        let verdict = if text.is_empty() {
            Err(SecretError::Empty(what))
        } else if text.len() > MAX_BYTES {
            Err(SecretError::TooLong(what))
        } else if let Some(position) = text.chars().position(|c| !any_character && !c.is_ascii_graphic()) {
            Err(SecretError::InvalidCharacter { what, position: position + 1 })
        } else {
            Ok(())
        };
        match verdict {
            Ok(()) => Ok(Self(SecretString::from(text))),
            Err(error) => {
                text.zeroize();
                Err(error)
            }
        }
    }

    /// From the environment or a test.
    pub fn new(what: &'static str, text: String) -> Result<Self, SecretError> {
        Self::from_bytes(what, text.into_bytes(), false)
    }

    /// From a file.
    pub fn read(what: &'static str, path: &Path) -> Result<Self, SecretError> {
        Self::from_bytes(what, read_file(what, path)?, false)
    }

    /// A portal's machine key: any characters (`docspace-contract.md` §4 says how they are read), line ends cut off.
    pub fn read_machine_key(path: &Path) -> Result<Self, SecretError> {
        let what = "machine key";
        let mut bytes = read_file(what, path)?;
        while bytes.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
            bytes.pop();
        }
        Self::from_bytes(what, bytes, true)
    }

    /// What a command prints on its standard output (a password manager, say); run by the shell.
    pub fn from_command(what: &'static str, command: &str) -> Result<Self, SecretError> {
        let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
        let output = shell
            .arg(if cfg!(windows) { "/C" } else { "-c" })
            .arg(command)
            .stdin(Stdio::inherit())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|source| SecretError::CommandNotRun { what, source })?;
        if !output.status.success() {
            return Err(SecretError::CommandFailed { what, status: output.status });
        }
        Self::from_bytes(what, output.stdout, false)
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The value of the `Authorization` header: `Bearer` before an API key (`sk-…`), anything else as it is
    /// (`docspace-contract.md` §2.1). Marked sensitive. `None` never occurs for a secret that was checked.
    pub fn authorization(&self) -> Option<HeaderValue> {
        let key = self.expose();
        let mut text = if key.starts_with("sk-") { format!("Bearer {key}") } else { key.to_owned() };
        let value = HeaderValue::from_str(&text).ok();
        text.zeroize();
        value.map(|mut value| {
            value.set_sensitive(true);
            value
        })
    }

    /// Whether this is an API key, as against a token of the portal's login call.
    pub fn is_api_key(&self) -> bool {
        self.expose().starts_with("sk-")
    }

    /// Eight bytes that tell accounts apart in the ledger. A key has 256 random bits: nobody finds it from these.
    pub fn fingerprint(&self) -> [u8; 8] {
        let mut hasher = Sha256::new();
        hasher.update(b"onboard account fingerprint 1\0");
        hasher.update(self.expose().as_bytes());
        let mut short = [0; 8];
        short.copy_from_slice(hasher.finalize().get(..8).unwrap_or(&[0; 8]));
        short
    }

    /// Masks every run of eight or more characters of this secret in a text; a short secret is masked whole.
    pub fn mask(&self, text: &str) -> String {
        mask(self.expose(), text)
    }
}

fn read_file(what: &'static str, path: &Path) -> Result<Vec<u8>, SecretError> {
    fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename if path.to_str().is_some_and(is_given_itself) => {
            SecretError::GivenItself(what)
        }
        _ => SecretError::Unreadable { what, path: path.to_owned(), source },
    })
}

/// Whether a path that leads nowhere is rather the secret itself: a key, or one word of many kinds of characters.
fn is_given_itself(path: &str) -> bool {
    let word = path.strip_prefix("Bearer ").unwrap_or(path);
    let mixed = [|c: char| c.is_ascii_digit(), |c: char| c.is_ascii_lowercase(), |c: char| c.is_ascii_uppercase()];
    let is_odd = word.len() >= 16 && !word.contains(['/', '\\']) && mixed.iter().all(|kind| word.contains(*kind));
    let last = word.rsplit(['/', '\\']).next().unwrap_or(word);
    looks_like_a_key(word) || is_odd || (last.starts_with("sk-") && looks_like_a_key(last))
}

/// Masks every run of eight or more characters of a secret in a text; a shorter secret is masked whole.
pub fn mask(secret: &str, text: &str) -> String {
    let run = MASKED_RUN.min(secret.len());
    if run == 0 {
        return text.to_owned();
    }
    let (bytes, secret) = (text.as_bytes(), secret.as_bytes());
    let mut masked = vec![false; bytes.len()];
    for (start, window) in bytes.windows(run).enumerate() {
        if secret.windows(run).any(|piece| piece.eq_ignore_ascii_case(window)) {
            masked.iter_mut().skip(start).take(run).for_each(|mark| *mark = true);
        }
    }
    let mut shown = String::with_capacity(text.len());
    let mut inside = false;
    for (at, c) in text.char_indices() {
        let hidden = masked.get(at).copied().unwrap_or(false);
        if hidden && !inside {
            shown.push_str(REDACTED);
        } else if !hidden {
            shown.push(c);
        }
        inside = hidden;
    }
    shown
}

/// A value that was given, as it may be told back: without the user and password of an address, and what follows its
/// host where that may be a secret too; without anything that looks like a key.
pub fn masked_value(value: &str) -> String {
    let has_scheme = value.contains("://");
    let (before, after) = value.rsplit_once('@').unwrap_or(("", value));
    if has_scheme || before.contains(':') {
        return masked_address(value);
    }
    if looks_like_a_key(after) { REDACTED.to_owned() } else { masked_text(value) }
}

/// As [`masked_value`], of what should be an address: whatever stands before its `@`, or after its host, is left out.
pub fn masked_address(value: &str) -> String {
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['@', ':', '/']) => (format!("{scheme}://"), rest),
        _ => (String::new(), value),
    };
    let (user, host) = match rest.rsplit_once('@') {
        Some((_user, host)) => (format!("{REDACTED}@"), host),
        None => (String::new(), rest),
    };
    let (host, more) = match host.find(['/', '?', '#']).map(|at| host.split_at(at)) {
        Some((host, "/")) => (host, "/"),
        Some((host, _more)) => (host, "/\u{2026}"),
        None => (host, ""),
    };
    let host = if looks_like_a_key(host) { REDACTED.to_owned() } else { masked_text(host) };
    format!("{scheme}{user}{host}{more}")
}

/// A text for people, without user and password of any address in it, and without anything that begins like an API key.
pub fn masked_text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end =
            after.find(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`' | '<' | '>')).unwrap_or(after.len());
        let (address, after) = after.split_at(end);
        match address.rsplit_once('@') {
            Some((_user, host)) => shown.extend([REDACTED, "@", host]),
            None => shown.push_str(address),
        }
        rest = after;
    }
    shown.push_str(rest);
    without_api_keys(&shown)
}

fn without_api_keys(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("sk-") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
        let (run, after) = after.split_at(end);
        shown.push_str(if run.len() >= SHORTEST_KEY { REDACTED } else { run });
        rest = after;
    }
    shown.push_str(rest);
    shown
}

/// Whether a text may well be a key or token rather than a name: long, one word, letters and digits mixed.
pub fn looks_like_a_key(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    let is_one_word =
        bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+'));
    let digits = bare.bytes().filter(u8::is_ascii_digit).count();
    let letters = bare.bytes().filter(u8::is_ascii_alphabetic).count();
    let begins_as_one = bare.strip_prefix("sk-").is_some_and(|rest| rest.len() >= SHORTEST_KEY);
    is_one_word && (begins_as_one || (bare.len() >= 20 && digits >= 3 && letters >= 3 && !bare.contains('.')))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Keeps this process out of core dumps, and of the reach of other processes of the same user on Linux.
pub fn stay_out_of_core_dumps() {
    // A refusal changes nothing about what else there is to do.
    #[cfg(unix)]
    {
        let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
        let _refused = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    }
    // The limit does not bind where dumps go to a program.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _refused = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// Whether others than its owner can read a file; with the mode, for the warning. Never on platforms without modes.
pub fn readable_by_others(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = fs::metadata(path).ok()?;
        let mode = metadata.permissions().mode() & 0o777;
        // A key that a command feeds through a pipe is readable by nobody else, whatever the pipe's mode says.
        (metadata.is_file() && mode & 0o044 != 0).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new("API key", text.to_owned()).expect("a usable key")
    }

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        assert_eq!(format!("{:?}", secret("sk-0123456789abcdef")), "[redacted]");
        let header = secret("sk-0123456789abcdef").authorization().expect("a header");
        assert_eq!(format!("{header:?}"), "Sensitive");
    }

    #[test]
    fn an_api_key_is_a_bearer_and_a_token_goes_as_it_is() {
        let header = |key| secret(key).authorization().and_then(|value| value.to_str().map(str::to_owned).ok());
        assert_eq!(header("sk-ab"), Some("Bearer sk-ab".to_owned()));
        assert_eq!(header("token"), Some("token".to_owned()));
    }

    #[test]
    fn one_line_end_is_cut_and_anything_else_odd_is_named_by_its_place() {
        assert_eq!(secret("abc\r\n").expose(), "abc");
        assert!(matches!(Secret::new("API key", "\n".into()), Err(SecretError::Empty(_))));
        for (text, at) in [("a b", 2), ("ab\n\n", 3), ("é", 1)] {
            let error = Secret::new("API key", text.into()).expect_err("refused");
            assert!(matches!(error, SecretError::InvalidCharacter { position, .. } if position == at), "{text:?}");
        }
    }

    #[test]
    fn a_value_is_told_back_without_what_may_be_a_secret() {
        for (value, shown) in [
            ("https://admin:SECRETPW@portal.example.com", "https://[redacted]@portal.example.com"),
            ("https://SECRETPW@portal.example.com/", "https://[redacted]@portal.example.com/"),
            ("https://a:SEC@RET/PW@portal.example.com", "https://[redacted]@portal.example.com"),
            ("u:SECRETPW@proxy:3128", "[redacted]@proxy:3128"),
            ("https:/u:SECRETPW@h", "[redacted]@h"),
            ("https://hooks.example.com/services/T0/SECRETPW", "https://hooks.example.com/\u{2026}"),
            ("https://portal.example.com/?key=SECRETPW", "https://portal.example.com/\u{2026}"),
            ("postgres://u:SECRETPW@db/onboard", "postgres://[redacted]@db/\u{2026}"),
            ("sk-0123456789abcdef", "[redacted]"),
            ("cat sk-0123456789abcdef", "cat sk-[redacted]"),
            ("anna@example.com", "anna@example.com"),
            ("https://portal.example.com", "https://portal.example.com"),
            ("portal.example.com", "portal.example.com"),
            ("users-2026-11.csv", "users-2026-11.csv"),
            ("1500/min", "1500/min"),
            ("risk-assessment", "risk-assessment"),
        ] {
            assert_eq!(masked_value(value), shown, "{value}");
        }
        assert_eq!(masked_address("SECRETPW@portal.example.com"), "[redacted]@portal.example.com");
        assert_eq!(
            masked_text("no `http://u:SECRETPW@proxy:1` and no ftp://x@y; but anna@example.com"),
            "no `http://[redacted]@proxy:1` and no ftp://[redacted]@y; but anna@example.com"
        );
    }

    #[test]
    fn a_secret_given_for_its_file_is_not_told_back() {
        for given in ["sk-0123456789abcdef", "Qx7vWZp2kJ-sKf93hdL0b.Tn5", "Bearer sk-0123456789abcdef"] {
            let error = Secret::read("API key", Path::new(given)).expect_err("no file");
            assert!(matches!(error, SecretError::GivenItself(_)), "{error}");
        }
        for given in
            ["no/such/place/Key-2026-November-01", "machinekey", "api-key.txt", "/run/secrets/onboard_api_key_2026"]
        {
            let error = Secret::read("API key", Path::new(given)).expect_err("no file");
            assert!(matches!(error, SecretError::Unreadable { .. }), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_run_of_eight_characters_survives_masking(
            key in "[a-z0-9]{12,40}", before in ".{0,20}", after in ".{0,20}", from in 0usize..4, len in 8usize..12,
        ) {
            let piece: String = key.chars().skip(from).take(len).collect();
            let masked = secret(&key).mask(&format!("{before}{piece}{after}"));
            for start in 0..=key.len() - 8 {
                prop_assert!(!masked.contains(&key[start..start + 8]));
            }
        }
    }
}
