//! Secrets: an administrator's key or token, and the portal's machine key. They cannot be printed, are wiped when
//! dropped, and are masked in any text that a portal sends back.
//!
//! Absent on purpose: any way to give a secret as an argument's value (process lists and shell histories keep those),
//! and any `Display`. They stay out of core dumps where the platform lets that be said.

use std::{
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};
use sha2::{Digest, Sha256};

use crate::{display::shown_path, file::read_small};

/// The longest secret that is taken, in bytes: a portal's header buffer is 8 KiB.
const MAX_BYTES: usize = 4096;
/// So much is read where a secret should be, in bytes: in UTF-16, and with whatever stands around it.
const MOST_READ: u64 = 64 << 10;
/// Any run of this many characters of a secret is masked where it turns up.
const MASKED_RUN: usize = 8;
/// What stands where a secret stood.
pub const REDACTED: &str = "[redacted]";
/// So many letters and digits after `sk-` are taken for an API key; a real one has 64.
const SHORTEST_KEY: usize = 12;

/// A secret text. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct Secret(SecretString);

/// Why a secret could not be had. No variant holds the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file could not be read.
    #[error("cannot read the {what} from {}: {source}", shown_path(path))]
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
    /// More than the secret, or something else.
    #[error("the {what} cannot be used as it stands: {mistake}")]
    Mistaken {
        /// What was looked for.
        what: &'static str,
        /// What stands there.
        mistake: Mistake,
    },
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

/// What stands where a secret alone should, and what to put there instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// `Bearer sk-\u{2026}`
    #[error("it begins with the word `Bearer`; leave that off, it is sent by itself where it belongs")]
    Bearer,
    /// `Authorization: \u{2026}`
    #[error("it is a whole header line; put only what follows `Authorization:` there, without `Bearer`")]
    Header,
    /// `"sk-\u{2026}"`
    #[error("it stands in quotation marks; take them off")]
    Quoted,
    /// `ONBOARD_API_KEY=sk-\u{2026}`
    #[error("it is a line like NAME=value, as in an .env file; put only what follows the `=` there")]
    Assignment,
    /// `api_key: sk-\u{2026}`
    #[error("it is a line like name: value; put only what follows the colon there")]
    Entry,
    /// `{ \u{2026} }`
    #[error("it is JSON; put only the value there, without quotation marks")]
    Json,
    /// `-----BEGIN \u{2026}`
    #[error("it is a certificate or private key in PEM form; that is another kind of key")]
    Pem,
    /// Lines.
    #[error("it has more than one line; put only the secret there, in a line of its own")]
    Lines,
}

impl Secret {
    /// A secret from its text, without the blank lines and blanks around it.
    fn from_bytes(what: &'static str, mut bytes: Vec<u8>) -> Result<Self, SecretError> {
        let mut text = decoded(&bytes);
        bytes.zeroize();
        let verdict = judged(what, text.trim()).map(SecretString::from);
        text.zeroize();
        verdict.map(Self)
    }

    /// A machine key: its blanks are its own.
    fn from_machine_key(what: &'static str, mut bytes: Vec<u8>) -> Result<Self, SecretError> {
        let mut text = decoded(&bytes);
        bytes.zeroize();
        let key = without_blank_lines(&text);
        let verdict = match mistake(key) {
            _ if key.is_empty() => Err(SecretError::Empty(what)),
            _ if key.len() > MAX_BYTES => Err(SecretError::TooLong(what)),
            Some(mistake) => Err(SecretError::Mistaken { what, mistake }),
            None => Ok(SecretString::from(key)),
        };
        text.zeroize();
        verdict.map(Self)
    }

    /// From the environment or a test.
    pub fn new(what: &'static str, text: String) -> Result<Self, SecretError> {
        Self::from_bytes(what, text.into_bytes())
    }

    /// From a file.
    pub fn read(what: &'static str, path: &Path) -> Result<Self, SecretError> {
        Self::from_bytes(what, read_file(what, path)?)
    }

    /// A portal's machine key: any characters (`docspace-contract.md` §4 says how they are read), line ends cut off.
    pub fn read_machine_key(path: &Path) -> Result<Self, SecretError> {
        let what = "machine key";
        Self::from_machine_key(what, read_file(what, path)?)
    }

    /// A password from the environment: as a machine key, any characters, but no NUL, with which no login can be written.
    pub fn password(what: &'static str, text: String) -> Result<Self, SecretError> {
        Self::from_password(what, text.into_bytes())
    }

    /// A password in a file; line ends are cut off.
    pub fn read_password(what: &'static str, path: &Path) -> Result<Self, SecretError> {
        Self::from_password(what, read_file(what, path)?)
    }

    /// A password that a command prints.
    pub fn password_from_command(what: &'static str, command: &str) -> Result<Self, SecretError> {
        Self::from_password(what, printed(what, command)?)
    }

    fn from_password(what: &'static str, bytes: Vec<u8>) -> Result<Self, SecretError> {
        let password = Self::from_machine_key(what, bytes)?;
        match password.expose().chars().position(|c| c == '\0') {
            Some(position) => Err(SecretError::InvalidCharacter { what, position: position + 1 }),
            None => Ok(password),
        }
    }

    /// What a command prints on its standard output (a password manager, say); run by the shell.
    pub fn from_command(what: &'static str, command: &str) -> Result<Self, SecretError> {
        Self::from_bytes(what, printed(what, command)?)
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

/// What a command prints on its standard output, run by the shell.
fn printed(what: &'static str, command: &str) -> Result<Vec<u8>, SecretError> {
    let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    shell.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(command).stdout(Stdio::piped());
    let not_run = |source| SecretError::CommandNotRun { what, source };
    let mut child = shell.spawn().map_err(not_run)?;
    let mut bytes = Vec::with_capacity(MAX_BYTES);
    // When it is closed, whoever still writes there ends.
    let read = child.stdout.take().map(|out| out.take(MOST_READ + 1).read_to_end(&mut bytes));
    let status = child.wait().map_err(not_run)?;
    read.transpose().map_err(not_run)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MOST_READ {
        return Err(SecretError::TooLong(what));
    }
    if !status.success() {
        return Err(SecretError::CommandFailed { what, status });
    }
    Ok(bytes)
}

/// The text of a secret, as editors and shells write it: with or without a mark at its beginning, in UTF-8 or UTF-16.
fn decoded(bytes: &[u8]) -> String {
    let utf16 = |bytes: &[u8], of: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(of));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        // Without a mark: no key has a NUL in it, and every other byte of UTF-16 is one.
        _ if every_other_is_nul(bytes, 0) => utf16(bytes, u16::from_be_bytes),
        _ if every_other_is_nul(bytes, 1) => utf16(bytes, u16::from_le_bytes),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

fn every_other_is_nul(bytes: &[u8], from: usize) -> bool {
    let whole = !bytes.is_empty() && bytes.len().is_multiple_of(2);
    whole && bytes.iter().skip(from).step_by(2).all(|byte| *byte == 0)
}

/// Without lines of nothing but blanks before and after, and without the line ends.
fn without_blank_lines(text: &str) -> &str {
    let mut text = text.trim_end_matches(['\r', '\n']);
    while let Some((_blank, rest)) = text.split_once('\n').filter(|(line, _)| line.trim().is_empty()) {
        text = rest;
    }
    while let Some((rest, _blank)) = text.rsplit_once('\n').filter(|(_, line)| line.trim().is_empty()) {
        text = rest;
    }
    text.trim_end_matches('\r')
}

/// A key or token that can be sent in a header.
fn judged<'t>(what: &'static str, text: &'t str) -> Result<&'t str, SecretError> {
    if text.is_empty() {
        return Err(SecretError::Empty(what));
    }
    if let Some(mistake) = mistake(text) {
        return Err(SecretError::Mistaken { what, mistake });
    }
    if text.len() > MAX_BYTES {
        return Err(SecretError::TooLong(what));
    }
    match text.chars().position(|c| !c.is_ascii_graphic()) {
        Some(position) => Err(SecretError::InvalidCharacter { what, position: position + 1 }),
        None => Ok(text),
    }
}

/// What people put there besides the secret, where it is plain.
fn mistake(text: &str) -> Option<Mistake> {
    let begins = |word: &str| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let quotes = [
        ('"', '"'),
        ('\'', '\''),
        ('`', '`'),
        ('\u{201c}', '\u{201d}'),
        ('\u{201e}', '\u{201c}'),
        ('\u{ab}', '\u{bb}'),
    ];
    if begins("-----BEGIN") {
        Some(Mistake::Pem)
    } else if text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        Some(Mistake::Json)
    } else if begins("Authorization:") {
        Some(Mistake::Header)
    } else if begins("Bearer ") {
        Some(Mistake::Bearer)
    } else if quotes.iter().any(|(open, close)| text.len() > 1 && text.starts_with(*open) && text.ends_with(*close)) {
        Some(Mistake::Quoted)
    } else if text.trim().contains('\n') {
        Some(Mistake::Lines)
    } else if text.split_once('=').is_some_and(|(name, value)| is_name_before(name, value)) {
        Some(Mistake::Assignment)
    } else if text.split_once(": ").is_some_and(|(name, _)| is_name(name)) {
        Some(Mistake::Entry)
    } else {
        None
    }
}

/// Whether what stands before a `=` is a variable's name rather than a piece of a token.
fn is_name_before(name: &str, value: &str) -> bool {
    let (typed, name) = (name, name.trim());
    let name = ["export ", "set ", "$env:"].iter().find_map(|word| name.strip_prefix(word)).unwrap_or(name).trim();
    let known = ["key", "apikey", "token", "secret", "password", "machinekey"];
    let is_plain = typed.len() != name.len()
        || name.contains('_')
        || known.contains(&name.to_ascii_lowercase().as_str())
        || value.trim_start().trim_start_matches(['"', '\'']).starts_with("sk-");
    // What ends a token is padding: `=` and nothing else.
    is_name(name) && is_plain && !value.trim_matches('=').is_empty()
}

fn is_name(name: &str) -> bool {
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins_well
        && name.len() <= 40
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn read_file(what: &'static str, path: &Path) -> Result<Vec<u8>, SecretError> {
    read_small(path, MOST_READ).map_err(|source| match source.kind() {
        io::ErrorKind::FileTooLarge => SecretError::TooLong(what),
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
        let metadata = path.metadata().ok()?;
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
    use std::fs;

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
    fn blanks_around_are_cut_and_anything_else_odd_is_named_by_its_place() {
        for text in ["abc", "abc\r\n", "abc\n\n", "\n \r\n abc \t\n\n"] {
            assert_eq!(secret(text).expose(), "abc", "{text:?}");
        }
        for text in ["", "\n", " \r\n\n"] {
            assert!(matches!(Secret::new("API key", text.into()), Err(SecretError::Empty(_))), "{text:?}");
        }
        for (text, at) in [("a b", 2), ("\u{e9}", 1), ("ab\u{200b}", 3), ("a\0b", 2)] {
            let error = Secret::new("API key", text.into()).expect_err("refused");
            assert!(matches!(error, SecretError::InvalidCharacter { position, .. } if position == at), "{text:?}");
        }
    }

    #[test]
    fn a_key_file_is_read_as_editors_and_shells_write_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        let little = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        for bytes in [
            b"\xef\xbb\xbfsk-0123\r\n".to_vec(),
            little("\u{feff}sk-0123\r\n"),
            big("\u{feff}sk-0123\r\n"),
            little("sk-0123\r\n"),
            big("sk-0123\n"),
            b"\n\nsk-0123\n\n".to_vec(),
        ] {
            fs::write(&path, &bytes).expect("written");
            assert_eq!(Secret::read("API key", &path).expect("a key").expose(), "sk-0123", "{bytes:?}");
            let machine_key = Secret::read_machine_key(&path).expect("a machine key");
            assert_eq!(machine_key.expose(), "sk-0123", "{bytes:?}");
        }
        for (text, key) in [(" a b \r\n", " a b "), ("\n  \ncl\u{e9}-\u{43a}\n \n", "cl\u{e9}-\u{43a}"), ("a=b", "a=b")]
        {
            fs::write(&path, text).expect("written");
            assert_eq!(Secret::read_machine_key(&path).expect("a machine key").expose(), key, "{text:?}");
        }
    }

    #[test]
    fn what_stands_around_a_key_is_named_and_the_key_is_not() {
        for (text, mistake) in [
            ("Bearer sk-0123456789", Mistake::Bearer),
            ("bearer sk-0123456789", Mistake::Bearer),
            ("Authorization: Bearer sk-0123456789", Mistake::Header),
            ("\"sk-0123456789\"", Mistake::Quoted),
            ("'sk-0123456789'", Mistake::Quoted),
            ("\u{201c}sk-0123456789\u{201d}", Mistake::Quoted),
            ("ONBOARD_API_KEY=sk-0123456789", Mistake::Assignment),
            ("export ONBOARD_API_KEY=sk-0123456789", Mistake::Assignment),
            ("ONBOARD_API_KEY = \"sk-0123456789\"", Mistake::Assignment),
            ("APP_CORE_MACHINEKEY=sk-0123456789", Mistake::Assignment),
            ("key=sk-0123456789", Mistake::Assignment),
            ("api-key: sk-0123456789", Mistake::Entry),
            ("{\"key\": \"sk-0123456789\"}", Mistake::Json),
            ("{\n  \"key\": \"sk-0123456789\"\n}", Mistake::Json),
            ("-----BEGIN CERTIFICATE-----\nsk-0123456789", Mistake::Pem),
            ("# my key\nsk-0123456789", Mistake::Lines),
        ] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("key");
            fs::write(&path, text).expect("written");
            for read in [Secret::read("API key", &path), Secret::read_machine_key(&path)] {
                let error = read.expect_err(text);
                assert!(
                    matches!(error, SecretError::Mistaken { mistake: found, .. } if found == mistake),
                    "{text}: {error}"
                );
                assert!(!error.to_string().contains("0123"), "{error}");
            }
        }
        // Tokens have these.
        for token in ["YWJjZGVm==", "abc=def", "a:b", "{abc", "CfDJ8Kq_x-y+z/=="] {
            assert_eq!(secret(token).expose(), token);
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
    fn a_password_may_hold_anything_but_a_nul() {
        for (text, password) in [("ab cd ef\n", "ab cd ef"), (" p\u{e9}\r\n", " p\u{e9}"), ("x y=z:", "x y=z:")] {
            assert_eq!(Secret::password("password", text.to_owned()).expect(text).expose(), password);
        }
        for text in ["", "\n", "a\0b", "a\nb"] {
            assert!(Secret::password("password", text.to_owned()).is_err(), "{text:?}");
        }
        if cfg!(unix) {
            let printed = Secret::password_from_command("password", "echo 'a b'").expect("a password");
            assert_eq!(printed.expose(), "a b");
        }
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
