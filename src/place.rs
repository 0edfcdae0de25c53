//! Where a ledger lies: a file, or a log elsewhere, as it is typed and set; and where it lies when nobody says: the user's
//! state directory, one file for all portals.
//!
//! No text of this module holds a user, a password or a query of what was given: what is no place is not told back.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use reqwest::Url;

use crate::{
    display::{Shown, shown_path},
    home::{self, at_home},
    origin::Origin,
};

/// Stands for the portal's host, and `-PORT` where it has one.
const PORTAL: &str = "{portal}";

/// Where a ledger lies.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A file of this machine.
    File(PathBuf),
    /// A log in a folder.
    Folder(PathBuf),
    /// A log in a bucket.
    Bucket(Bucket),
    /// A log in a table of PostgreSQL.
    Postgres(Database),
}

/// Whose object store it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon S3, and whatever speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

/// A prefix in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Whose.
    pub cloud: Cloud,
    /// The bucket, or container.
    pub bucket: String,
    /// What all names of the log begin with, without a slash at its ends; may be empty.
    pub prefix: String,
}

/// A ledger's name in a database.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Database {
    /// Who connects, where that is said. Never shown.
    pub user: Option<String>,
    /// The server, where it is said; `host` may stand among the parameters (a socket's folder).
    pub host: Option<String>,
    /// Its port, where it is said.
    pub port: Option<u16>,
    /// The database, where it is said.
    pub database: Option<String>,
    /// The ledger's name in the table; `*` for all of them.
    pub ledger: String,
    /// What else the query says, in its order: `sslmode`, `sslrootcert` and so on. Never shown.
    pub parameters: Vec<(String, String)>,
}

/// What a command that only looks was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// One ledger.
    One(Place),
    /// Every ledger right below a folder or prefix, or of a database (whose `ledger` is `*`).
    All(Place),
}

/// There is no place for the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// A CI runner's home is forgotten after the job.
    #[error(
        "under CI the ledger must be given with --ledger PATH (or ONBOARD_LEDGER), on storage that outlives the job: a \
         runner's home is forgotten, and next month everybody would be congratulated again"
    )]
    Ci,
    /// No home directory.
    #[error("there is no home directory to keep the ledger in; name a file with --ledger PATH (or ONBOARD_LEDGER)")]
    NoHome,
    /// The path begins with a home directory that nobody knows.
    #[error(transparent)]
    Path(#[from] home::NoHome),
    /// The portal stands in the place, and nobody said which one.
    #[error(
        "the ledger's place holds {{portal}}, and no portal is known here; give it with --portal URL (or ONBOARD_PORTAL), \
         or name the ledger without {{portal}}"
    )]
    NoPortal,
    /// A scheme that no ledger has.
    #[error(
        "`{0}` is no place for a ledger; give a file's path, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, \
         az://CONTAINER/PREFIX, postgres://HOST/DATABASE?ledger=NAME or file://FOLDER"
    )]
    UnknownScheme(String),
    /// A user, a password or a key stands in it. It is not shown.
    #[error("the ledger's place holds a user name, password or key, which must not stand there; {0}")]
    HoldsSecret(&'static str),
    /// It is not written as its kind is.
    #[error("the ledger's place is not like {form}: {why}")]
    Malformed {
        /// How it is written.
        form: &'static str,
        /// What is wrong, without any of its text but what may be shown.
        why: String,
    },
    /// All ledgers, where one is needed.
    #[error(
        "`*` stands for every ledger, for commands that only look, such as `onboard history`; name one ledger here"
    )]
    NotOne,
    /// Folders cannot be synced there.
    #[error(
        "a ledger in a folder (file://) is not for Windows, which cannot make folders durable; name a file, or a bucket"
    )]
    FolderOnWindows,
    /// A place that this command cannot use.
    #[error("{0} is not on this machine, and only a ledger in a file can be used here; name a file with --ledger PATH")]
    NoFile(String),
}

/// The ledger's place: the given one, or the file in the user's state directory, unless this is CI.
#[expect(clippy::disallowed_methods, reason = "the environment says where the user's state directory is")]
pub fn place(given: Option<&Path>, portal: Option<&Origin>) -> Result<Place, NoPlace> {
    match asked_of(given, portal, |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))? {
        Asked::One(place) => Ok(place),
        Asked::All(_) => Err(NoPlace::NotOne),
    }
}

/// As [`place()`], for a command that only looks: `.../*` and `?ledger=*` are every ledger there.
#[expect(clippy::disallowed_methods, reason = "the environment says where the user's state directory is")]
pub fn asked(given: Option<&Path>, portal: Option<&Origin>) -> Result<Asked, NoPlace> {
    asked_of(given, portal, |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

/// Where the ledgers of other portals lie, if the given place ends with `{portal}`: right below this one.
pub fn siblings(given: Option<&Path>) -> Result<Option<Place>, NoPlace> {
    let Some(text) = given.and_then(Path::to_str) else { return Ok(None) };
    let all = match text.trim_end_matches('/').strip_suffix(PORTAL) {
        Some(before) if before.ends_with('/') || before.ends_with("ledger=") => format!("{before}*"),
        _ => return Ok(None),
    };
    match asked(Some(Path::new(&all)), None)? {
        Asked::All(place) => Ok(Some(place)),
        Asked::One(_) => Ok(None),
    }
}

/// The name of a place that is not in a file, as it was given; none of what is a path, or something else. Of what is no
/// place none the less only the scheme is told.
pub fn shown(given: &str) -> Option<String> {
    match read(given, None, None) {
        Ok(None) | Err(NoPlace::UnknownScheme(_)) => None,
        Ok(Some(Asked::All(place @ Place::Postgres(_)) | Asked::One(place))) => Some(place.name()),
        Ok(Some(Asked::All(place))) => Some(format!("{}/*", place.name())),
        Err(_) => scheme(given).map(|(scheme, _)| format!("{scheme}:\u{2026}")),
    }
}

/// Whether a text names a place by its scheme, well or badly, as against a path.
pub fn has_scheme(given: &str) -> bool {
    scheme(given).is_some()
}

impl Place {
    /// The place as people may read it: without user, password and query, but with the ledger's name.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => shown_path(path),
            Self::Folder(path) => format!("file://{}", shown_path(path)),
            Self::Bucket(Bucket { cloud, bucket, prefix }) => {
                let slash = if prefix.is_empty() { "" } else { "/" };
                format!("{}://{bucket}{slash}{prefix}", cloud.scheme())
            }
            Self::Postgres(database) => {
                let port = database.port.map(|port| format!(":{port}")).unwrap_or_default();
                let host = database.host.as_deref().unwrap_or_default();
                let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
                let name = database.database.as_deref().unwrap_or_default();
                format!("postgres://{}{port}/{}?ledger={}", Shown(&host), Shown(name), Shown(&database.ledger))
            }
        }
    }

    /// The path of a ledger in a file.
    pub fn as_file(&self) -> Result<&Path, NoPlace> {
        match self {
            Self::File(path) => Ok(path),
            Self::Folder(_) | Self::Bucket(_) | Self::Postgres(_) => Err(NoPlace::NoFile(self.name())),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.name())
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Database({})", Place::Postgres(self.clone()).name())
    }
}

impl Cloud {
    /// What a place there begins with.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }

    const fn form(self) -> &'static str {
        match self {
            Self::S3 => "s3://BUCKET/PREFIX",
            Self::Gcs => "gs://BUCKET/PREFIX",
            Self::Azure => "az://CONTAINER/PREFIX",
        }
    }

    const fn credentials(self) -> &'static str {
        match self {
            Self::S3 => {
                "leave it off: credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from a role"
            }
            Self::Gcs => {
                "leave it off: credentials come from GOOGLE_APPLICATION_CREDENTIALS, or from the machine's account"
            }
            Self::Azure => {
                "leave it off: credentials come from AZURE_STORAGE_ACCOUNT_NAME and the other AZURE_ variables"
            }
        }
    }
}

const POSTGRES: &str = "postgres://HOST/DATABASE?ledger=NAME";
const PASSWORD: &str =
    "leave the password off: it comes from ONBOARD_LEDGER_PASSWORD_FILE, PGPASSWORD, PGPASSFILE or ~/.pgpass";

fn asked_of(
    given: Option<&Path>,
    portal: Option<&Origin>,
    variable: impl Fn(&str) -> Option<PathBuf>,
) -> Result<Asked, NoPlace> {
    let name = portal.map(portal_name);
    let home = variable(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
    let elsewhere = given.and_then(Path::to_str).map(|text| {
        if text.contains(PORTAL) && name.is_none() {
            return Err(NoPlace::NoPortal);
        }
        read(text, name.as_deref(), home.as_deref())
    });
    if let Some(asked) = elsewhere.transpose()?.flatten() {
        return Ok(asked);
    }
    let given = given.map(|path| match (path.to_str(), &name) {
        (Some(text), Some(name)) => PathBuf::from(text.replace(PORTAL, name)),
        _ => path.to_owned(),
    });
    choose(given.as_deref(), variable).map(|path| Asked::One(Place::File(path)))
}

/// `portal.example.com`, `localhost-8092`.
fn portal_name(portal: &Origin) -> String {
    let (host, port) = portal.host_and_port();
    let host = host.trim_matches(['[', ']']).replace(':', "-");
    port.map_or_else(|| host.clone(), |port| format!("{host}-{port}"))
}

/// The scheme of a text that begins with one, and what follows its colon. One letter is a drive.
fn scheme(text: &str) -> Option<(String, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_one = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let scheme = scheme.to_ascii_lowercase();
    let is_ours = ["s3", "gs", "az", "postgres", "postgresql", "file"].contains(&scheme.as_str());
    (is_one && (rest.starts_with("//") || is_ours)).then_some((scheme, rest))
}

/// A place by its scheme; none where it has none and is a path. Without a portal `{portal}` stays as it is.
fn read(text: &str, portal: Option<&str>, home: Option<&Path>) -> Result<Option<Asked>, NoPlace> {
    let Some((scheme, rest)) = scheme(text) else { return Ok(None) };
    let form = match scheme.as_str() {
        "s3" => Cloud::S3.form(),
        "gs" => Cloud::Gcs.form(),
        "az" => Cloud::Azure.form(),
        "postgres" | "postgresql" => POSTGRES,
        "file" => "file://FOLDER",
        other => return Err(NoPlace::UnknownScheme(format!("{}://", Shown(other)))),
    };
    let malformed = |why: &str| NoPlace::Malformed { form, why: why.to_owned() };
    let Some(rest) = rest.strip_prefix("//") else { return Err(malformed("two slashes follow the colon")) };
    let with_portal = |text: &str| portal.map_or_else(|| text.to_owned(), |portal| text.replace(PORTAL, portal));
    let asked = match scheme.as_str() {
        "s3" => bucket(Cloud::S3, rest, &with_portal)?,
        "gs" => bucket(Cloud::Gcs, rest, &with_portal)?,
        "az" => bucket(Cloud::Azure, rest, &with_portal)?,
        "file" => folder(rest, home, &with_portal)?,
        _ => database(rest, &with_portal)?,
    };
    Ok(Some(asked))
}

fn bucket(cloud: Cloud, rest: &str, with_portal: &impl Fn(&str) -> String) -> Result<Asked, NoPlace> {
    let malformed = |why: &str| NoPlace::Malformed { form: cloud.form(), why: why.to_owned() };
    if rest.contains('@') {
        return Err(NoPlace::HoldsSecret(cloud.credentials()));
    }
    if rest.contains(['?', '#']) {
        return Err(malformed("nothing may follow a `?` or `#`; settings and keys come from the environment"));
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.contains(':') {
        return Err(NoPlace::HoldsSecret(cloud.credentials()));
    }
    let is_name = (3..=222).contains(&bucket.len())
        && bucket.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if !is_name {
        return Err(malformed("the name before the first slash has at least 3 letters, digits, dots and dashes"));
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let (prefix, all) = match prefix {
        "*" => ("", true),
        prefix => prefix.strip_suffix("/*").map_or((prefix, false), |before| (before, true)),
    };
    let is_odd = |segment: &str| segment.is_empty() || segment == "." || segment == "..";
    if !prefix.is_empty() && prefix.split('/').any(is_odd) {
        return Err(malformed("no part of the prefix may be empty, `.` or `..`"));
    }
    if prefix.contains('*') {
        return Err(malformed("`*` stands at the end only, after a slash"));
    }
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '=' | '+' | ',' | '!' | '(' | ')');
    if !prefix.replace(PORTAL, "").chars().all(fits) || prefix.len() > 700 {
        return Err(malformed("the prefix is made of letters, digits, dashes, dots and slashes, and {portal}"));
    }
    let place = Place::Bucket(Bucket { cloud, bucket: bucket.to_owned(), prefix: with_portal(prefix) });
    Ok(if all { Asked::All(place) } else { Asked::One(place) })
}

fn folder(rest: &str, home: Option<&Path>, with_portal: &impl Fn(&str) -> String) -> Result<Asked, NoPlace> {
    if cfg!(all(windows, not(debug_assertions))) {
        return Err(NoPlace::FolderOnWindows);
    }
    // `file:///C:/folder`, as browsers write it.
    let drive = |rest: &str| rest.as_bytes().get(1..3).is_some_and(|rest| rest.ends_with(b":"));
    let rest = if cfg!(windows) && drive(rest) { rest.trim_start_matches('/') } else { rest };
    let (rest, all) = match rest {
        "*" => (".", true),
        "/*" => ("/", true),
        rest => rest.strip_suffix("/*").map_or((rest, false), |before| (before, true)),
    };
    if rest.is_empty() {
        let why = "the folder is missing".to_owned();
        return Err(NoPlace::Malformed { form: "file://FOLDER", why });
    }
    let path = PathBuf::from(with_portal(rest));
    let place = Place::Folder(if home.is_some() || !rest.starts_with('~') { at_home(&path, home)? } else { path });
    Ok(if all { Asked::All(place) } else { Asked::One(place) })
}

fn database(rest: &str, with_portal: &impl Fn(&str) -> String) -> Result<Asked, NoPlace> {
    let malformed = |why: &str| NoPlace::Malformed { form: POSTGRES, why: why.to_owned() };
    // A password may hold a slash or a question mark that nobody encoded: what follows is none of these then.
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if rest.len() > authority.len() && rest.get(authority.len()..).is_some_and(|more| more.contains('@')) {
        return Err(NoPlace::HoldsSecret(PASSWORD));
    }
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if user.is_some_and(|user| user.contains([':', '@'])) {
        return Err(NoPlace::HoldsSecret(PASSWORD));
    }
    // Braces would be encoded in a host, and no host has them.
    let url = Url::parse(&format!("postgres://{rest}")).map_err(|_told_without_its_text| {
        if host.matches(':').count() == 1 {
            malformed("after the colon stands the port, a number")
        } else {
            malformed("it cannot be read")
        }
    })?;
    if url.fragment().is_some() {
        return Err(malformed("nothing may follow a `#`"));
    }
    let decoded = |text: &str| {
        let text = form_decoded(text).ok_or_else(|| malformed("what is percent-encoded in it is no text"))?;
        Ok::<_, NoPlace>(text).map(|text| (!text.is_empty()).then_some(text))
    };
    let user = decoded(url.username())?;
    let host = decoded(url.host_str().unwrap_or_default().trim_matches(['[', ']']))?;
    let database = decoded(url.path().strip_prefix('/').unwrap_or_default())?;
    if database.as_deref().is_some_and(|name| name.contains('/')) {
        return Err(malformed("one name alone follows the host, that of the database"));
    }
    let (mut ledger, mut parameters) = (None, Vec::new());
    for (key, value) in url.query_pairs() {
        match &*key {
            "ledger" if ledger.is_some() => return Err(malformed("the ledger has one name")),
            "ledger" => ledger = Some(value.into_owned()),
            key if key.to_ascii_lowercase().contains("password") => return Err(NoPlace::HoldsSecret(PASSWORD)),
            _ => parameters.push((key.into_owned(), value.into_owned())),
        }
    }
    let ledger = ledger.filter(|name| !name.is_empty());
    let Some(ledger) = ledger else {
        return Err(malformed("?ledger=NAME is missing: the ledger's name in the database"));
    };
    let rest_of_it = ledger.replace(PORTAL, "");
    if ledger != "*" && rest_of_it.contains(['*', '{', '}']) || ledger.len() > 200 || ledger.contains(char::is_control)
    {
        return Err(malformed(
            "the ledger's name has at most 200 characters, without `*`, braces and control characters",
        ));
    }
    let all = ledger == "*";
    let ledger = with_portal(&ledger);
    let place = Place::Postgres(Database { user, host, port: url.port(), database, ledger, parameters });
    Ok(if all { Asked::All(place) } else { Asked::One(place) })
}

/// A part of an address without its percent-encoding.
fn form_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = (*first == b'%').then(|| after.get(..2).and_then(|two| std::str::from_utf8(two).ok()));
        if let Some(byte) = digits.flatten().and_then(|two| u8::from_str_radix(two, 16).ok()) {
            bytes.push(byte);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

fn choose(given: Option<&Path>, variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, NoPlace> {
    let home = || variable(if cfg!(windows) { "USERPROFILE" } else { "HOME" });
    if let Some(path) = given {
        // No shell has seen `--ledger=~/l.db`, and none a variable that CI or systemd sets.
        return Ok(at_home(path, home().as_deref())?);
    }
    let ci = variable("CI").is_some_and(|value| matches!(value.to_str(), Some("true" | "1" | "TRUE" | "True")));
    if ci {
        return Err(NoPlace::Ci);
    }
    let state = if cfg!(windows) {
        variable("LOCALAPPDATA").or_else(|| home().map(|home| home.join("AppData").join("Local")))
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library").join("Application Support"))
    } else {
        // The specification of these directories has relative paths ignored.
        variable("XDG_STATE_HOME")
            .filter(|path| path.is_absolute())
            .or_else(|| home().map(|home| home.join(".local").join("state")))
    };
    state.map(|state| state.join("onboard").join("ledger.db")).ok_or(NoPlace::NoHome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)]) -> Result<PathBuf, NoPlace> {
        choose(None, |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_lies_in_the_state_directory_unless_this_is_ci() {
        assert_eq!(chosen(&[("HOME", "/h")]), Ok("/h/.local/state/onboard/ledger.db".into()));
        assert_eq!(chosen(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]), Ok("/s/onboard/ledger.db".into()));
        assert_eq!(chosen(&[("HOME", "/h"), ("XDG_STATE_HOME", "s")]), Ok("/h/.local/state/onboard/ledger.db".into()));
        assert_eq!(chosen(&[]), Err(NoPlace::NoHome));
        assert_eq!(chosen(&[("HOME", "/h"), ("CI", "true")]), Err(NoPlace::Ci));
        assert_eq!(chosen(&[("HOME", "/h"), ("CI", "1")]), Err(NoPlace::Ci));
        assert_eq!(chosen(&[("HOME", "/h"), ("CI", "false")]), Ok("/h/.local/state/onboard/ledger.db".into()));
        assert_eq!(choose(Some(Path::new("x")), |_| Some("true".into())), Ok("x".into()));
        let home = |name: &str| (name == "HOME").then(|| "/h".into());
        assert_eq!(choose(Some(Path::new("~/l.db")), home), Ok("/h/l.db".into()));
    }

    fn asked_for(text: &str, portal: Option<&str>) -> Result<Asked, NoPlace> {
        let portal = portal.map(|portal| portal.parse::<Origin>().expect("an origin"));
        asked_of(Some(Path::new(text)), portal.as_ref(), |name| (name == "HOME").then(|| "/h".into()))
    }

    fn name_of(text: &str) -> String {
        match asked_for(text, Some("https://Portal.Example.com")) {
            Ok(Asked::One(place)) => place.name(),
            Ok(Asked::All(place)) => format!("all of {}", place.name()),
            Err(why) => format!("no: {why}"),
        }
    }

    #[test]
    fn places_are_told_by_their_scheme() {
        for (given, name) in [
            ("s3://bucket/onboard/a", "s3://bucket/onboard/a"),
            ("S3://bucket/onboard/a/", "s3://bucket/onboard/a"),
            ("s3://bucket", "s3://bucket"),
            ("gs://bucket/{portal}", "gs://bucket/portal.example.com"),
            ("az://container/a/*", "all of az://container/a"),
            ("az://container/*", "all of az://container"),
            ("file:///var/ledger", "file:///var/ledger"),
            ("file://here/it", "file://here/it"),
            ("file://~/it/{portal}", "file:///h/it/portal.example.com"),
            ("file:///var/*", "all of file:///var"),
            (
                "postgres://anna@db.example.com:5433/hr?ledger=a&sslmode=verify-full",
                "postgres://db.example.com:5433/hr?ledger=a",
            ),
            ("postgresql:///hr?host=/var/run/postgresql&ledger={portal}", "postgres:///hr?ledger=portal.example.com"),
            ("postgres://db/hr?ledger=*", "all of postgres://db/hr?ledger=*"),
            ("/var/{portal}.db", "/var/portal.example.com.db"),
            ("~/{portal}/l.db", "/h/portal.example.com/l.db"),
            ("C:\\ledger.db", "C:\\ledger.db"),
            ("c:/ledger.db", "c:/ledger.db"),
            ("a:b.db", "a:b.db"),
            ("notes: 1.db", "notes: 1.db"),
            ("./s3://x", "./s3://x"),
        ] {
            assert_eq!(name_of(given), name, "{given}");
        }
    }

    #[test]
    fn a_database_is_taken_apart() {
        let Ok(Asked::One(Place::Postgres(found))) =
            asked_for("postgres://an%40na@[::1]:5433/h%20r?sslmode=disable&ledger=a+b&host=%2Frun", None)
        else {
            panic!("a database");
        };
        assert_eq!(found.user.as_deref(), Some("an@na"));
        assert_eq!((found.host.as_deref(), found.port), (Some("::1"), Some(5433)));
        assert_eq!((found.database.as_deref(), found.ledger.as_str()), (Some("h r"), "a b"));
        let parameters =
            [("sslmode", "disable"), ("host", "/run")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(found.parameters, parameters);
        assert_eq!(format!("{found:?}"), "Database(postgres://[::1]:5433/h r?ledger=a b)");
    }

    #[test]
    fn the_portals_port_is_part_of_its_name() {
        let with = |portal| asked_for("s3://bucket/{portal}", portal).map(|asked| format!("{asked:?}"));
        assert_eq!(with(Some("http://localhost:8092")), Ok("One(Place(s3://bucket/localhost-8092))".into()));
        assert_eq!(with(Some("http://[::1]:8092")), Ok("One(Place(s3://bucket/--1-8092))".into()));
        for place in ["s3://bucket/{portal}", "/var/{portal}.db", "postgres://h/d?ledger={portal}", "file://{portal}"] {
            assert_eq!(asked_for(place, None), Err(NoPlace::NoPortal), "{place}");
        }
    }

    #[test]
    fn what_looks_like_a_place_and_is_none_is_refused() {
        for text in ["s4://bucket/x", "https://example.com/l.db", "sqlite:///l.db", "azure://c/x"] {
            assert!(matches!(asked_for(text, None), Err(NoPlace::UnknownScheme(_))), "{text}");
        }
        for text in [
            "s3:bucket/x",
            "s3:/bucket/x",
            "s3://",
            "s3://ab/x",
            "s3:///x",
            "s3://bucket//x",
            "s3://bucket/a/../b",
            "s3://bucket/*/x",
            "s3://bucket/a*",
            "s3://bucket/{port}",
            "s3://bucket/x?versionId=1",
            "gs://bucket/x#y",
            "file://",
            "file:/x",
            "postgres://db/hr",
            "postgres://db/hr?ledger=",
            "postgres://db:port/hr?ledger=a",
            "postgres://db/hr/more?ledger=a",
            "postgres://db/hr?ledger=a&ledger=b",
            "postgres://db/hr?ledger=a*",
        ] {
            assert!(
                matches!(asked_for(text, None), Err(NoPlace::Malformed { .. })),
                "{text}: {:?}",
                asked_for(text, None)
            );
        }
        let one = place(Some(Path::new("s3://bucket/onboard/*")), None);
        assert_eq!(one, Err(NoPlace::NotOne));
    }

    #[test]
    fn no_secret_of_a_place_is_told_back() {
        for text in [
            "postgres://anna:SECRETPW@db/hr?ledger=a",
            "postgres://anna:@db/hr?ledger=SECRETPW",
            "postgres://anna:SECRETPW/more@db/hr?ledger=a",
            "postgres://anna:1/SECRETPW@db/hr?ledger=a",
            "postgres://anna:a?SECRETPW@db/hr?ledger=a",
            "postgres://anna:a#SECRETPW@db/hr?ledger=a",
            "postgres://anna:a@SECRETPW@db/hr?ledger=a",
            "postgres://db/hr?ledger=a&password=SECRETPW",
            "postgres://db/hr?ledger=a&sslPassword=SECRETPW",
            "postgres://anna:SECRETPW",
            "s3://key:SECRETPW@bucket/x",
            "s3://key:SECRETPW/x",
            "s3://key/SECRETPW@bucket/x",
            "gs://SECRETPW@bucket/x",
            "az://container/x?sig=SECRETPW",
            "s4://key:SECRETPW@bucket/x",
            "https://u:SECRETPW@host/x",
        ] {
            let error = asked_for(text, None).expect_err(text);
            assert!(!format!("{error} {error:?} {:?}", shown(text)).contains("SECRETPW"), "{text}: {error}");
        }
        for text in ["postgres://SECRETPW@db/hr?ledger=a", "postgres://db/hr?ledger=a&sslrootcert=SECRETPW"] {
            let asked = asked_for(text, None).expect("a place");
            assert!(!format!("{asked:?} {} {:?}", name_of(text), shown(text)).contains("SECRETPW"), "{text}");
        }
    }

    #[test]
    fn what_was_set_is_shown_as_it_may_be() {
        for (given, told) in [
            ("s3://bucket/{portal}", "s3://bucket/{portal}"),
            ("s3://bucket/*", "s3://bucket/*"),
            ("file://~/x/{portal}", "file://~/x/{portal}"),
            ("postgres://anna@db/hr?ledger={portal}&sslmode=x", "postgres://db/hr?ledger={portal}"),
            ("postgres://anna:pw@db/hr?ledger=a", "postgres:\u{2026}"),
        ] {
            assert_eq!(shown(given).as_deref(), Some(told));
        }
    }

    #[test]
    fn a_path_is_not_shown_as_a_place() {
        for given in ["~/{portal}.db", "/var/l.db", "https://example.com", "--ledger"] {
            assert_eq!(shown(given), None);
        }
    }

    #[test]
    fn the_others_lie_beside_a_portals_own() {
        let of = |text: &str| siblings(Some(Path::new(text))).map(|found| found.map(|place| place.name()));
        assert_eq!(of("s3://bucket/onboard/{portal}"), Ok(Some("s3://bucket/onboard".into())));
        assert_eq!(of("postgres://a@db/hr?ledger={portal}"), Ok(Some("postgres://db/hr?ledger=*".into())));
        for alone in ["s3://bucket/onboard", "s3://bucket/{portal}/onboard", "/var/{portal}", "s3://bucket/x-{portal}"]
        {
            assert_eq!(of(alone), Ok(None), "{alone}");
        }
    }
}
