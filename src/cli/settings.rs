//! Where each setting comes from: the command line, else the environment, else the settings file, else its default.
//!
//! What the settings file says becomes the default of the option of that name, before the command line is parsed; so
//! every value is checked by the same code, wherever it comes from. Secrets have no place in the file: they would be
//! quoted in its errors, and committed with it.

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, CommandFactory, FromArgMatches, builder::Resettable, parser::ValueSource};

use super::Cli;
use crate::{
    display::{Shown, shown_path},
    file::read_small,
    home::{self, NoHome},
    origin::{Origin, PortalAddress},
    place,
    roster::{Role, Source},
    secret::masked_value,
    split::{self, IndexError, Profile, Profiles},
    user::EmployeeType,
};

/// The settings file that is taken if it is there and no other is named.
const DEFAULT_FILE: &str = "onboard.toml";
/// The largest settings file, in bytes.
const MOST_READ: u64 = 1 << 20;
/// Options that make no sense in a file: they are about one run, or are secrets' whereabouts on a command line.
/// `--type` of `export` picks users, and that of a roster says what all of them become: only the latter is a setting.
const NOT_IN_FILE: [&str; 20] = [
    "config",
    "profile",
    "help",
    "version",
    "roster",
    "sandbox",
    "dry_run",
    "preview",
    "resend",
    "retry_unknown",
    "yes",
    "user",
    "exit_code",
    "employee_type",
    "fix",
    "plan",
    "plan_output",
    "show",
    "by_column",
    "into",
];

/// One effective setting, for `onboard config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The option's long name.
    pub name: String,
    /// Its value, `set` where it is a secret.
    pub value: String,
    /// Where it comes from.
    pub source: Provenance,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provenance {
    /// It was typed.
    CommandLine,
    /// This environment variable.
    Environment(String),
    /// This settings file.
    File(PathBuf),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("command line"),
            Self::Environment(variable) => write!(f, "environment ({variable})"),
            Self::File(path) => f.write_str(&shown_path(path)),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Why the settings file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be read.
    #[error("cannot read the settings file {}: {source}", shown_path(path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is no TOML. The text of the line is not shown: it may hold a secret.
    #[error("the settings file {} is not valid TOML at line {line}: {why}", shown_path(path))]
    NotToml {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser expected.
        why: String,
    },
    /// A setting that does not exist.
    #[error("the settings file {} has an unknown setting `{key}`{}", shown_path(path), suggestion.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key, made safe to show.
        key: String,
        /// A setting of nearly this name.
        suggestion: Option<String>,
    },
    /// A secret in the file.
    #[error(
        "the settings file {} has `{key}`, but secrets do not belong in it: use api-key-file, ONBOARD_API_KEY_FILE or ONBOARD_API_KEY",
        shown_path(path)
    )]
    Secret {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A value of a kind that no setting has.
    #[error(
        "the settings file {} gives `{key}` a value that is no text, number, truth or list of texts",
        shown_path(path)
    )]
    Kind {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// No such profile.
    #[error("the settings file {} has no portal `{name}`{}", shown_path(path), if known.is_empty() { String::new() } else { format!("; it has {}", known.join(", ")) })]
    NoProfile {
        /// The file.
        path: PathBuf,
        /// The profile asked for.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// A path that begins with a home directory that nobody knows.
    #[error("the settings file {}, `{key}`: {source}", shown_path(path))]
    NoHome {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong.
        source: NoHome,
    },
    /// The highest type for everybody, where nobody typed it.
    #[error(
        "the settings file {} makes everybody a DocSpaceAdmin (`type`), who manages the whole portal; that has to be typed: \
         --type DocSpaceAdmin",
        shown_path(.0)
    )]
    EverybodyAdmin(PathBuf),
    /// More than one profile of a roster's portal.
    #[error(
        "the settings file {} has more than one profile for {portal}, whose roster this is: {names}; choose one with \
         --profile",
        shown_path(path)
    )]
    SeveralProfiles {
        /// The file.
        path: PathBuf,
        /// The portal.
        portal: Origin,
        /// The profiles.
        names: String,
    },
    /// The index beside the roster cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// A profile without a file.
    #[error("--profile {0} needs a settings file: ./onboard.toml is not there and --config names none")]
    ProfileWithoutFile(String),
}

/// The command line, with the settings file below it.
#[derive(Debug)]
pub struct Parsed {
    /// What was typed, word by word.
    pub words: Vec<OsString>,
    /// What was typed and set.
    pub cli: Cli,
    /// The effective settings of the command, with their sources.
    pub settings: Vec<Setting>,
    /// The portals of the settings file, where it has any.
    pub profiles: Option<Profiles>,
}

/// Parses the command line. The outer error is clap's, which knows how to be shown (help and version included).
pub fn parse(args: &[OsString]) -> Result<Result<Parsed, SettingsError>, clap::Error> {
    // A first look, for --config and --profile only: they decide what the defaults are.
    let first = command().ignore_errors(true).try_get_matches_from(args);
    let first = first.map(|matches| file_and_profile(&matches)).unwrap_or_default();
    let file = match read_file(first) {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    let mut command = command();
    if let Some(file) = &file {
        command = match with_defaults(command, file) {
            Ok(command) => command,
            Err(error) => return Ok(Err(error)),
        };
    }
    let matches = command.clone().try_get_matches_from(args)?;
    if let Some(words) = asked_for_help(&command, &matches) {
        // The help of a command is what the command itself says.
        command.clone().try_get_matches_from(words)?;
    }
    let settings = if matches.subcommand_name() == Some("config") {
        // What a run would have, with nothing typed.
        let run = command.clone().try_get_matches_from(["onboard", "run", "-"])?;
        let mut settings = effective(&command, &run, file.as_ref());
        settings.extend(key_in_environment());
        settings
    } else {
        effective(&command, &matches, file.as_ref())
    };
    let everybody = settings.iter().find(|setting| setting.name == "type");
    if let Some(Setting { value, source: Provenance::File(path), .. }) = everybody
        && value.parse() == Ok(EmployeeType::DocSpaceAdmin)
    {
        return Ok(Err(SettingsError::EverybodyAdmin(path.clone())));
    }
    let mut cli = Cli::from_arg_matches(&matches)?;
    if let (Some(file), Some(reading)) = (&file, cli.command.reading_mut()) {
        // Where nothing was typed these are the defaults already, and nothing is taken in.
        let columns = values_in(file, "map", &mut command)?;
        let types = values_in(file, "map-type", &mut command)?;
        reading.take_in(columns, types);
    }
    let profiles = file.and_then(|file| file.profiles);
    Ok(Ok(Parsed { words: args.to_vec(), cli, settings, profiles }))
}

/// What has to be typed for the help that `onboard help` was asked for, where that is a command's.
fn asked_for_help(command: &clap::Command, matches: &ArgMatches) -> Option<Vec<String>> {
    let subject = matches.subcommand_matches("help")?.get_many::<String>("subject").unwrap_or_default();
    let mut words = vec!["onboard".to_owned()];
    let mut level = command;
    for word in subject {
        level = level.find_subcommand(word)?;
        words.push(word.clone());
    }
    words.push("--help".to_owned());
    Some(words)
}

/// What a settings file says of a setting, whatever was typed.
fn values_in<T: std::str::FromStr<Err = String>>(
    file: &File,
    name: &str,
    command: &mut clap::Command,
) -> Result<Vec<T>, clap::Error> {
    let texts = file.values.iter().filter(|(other, _)| other == name).flat_map(|(_, texts)| texts);
    texts
        .map(|text| {
            text.parse().map_err(|why: String| {
                let what = format!("invalid value '{}' for '--{name}': {why}", Shown(text));
                command.error(clap::error::ErrorKind::ValueValidation, what)
            })
        })
        .collect()
}

/// Whether what was typed asks for a run of a mail, also where the rest of it cannot be used.
pub fn is_for_a_run(args: &[OsString]) -> bool {
    let command = Cli::command();
    let mut words = args.iter().skip(1).filter_map(|word| word.to_str());
    words.find(|word| command.find_subcommand(word).is_some()).is_some_and(|word| matches!(word, "run" | "invite"))
}

/// The command, for which an empty variable is as unset: that is how CI sets what has no value. The help shows no value
/// of a variable that holds a secret.
fn command() -> clap::Command {
    let apply = |command: clap::Command| {
        command.mut_args(|arg| match arg.get_env().and_then(variable) {
            Some(value) if value.trim().is_empty() => arg.env(Resettable::Reset),
            Some(value) if masked_value(&value) != value => arg.hide_env_values(true),
            _ => arg,
        })
    };
    // `onboard help` is ours, which switches clap's off in all of it; below, `onboard ledger help` is clap's again.
    let with_help = |command: clap::Command| {
        if command.has_subcommands() { command.defer(|it| it.disable_help_subcommand(false)) } else { command }
    };
    apply(Cli::command()).mut_subcommands(apply).mut_subcommands(with_help)
}

#[expect(clippy::disallowed_methods, reason = "whether a variable is empty, and whether it may be shown")]
fn variable(name: &OsStr) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// What a settings file says: options by their long names, each with its values.
pub type Values = Vec<(String, Vec<String>)>;

struct File {
    path: PathBuf,
    values: Values,
    profiles: Option<Profiles>,
}

/// What decides which settings there are.
#[derive(Debug, Default)]
struct First {
    file: Option<PathBuf>,
    profile: Option<String>,
    /// The roster, or the results, of what is done for one portal.
    roster: Option<PathBuf>,
}

/// Commands that are for one portal, and what they call their roster.
const ROSTERS: [(&str, &str); 5] =
    [("run", "roster"), ("plan", "roster"), ("check", "roster"), ("invite", "people"), ("settle", "from")];

fn file_and_profile(matches: &ArgMatches) -> First {
    let mut found = First::default();
    let of_command = matches.subcommand().and_then(|(name, matches)| {
        let (_, id) = ROSTERS.into_iter().find(|(command, _)| *command == name)?;
        matches.try_get_one::<Source>(id).ok().flatten()
    });
    if let Some(Source::Path(path)) = of_command {
        found.roster = Some(path.clone());
    }
    let mut level = Some(matches);
    while let Some(matches) = level {
        if let Ok(Some(path)) = matches.try_get_one::<PathBuf>("config") {
            found.file = Some(path.clone());
        }
        if let Ok(Some(name)) = matches.try_get_one::<String>("profile") {
            found.profile = Some(name.clone());
        }
        level = matches.subcommand().map(|(_, matches)| matches);
    }
    found
}

fn read_file(First { file, profile, roster }: First) -> Result<Option<File>, SettingsError> {
    let path = match (file, &profile) {
        (Some(path), _) => path,
        (None, _) if Path::new(DEFAULT_FILE).is_file() => PathBuf::from(DEFAULT_FILE),
        (None, Some(name)) => return Err(SettingsError::ProfileWithoutFile(name.clone())),
        (None, None) => return Ok(None),
    };
    let text = read_small(&path, MOST_READ).and_then(|bytes| {
        let not_utf8 = "it is not UTF-8; save it as that";
        String::from_utf8(bytes).map_err(|_other| io::Error::new(io::ErrorKind::InvalidData, not_utf8))
    });
    let text = text.map_err(|source| SettingsError::Unreadable { path: path.clone(), source })?;
    let profiles = profiles_of(&text, &path);
    let profile = match (profile, &profiles, roster) {
        (None, Some(profiles), Some(roster)) => profile_by_roster(profiles, &roster)?,
        (profile, _, _) => profile,
    };
    let values = read_settings(&text, &path, profile.as_deref())?;
    Ok(Some(File { path, values, profiles }))
}

/// The profile of a roster's portal, where `onboard split` made it.
fn profile_by_roster(profiles: &Profiles, roster: &Path) -> Result<Option<String>, SettingsError> {
    let Some(listed) = split::beside(roster)? else { return Ok(None) };
    let names: Vec<&str> = profiles.of(&listed.portal).collect();
    match names.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).to_owned())),
        several => Err(SettingsError::SeveralProfiles {
            path: profiles.file.clone(),
            portal: listed.portal.clone(),
            names: several.iter().map(|name| format!("`{}`", Shown(name))).collect::<Vec<_>>().join(", "),
        }),
    }
}

/// The portals of a settings file, by their profiles; none where it has no profile.
fn profiles_of(text: &str, path: &Path) -> Option<Profiles> {
    let table: toml::Table = text.parse().ok()?;
    let toml::Value::Table(portals) = table.get("portal")? else { return None };
    let all: Vec<Profile> = portals
        .iter()
        .map(|(name, profile)| {
            let address = ["url", "portal"].into_iter().find_map(|key| profile.get(key)?.as_str());
            let portal = address.and_then(|text| text.parse::<PortalAddress>().ok()).map(|address| address.origin());
            Profile { name: name.clone(), portal }
        })
        .collect();
    (!all.is_empty()).then(|| Profiles { file: path.to_owned(), all })
}

/// Reads the text of a settings file, and the profile in it; the path is for errors, which hold no value of the file.
pub fn read_settings(text: &str, path: &Path, profile: Option<&str>) -> Result<Values, SettingsError> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        let line = text.get(..offset).unwrap_or_default().matches('\n').count() + 1;
        SettingsError::NotToml { path: path.to_owned(), line, why: error.message().to_owned() }
    })?;
    let mut values = Vec::new();
    let mut portals = toml::Table::new();
    for (key, value) in table {
        match (key.as_str(), value) {
            ("portal", toml::Value::Table(profiles)) => portals = profiles,
            (_, value) => values.extend(values_of(path, &key, value)?),
        }
    }
    if let Some(name) = profile {
        let known: Vec<String> = portals.keys().map(|key| Shown(key).to_string()).collect();
        let Some(toml::Value::Table(table)) = portals.remove(name) else {
            return Err(SettingsError::NoProfile { path: path.to_owned(), name: Shown(name).to_string(), known });
        };
        for (key, value) in table {
            let key = if key == "url" { "portal".to_owned() } else { key };
            for (name, texts) in values_of(path, &key, value)? {
                let below = values.iter().find(|(other, _)| *other == name).map(|(_, texts)| texts.clone());
                values.retain(|(other, _)| *other != name);
                let kept =
                    below.into_iter().flatten().filter(|text| !texts.iter().any(|other| is_of_one(&name, text, other)));
                let kept: Vec<String> = kept.collect();
                values.push((name, texts.into_iter().chain(kept).collect()));
            }
        }
    }
    Ok(values)
}

/// The settings that a key gives. What HR calls columns and types may stand in a table: `[map]` with `user_id =
/// "Personal-Nr"` and, of words, `Mitarbeiter = "User"`; words alone in `[map-type]`, or in `[map.type]`.
fn values_of(path: &Path, key: &str, value: toml::Value) -> Result<Values, SettingsError> {
    let name = key.replace('_', "-");
    let toml::Value::Table(table) = value else { return Ok(vec![one_value(path, key, value)?]) };
    if name != "map" && name != "map-type" {
        return Ok(vec![one_value(path, key, toml::Value::Table(table))?]);
    }
    let kind = |inner: &str| SettingsError::Kind { path: path.to_owned(), key: format!("{key}.{}", Shown(inner)) };
    let (mut columns, mut types) = (Vec::new(), Vec::new());
    for (inner, value) in table {
        match value {
            toml::Value::Table(words) if name == "map" && ["type", "types", "employee_type"].contains(&&*inner) => {
                for (word, value) in words {
                    let meant = value.as_str().ok_or_else(|| kind(&word))?;
                    types.push(format!("{word}={meant}"));
                }
            }
            toml::Value::String(meant) if name == "map-type" => types.push(format!("{inner}={meant}")),
            toml::Value::String(meant) => {
                let is_word = inner.parse::<Role>().is_err() && meant.parse::<EmployeeType>().is_ok();
                let into = if is_word { &mut types } else { &mut columns };
                into.push(format!("{inner}={meant}"));
            }
            _ => return Err(kind(&inner)),
        }
    }
    let both = [("map", columns), ("map-type", types)];
    Ok(both.into_iter().filter(|(_, texts)| !texts.is_empty()).map(|(name, texts)| (name.to_owned(), texts)).collect())
}

/// Whether a value replaces another one of the same setting. Of columns and words each is a setting of its own.
fn is_of_one(name: &str, one: &str, other: &str) -> bool {
    match name {
        "map" => {
            let role = |text: &str| text.split('=').next().and_then(|role| role.parse::<Role>().ok());
            role(one) == role(other)
        }
        "map-type" => {
            let word = |text: &str| text.rsplit_once('=').map(|(word, _)| word.trim().to_lowercase());
            word(one) == word(other)
        }
        _ => true,
    }
}

fn one_value(path: &Path, key: &str, value: toml::Value) -> Result<(String, Vec<String>), SettingsError> {
    let name = key.replace('_', "-");
    let shown = Shown(key).to_string();
    let looks_secret = ["api-key", "token", "password", "secret", "machine-key"].contains(&name.as_str());
    if looks_secret {
        return Err(SettingsError::Secret { path: path.to_owned(), key: shown });
    }
    let known = known_settings();
    if !known.contains(&name) {
        let suggestion = known
            .into_iter()
            .map(|other| (strsim::jaro_winkler(&other, &name), other))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, other)| other);
        return Err(SettingsError::UnknownKey { path: path.to_owned(), key: shown, suggestion });
    }
    let kind = || SettingsError::Kind { path: path.to_owned(), key: shown.clone() };
    let texts = match value {
        toml::Value::Array(items) => items.into_iter().map(scalar).collect::<Option<Vec<_>>>().ok_or_else(kind)?,
        other => vec![scalar(other).ok_or_else(kind)?],
    };
    Ok((name, texts))
}

fn scalar(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

/// The long names of every option that a settings file may set.
fn known_settings() -> Vec<String> {
    let command = Cli::command();
    let all = command.get_subcommands().flat_map(clap::Command::get_arguments).chain(command.get_arguments());
    let mut names: Vec<String> = all
        .filter(|arg| !NOT_IN_FILE.contains(&arg.get_id().as_str()))
        .filter_map(|arg| arg.get_long().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The command with the file's values as its options' defaults.
fn with_defaults(command: clap::Command, file: &File) -> Result<clap::Command, SettingsError> {
    let mut wrong = None;
    let mut apply = |command: clap::Command| {
        command.mut_args(|arg| {
            let value = arg.get_long().and_then(|long| file.values.iter().find(|(name, _)| name == long));
            let Some((name, texts)) = value.filter(|_| !NOT_IN_FILE.contains(&arg.get_id().as_str())) else {
                return arg;
            };
            let texts: Result<Vec<String>, NoHome> = match texts {
                texts if name == "notify" => texts.iter().map(|text| notified(text, file)).collect(),
                texts if is_path(&arg) => texts.iter().map(|text| from_file(text, file)).collect(),
                texts => Ok(texts.clone()),
            };
            match texts {
                Ok(texts) => {
                    let may_be_shown = texts.iter().all(|text| masked_value(text) == *text);
                    arg.default_values(texts.into_iter().map(clap::builder::OsStr::from))
                        .hide_default_value(!may_be_shown)
                }
                Err(source) => {
                    wrong = Some(SettingsError::NoHome { path: file.path.clone(), key: name.clone(), source });
                    arg
                }
            }
        })
    };
    let command = apply(command).mut_subcommands(&mut apply);
    wrong.map_or(Ok(command), Err)
}

/// A target of notices: what stands after its `@` is a path.
fn notified(text: &str, file: &File) -> Result<String, NoHome> {
    match text.strip_prefix('@').filter(|path| !path.contains("://")) {
        Some(path) => Ok(format!("@{}", from_file(path, file)?)),
        None => Ok(text.to_owned()),
    }
}

/// Whether an option takes a path: its value is called so in the help.
fn is_path(arg: &clap::Arg) -> bool {
    arg.get_value_names()
        .unwrap_or_default()
        .iter()
        .any(|name| matches!(name.as_str(), "PATH" | "FILE" | "PLACE" | "DIR"))
}

/// A path of the settings file: `~` is the home, and what is not absolute lies below the file's own folder, wherever
/// the program is started. `-` is standard output, and what has a scheme is no path, but for a ledger's folder.
fn from_file(text: &str, file: &File) -> Result<String, NoHome> {
    if let Some(folder) = text.strip_prefix("file://") {
        return Ok(format!("file://{}", from_file(folder, file)?));
    }
    if text.is_empty() || text == "-" || place::has_scheme(text) {
        return Ok(text.to_owned());
    }
    let path = home::at_home(Path::new(text), home::home().as_deref())?;
    let folder = file.path.parent().unwrap_or(Path::new(""));
    Ok(folder.join(path).to_string_lossy().into_owned())
}

/// The key itself has no option: a secret is no argument's value.
#[expect(clippy::disallowed_methods, reason = "whether the key is set, not what it is")]
fn key_in_environment() -> Option<Setting> {
    std::env::var_os("ONBOARD_API_KEY").filter(|key| !key.to_string_lossy().trim().is_empty()).map(|_key| Setting {
        name: "api-key".to_owned(),
        value: "set".to_owned(),
        source: Provenance::Environment("ONBOARD_API_KEY".to_owned()),
    })
}

/// `pass \u{2026}`
fn first_word(command: &str) -> String {
    match command.split_whitespace().next() {
        Some(word) if word == command => masked_value(word),
        Some(word) if !word.contains('=') => format!("{} \u{2026}", masked_value(word)),
        Some(_) | None => "set".to_owned(),
    }
}

/// Every option of the chosen command, with its value and where that comes from.
fn effective(command: &clap::Command, matches: &ArgMatches, file: Option<&File>) -> Vec<Setting> {
    let Some((name, matches)) = matches.subcommand() else { return Vec::new() };
    let Some(command) = command.find_subcommand(name) else { return Vec::new() };
    let mut settings = Vec::new();
    for arg in command.get_arguments() {
        let (Some(long), id) = (arg.get_long(), arg.get_id().as_str()) else { continue };
        if ["help", "version", "config", "profile"].contains(&id) {
            continue;
        }
        let in_file = file.filter(|file| file.values.iter().any(|(name, _)| name == long));
        let source = match (matches.try_contains_id(id).ok().and_then(|_| matches.value_source(id)), in_file) {
            (Some(ValueSource::CommandLine), _) => Provenance::CommandLine,
            (Some(ValueSource::EnvVariable), _) => {
                let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                Provenance::Environment(variable)
            }
            (_, Some(file)) => Provenance::File(file.path.clone()),
            _ => Provenance::Default,
        };
        let raw: Vec<String> = matches
            .try_get_raw(id)
            .ok()
            .flatten()
            .map(|values| values.map(|value| value.to_string_lossy().into_owned()).collect())
            .unwrap_or_default();
        let value = match id {
            "ledger" => {
                raw.first().map(|given| place::shown(given).unwrap_or_else(|| masked_value(given))).unwrap_or_default()
            }
            "key" if source != Provenance::Default => "set".to_owned(),
            // What follows the program's name may be a secret, and how would one know.
            "api_key_command" | "smtp_password_command" => {
                raw.first().map(|command| first_word(command)).unwrap_or_default()
            }
            _ => raw.iter().map(|value| masked_value(value)).collect::<Vec<_>>().join(","),
        };
        settings.push(Setting { name: long.to_owned(), value: Shown(&value).to_string(), source });
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_that_takes_a_path_is_known_as_one() {
        let command = Cli::command();
        let all = command.get_subcommands().flat_map(clap::Command::get_arguments).chain(command.get_arguments());
        let paths = [std::any::TypeId::of::<PathBuf>(), std::any::TypeId::of::<super::super::ResultsTarget>()];
        for arg in all.filter(|arg| arg.get_long().is_some()) {
            let named = arg.get_long().is_some_and(|long| long.ends_with("-file") || long == "ledger");
            if named || paths.iter().any(|path| arg.get_value_parser().type_id() == *path) {
                assert!(is_path(arg), "{}", arg.get_id());
            }
        }
    }

    #[test]
    fn a_path_of_the_file_is_found_from_the_files_own_folder() {
        let file = File { path: "/etc/onboard/onboard.toml".into(), values: Vec::new(), profiles: None };
        let path = |text| from_file(text, &file).expect("a path");
        assert_eq!(path("ledger.db"), "/etc/onboard/ledger.db");
        assert_eq!(path("../ca.pem"), "/etc/onboard/../ca.pem");
        for as_it_is in
            ["/var/lib/ledger.db", "-", "", "s3://bucket/ledger", "postgres://db/hr?ledger=a", "file:///var"]
        {
            assert_eq!(path(as_it_is), as_it_is);
        }
        assert_eq!(path("file://ledger"), "file:///etc/onboard/ledger");
        let here = File { path: "onboard.toml".into(), values: Vec::new(), profiles: None };
        assert_eq!(from_file("ledger.db", &here), Ok("ledger.db".into()));
        assert!(from_file("~ben/ledger.db", &here).is_err());
    }
}
