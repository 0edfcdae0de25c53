//! What is fuzzed, one function a target: each reads bytes from outside as the program does, and asserts what must hold
//! of whatever comes of them (`reliability.md` §5.4). `cargo fuzz` feeds them; `tests/corpus.rs` feeds them the kept
//! corpus, and mutations of it.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "panicking is how a target says that something does not hold"
)]

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    io::{self, Write},
    path::Path,
    sync::LazyLock,
    time::Duration,
};

use jiff::Timestamp;
use onboard::{
    attempt::{Ending, Held, LetGo, Mail},
    cli::{self, SettingsError},
    display::{MAX_SHOWN, Shown},
    ledger::{Clock, Intended, Intent, Ledger, LedgerError, Lock, Recorder, RunStart},
    letter::{Fields, Message, MessageId, Messages, Recipient, Values},
    origin::{Origin, PortalAddress},
    outcome::{Outcome, RowEnd},
    pace::Refusal,
    portal::{ErrorBody, Fault, LinkAnswer, envelope, person},
    report::page_of,
    results::write_to,
    roster::{Reading, Record, Roster, RosterError, Row, RowState, diagnostics, fix},
    secret::Secret,
    sheet::{COLUMNS, denature, neutralise},
    user::{Email, EmailDigest, EmployeeType, UserId},
};
use regex::Regex;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A target: bytes in, a panic where something does not hold.
pub type Target = fn(&[u8]);

/// Every target, by the name of its corpus.
pub const TARGETS: [(&str, Target); 11] = [
    ("address", address),
    ("display", display),
    ("envelope", envelope),
    ("header", header),
    ("headers", headers),
    ("ledger", ledger),
    ("letter", letter),
    ("results", results),
    ("roster", roster),
    ("settings", settings),
    ("workbook", workbook),
];

/// What moves a cursor, hides, or reorders: by the tables of Unicode, not by ours.
static UNPRINTABLE: LazyLock<Regex> = LazyLock::new(|| regex(r"[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]"));
static UNASSIGNED: LazyLock<Regex> = LazyLock::new(|| regex(r"\p{Cn}"));
/// A user in front of an address's host.
static WITH_USER: LazyLock<Regex> = LazyLock::new(|| regex(r"^[a-z]+:[/\\]*[^/\\?#]*[^/\\?#:@][^/\\?#]*@"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern")
}

/// A line that does nothing to a terminal.
#[track_caller]
fn assert_plain(text: &str) {
    assert!(!UNPRINTABLE.is_match(text), "not fit to be shown: {text:?}");
}

/// Text from outside, as it is shown: one bounded line of printable characters.
pub fn display(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let shown = Shown(&text).to_string();
    assert_plain(&shown);
    // Each character is shown as itself, or as at most ten: `\u{10ffff}`.
    assert!(shown.chars().count() <= MAX_SHOWN * 10 + 1, "too long: {shown:?}");
    // Characters that do not exist are spelt out too.
    let is_odd = UNPRINTABLE.is_match(&text) || UNASSIGNED.is_match(&text);
    assert!(is_odd || text.chars().count() > MAX_SHOWN || shown == text, "{shown:?} for {text:?}");
}

/// The portal's address, as it is typed or set: what is accepted is encrypted or stays on this machine, and names
/// nobody.
pub fn address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<PortalAddress>() {
        Ok(address) => {
            let host = address.host();
            let is_own = host == "localhost" || host.starts_with("127.") || host.starts_with("[::1]");
            assert!(address.is_https() || is_own, "in the clear: {address}");
            let url = address.join("/api/2.0/portal");
            assert!(url.username().is_empty() && url.password().is_none(), "it names somebody: {url}");
            assert!(matches!(url.scheme(), "https" | "http") && !host.is_empty(), "{url}");
            let origin = address.origin();
            assert_plain(origin.as_str());
            assert_eq!(origin.as_str().parse::<PortalAddress>(), Ok(address), "an origin is an address");
            assert_eq!(origin.as_str().parse(), Ok(origin), "an origin is a fixed point");
        }
        Err(error) => {
            let told = error.to_string();
            assert_plain(&told);
            // What stands before an `@` may be a password. The words in which it is told hold no digit.
            let user = text.rsplit_once('@').map(|(user, _)| user.rsplit(['/', ':']).next().unwrap_or_default());
            let is_telling = |user: &&str| user.len() >= 8 && user.contains(|c: char| c.is_ascii_digit());
            let is_shown = user.filter(is_telling).is_some_and(|user| told.contains(user));
            assert!(!is_shown || !WITH_USER.is_match(&text.trim().to_ascii_lowercase()), "it is shown: {told}");
        }
    }
    if let Ok(origin) = text.parse::<Origin>() {
        assert_plain(origin.as_str());
        assert!(!origin.as_str().contains('@'), "it names somebody: {origin}");
        assert_eq!(origin.as_str().parse(), Ok(origin), "an origin is a fixed point");
    }
}

/// A status, then headers, one a line: waits are bounded or absent, only a refusal has one, and of a redirect nothing
/// but the origin is told.
pub fn headers(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.trim().parse().ok()).unwrap_or(429);
    let headers: Vec<(String, &str)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    let get = |name: &str| headers.iter().find(|(other, _)| other == name).map(|(_, value)| *value);
    let refusal = Refusal::from_headers(status, get, get("date"));
    assert!(matches!(status, 429 | 503) || refusal.is_none(), "{status} is no refusal");
    assert!(status != 429 || refusal.is_some(), "429 is one, whatever comes with it");
    if let Some(wait) = refusal.and_then(|refusal| refusal.retry_after) {
        assert!((Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&wait), "{wait:?}");
    }
    let location = get("location").unwrap_or_default();
    let redirected = Fault::redirected(302, location);
    assert_plain(&redirected.to_string());
    // The query repeats the congratulation's key.
    let (address, query) = location.split_once('?').unwrap_or_default();
    let other = format!("{address}?{}", "0".repeat(query.len()));
    assert!(query.is_empty() || redirected == Fault::redirected(302, &other), "its query is shown: {redirected}");
}

/// The members of a JSON object as they stand there: repeated ones too, values unread.
struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    fn of(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The text of the one member of this name; twice is as good as never.
    fn one(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(other, _)| other == name);
        match (found.next(), found.next()) {
            (Some((_, value)), None) => Some(value.get()),
            _ => None,
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The body of an answer, whatever was asked: nobody is active, and nothing accepted, unless exactly that stands there.
pub fn envelope(bytes: &[u8]) {
    // What is not text is passed over where nothing depends on it.
    let whole = Members::of(String::from_utf8_lossy(bytes).as_bytes());
    let response = whole.as_ref().and_then(|whole| whole.one("response"));
    let is_success = whole.as_ref().is_some_and(|whole| {
        whole.one("status") == Some("0")
            && (!whole.has("statusCode") || matches!(whole.one("statusCode"), Some("200" | "null")))
    });
    assert!(
        envelope::accepted(bytes).is_err()
            || (is_success && whole.as_ref().and_then(|whole| whole.one("statusCode")) == Some("200"))
    );
    if let Ok(account) = person::account(bytes) {
        let member = Members::of(response.expect("one response").as_bytes()).expect("an object");
        assert!(is_success);
        let id: String = member.one("id").and_then(|id| serde_json::from_str(id).ok()).expect("one id");
        assert_eq!(id.parse(), Ok(account.id));
        assert_eq!(member.one("isActive"), Some(if account.is_active { "true" } else { "false" }));
        if account.is_due() {
            let status = member.one("status").map(str::to_ascii_lowercase);
            assert!(
                !member.has("status") || matches!(status.as_deref(), Some("1" | "null" | "\"active\"")),
                "{status:?}"
            );
            assert!(!member.has("removed") || matches!(member.one("removed"), Some("false" | "null")));
        }
    }
    if let Ok(account) = person::person(bytes) {
        assert!(is_success && says_activated(response.expect("one response"), account.is_active));
    }
    if let Ok(page) = person::page(bytes) {
        let entries: Vec<&RawValue> = serde_json::from_str(response.expect("one response")).expect("a list");
        assert_eq!(page.entries, entries.len());
        let mut entries = entries.into_iter();
        for account in &page.people {
            let is_it = |entry: &&RawValue| {
                let id = Members::of(entry.get().as_bytes())
                    .and_then(|entry| serde_json::from_str::<String>(entry.one("id")?).ok());
                id.is_some_and(|id| id.parse() == Ok(account.id)) && says_activated(entry.get(), account.is_active)
            };
            assert!(is_success && entries.any(|entry| is_it(&entry)), "made up: {account:?}");
        }
    }
    if let Ok(LinkAnswer::Link(link)) = envelope::link(bytes) {
        let link = link.as_str();
        assert_plain(link);
        assert!(is_success && link.len() <= 2048 && !link.contains(char::is_whitespace));
        let lower = link.to_ascii_lowercase();
        assert!(lower.starts_with("https:") || lower.starts_with("http:"), "{link}");
        assert!(!WITH_USER.is_match(&lower), "it names somebody: {link}");
    }
    let key = "sk-0123456789abcdef0123456789abcdef";
    let secret = Secret::new("key", key.to_owned()).expect("a key");
    let body = envelope::error_body(bytes, |text| secret.mask(text));
    if let ErrorBody::Envelope { message, .. } = &body {
        assert!(key.as_bytes().windows(8).all(|run| !message.as_bytes().windows(8).any(|other| other == run)));
    }
    assert_plain(&Fault::Answered { status: 403, body }.to_string());
}

/// Whether an entry of the listing has exactly one member that says that its user is active, or is not.
fn says_activated(entry: &str, active: bool) -> bool {
    let entry = Members::of(entry.as_bytes());
    let Some(status) = entry.as_ref().and_then(|entry| entry.one("activationStatus")) else { return false };
    match status.parse::<i64>() {
        Ok(flags) => (flags & 1 == 1) == active,
        // A name, perhaps with escapes.
        Err(_) => {
            serde_json::from_str::<String>(status).is_ok_and(|name| name.eq_ignore_ascii_case("activated") == active)
        }
    }
}

/// Names of columns are matched without these.
fn bare(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace() && *c != '_' && *c != '-').flat_map(char::to_lowercase).collect()
}

fn read(bytes: &[u8]) -> Option<Roster> {
    match Roster::read_from(&mut &*bytes, "it") {
        Ok(roster) => Some(roster),
        Err(error) => {
            assert!(!matches!(error, RosterError::Broke { .. } | RosterError::Spool { .. }), "{error}");
            assert_plain(&error.to_string());
            None
        }
    }
}

/// A header: each column is found at most once and in the file, nothing of ours is overwritten; and the same names are
/// found whatever separates them.
pub fn header(bytes: &[u8]) {
    if let Some(roster) = read(bytes) {
        let columns = roster.columns();
        assert!(",;\t|:^~".contains(roster.delimiter()));
        assert!(columns.user_id.or(columns.email).is_some() && columns.employee_type.is_some());
        let needed = [columns.user_id, columns.email, columns.employee_type, columns.key];
        let mut places: Vec<usize> = needed.into_iter().flatten().collect();
        assert!(places.iter().all(|place| *place < columns.names.len()));
        places.sort_unstable();
        assert!(places.windows(2).all(|two| two.first() != two.last()), "two in one column: {columns:?}");
        for (place, name) in &columns.passed {
            assert!(*place < columns.names.len() && Some(*place) != columns.key, "{columns:?}");
            assert!(COLUMNS.iter().all(|ours| bare(ours) != bare(name)), "it would pass for ours: {name}");
        }
        let ours = columns.results.map_or(0, |_| COLUMNS.len());
        let read = [columns.user_id, columns.employee_type, columns.key].into_iter().flatten().count();
        assert!(columns.results.is_some() || columns.passed.len() + read == columns.names.len(), "{columns:?}");
        assert!(columns.passed.len() + ours <= columns.names.len(), "{columns:?}");
    }
    // A line for each name.
    let text = String::from_utf8_lossy(bytes);
    if text.is_empty() || text.contains('\0') {
        return;
    }
    let found = |separator: u8| {
        let mut writer =
            csv::WriterBuilder::new().delimiter(separator).quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
        writer.write_record(text.split('\n')).expect("written");
        let bytes = writer.into_inner().expect("written");
        Roster::read_from(&mut &*bytes, "it").map(|roster| roster.columns().clone()).map_err(|error| error.to_string())
    };
    let by_comma = found(b',');
    for other in *b";\t|" {
        assert_eq!(format!("{:?}", found(other)), format!("{by_comma:?}"), "separated by {:?}", char::from(other));
    }
}

/// A roster in whatever encoding: no row is lost, what is read is canonical, what is told of it is harmless, and its
/// results are a roster of the same people.
pub fn roster(bytes: &[u8]) {
    let Some(roster) = read(bytes) else { return };
    let mut visited = 0;
    let mut line = 0;
    let visit = |number: usize, row: &Row, record: &Record, problem: Option<_>| -> io::Result<()> {
        assert_eq!((number, row), (visited, &roster.rows()[number]), "a gap");
        visited += 1;
        assert!(record.line >= line, "line {} after line {line}", record.line);
        line = record.line;
        assert_eq!(problem.is_some(), row.state == RowState::Invalid, "invalid for no reason, or in spite of one");
        let usable = row.employee_type.is_some() && (row.user.is_some() || row.email.is_some());
        assert!(usable || row.state == RowState::Invalid, "{row:?}");
        if let RowState::Duplicate { of } = row.state {
            let first = of.checked_sub(1).and_then(|first| roster.rows().get(first as usize)).expect("a row");
            assert!((of as usize) <= number && first.state != RowState::Invalid, "{row:?}");
        }
        if let Some(user) = row.user {
            assert!(!user.is_nobody());
            assert_eq!(user.to_string().parse(), Ok(user));
        }
        let email = roster.email(number)?;
        assert_eq!(email.as_ref().map(Email::digest), row.email);
        if let Some(email) = email {
            assert_plain(email.as_str());
            assert_eq!(email.as_str().parse(), Ok(email));
        }
        let key = roster.key(number)?.unwrap_or_default();
        assert!(key.len() <= 4096 && key.trim() == key);
        assert_plain(&key);
        Ok(())
    };
    roster.for_each(visit).expect("read again");
    assert_eq!(visited, roster.rows().len(), "rows lost");
    told(&roster);
    let written = results_of(&roster);
    let again = read(&written).expect("results are a roster");
    assert!(again.is_results() && again.has_bom() == roster.has_bom());
    assert_eq!(again.rows().len(), visited, "rows lost in the results");
    for (before, after) in roster.rows().iter().zip(again.rows()).filter(|(row, _)| row.state != RowState::Invalid) {
        assert!(after.state != RowState::Invalid, "{before:?} became {after:?}");
        assert_eq!((before.user, before.email, before.employee_type), (after.user, after.email, after.employee_type));
    }
    let mut carried = Vec::new();
    write_to(Mail::Congratulation, &again, &mut carried, |_| None).expect("written");
    assert_eq!(String::from_utf8(carried), String::from_utf8(written), "carried over with a change");
}

/// A workbook: an archive as it is, or what is in one, apart by NULs: a sheet, the shared texts, the list of sheets. It is
/// read or refused; what is read of it is a roster like any; and a repaired copy of it takes nobody for somebody else, and
/// is the repaired copy of itself.
pub fn workbook(bytes: &[u8]) {
    let archive = if bytes.starts_with(b"PK") { bytes.to_vec() } else { archive_of(bytes) };
    roster(&archive);
    let Some(before) = read(&archive) else { return };
    // A results file is not mended, nor is a row that is too large to be copied.
    let Ok(fixed) = fix::fix(&before, &Reading::default()) else { return };
    let who = |row: &Row| (row.user, row.email, row.employee_type);
    let mut revived = 0;
    if before.rows().len() == fixed.roster.rows().len() {
        for (before, after) in before.rows().iter().zip(fixed.roster.rows()) {
            match (before.state, after.state) {
                (_, RowState::Invalid) => {}
                (RowState::Invalid, _) => revived += 1,
                _ => assert_eq!(who(before), who(after), "somebody else"),
            }
        }
    }
    assert!(revived <= fixed.changes.len(), "a row became usable and nothing was told");
    let again = fix::fix(&fixed.roster, &Reading::default()).expect("a copy of the copy");
    assert_eq!(String::from_utf8_lossy(&again.text), String::from_utf8_lossy(&fixed.text));
    assert_eq!(again.changes, []);
}

/// A workbook with these parts.
fn archive_of(bytes: &[u8]) -> Vec<u8> {
    let mut parts = bytes.split(|byte| *byte == 0);
    let (sheet, strings) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let plain = br#"<workbook><sheets><sheet name="S" sheetId="1" r:id="b"/></sheets></workbook>"#;
    let book = parts.next().unwrap_or(plain);
    let relations = |kind: &str, target: &str| {
        format!(
            "<Relationships><Relationship Id=\"b\" Type=\"x/relationships/{kind}\" Target=\"{target}\"/></Relationships>"
        )
    };
    let (root, sheets) =
        (relations("officeDocument", "xl/workbook.xml"), relations("worksheet", "worksheets/sheet1.xml"));
    let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let files: [(&str, &[u8]); 6] = [
        ("[Content_Types].xml", b"<Types/>"),
        ("_rels/.rels", root.as_bytes()),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", sheets.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet),
        ("xl/sharedStrings.xml", strings),
    ];
    for (name, bytes) in files.into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
        zip.start_file(name, options).expect("begun");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("finished").into_inner()
}

/// What `check` tells, in each of its forms.
fn told(roster: &Roster) {
    let invalid = roster.rows().iter().filter(|row| row.state == RowState::Invalid).count();
    let formats = [diagnostics::Format::Text { colour: false }, diagnostics::Format::Json, diagnostics::Format::Github];
    for format in formats {
        let mut out = Vec::new();
        assert_eq!(diagnostics::write(roster, "it", format, &mut out).expect("written"), invalid);
        let text = String::from_utf8(out).expect("text");
        text.lines().for_each(assert_plain);
        assert!(format != diagnostics::Format::Github || text.lines().all(|line| line.starts_with("::error file=it,")));
        assert!(format != diagnostics::Format::Json || text.lines().count() == invalid);
        assert!(format != diagnostics::Format::Github || text.lines().count() <= invalid.min(10));
    }
}

/// The results of a roster, and that they are what any reader of CSV takes, and no spreadsheet runs.
fn results_of(roster: &Roster) -> Vec<u8> {
    let mut written = Vec::new();
    let end = |row: usize| {
        let user = roster.rows()[row].user;
        Some(RowEnd {
            user,
            link: "https://p.example/s/x",
            active: Some(true),
            outcome: if user.is_some() { Outcome::Sent } else { Outcome::Invalid },
            attempts: 1,
            completed_at: Timestamp::from_second(1_795_000_000).ok(),
            reason: None,
            detail: "".into(),
        })
    };
    let carries = |row: usize| roster.is_results() && row % 2 == 1;
    write_to(Mail::Congratulation, roster, &mut written, |row| if carries(row) { None } else { end(row) })
        .expect("written");
    let text = written.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&written);
    let mut rows = 0;
    for record in csv::ReaderBuilder::new().has_headers(false).from_reader(text).into_records() {
        let record = record.expect("UTF-8, and as many cells as the header");
        assert!(record.iter().all(|cell| !cell.starts_with(['=', '+', '-', '@', '\t', '\r'])), "{record:?}");
        rows += 1;
    }
    assert_eq!(rows, roster.rows().len() + 1);
    written
}

/// The rows of a results file: whatever its cells hold, the page of it has the same markup as with harmless cells.
pub fn results(bytes: &[u8]) {
    let header = format!("{},name\n", COLUMNS.join(","));
    let Some(roster) = read(&[header.as_bytes(), bytes].concat()) else { return };
    let mut harmless = csv::Writer::from_writer(Vec::new());
    harmless.write_record(roster.columns().names.iter()).expect("written");
    let mut details = HashMap::new();
    roster
        .for_each(|_, _, record, _| -> io::Result<()> {
            for (place, name) in roster.columns().names.iter().enumerate() {
                let cell = record.cell(place);
                let safe = neutralise(cell);
                assert!(!safe.starts_with(['=', '+', '-', '@', '\t', '\r']), "{safe:?}");
                assert_eq!(denature(&safe), cell);
                let next = details.len();
                match name.as_str() {
                    "congratulation" => harmless.write_field(cell)?,
                    // Rows are told of by their reasons: which are alike matters.
                    "detail" => {
                        let number = *details.entry(denature(cell).to_owned()).or_insert(next);
                        harmless.write_field(format!("reason {number}"))?;
                    }
                    _ => harmless.write_field("x")?,
                }
            }
            harmless.write_record(None::<&[u8]>)?;
            Ok(())
        })
        .expect("read again");
    let harmless = read(&harmless.into_inner().expect("written")).expect("a roster");
    assert_eq!(harmless.rows().len(), roster.rows().len());
    let title = String::from_utf8_lossy(bytes);
    for links in [false, true] {
        let page = page_of(&roster, &title, links).expect("read").expect("a results file");
        let plain = page_of(&harmless, "x", links).expect("read").expect("a results file");
        page.lines().for_each(assert_plain);
        assert_eq!(tags(&page), tags(&plain));
    }
}

/// The markup of a page: its tags with their attributes, and the scripts and styles between them.
fn tags(page: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((_, from)) = rest.split_once('<') {
        let end = match from.split(['>', ' ']).next() {
            Some("style") => "</style>",
            Some("script") => "</script>",
            _ => ">",
        };
        let (tag, after) = from.split_once(end).expect("a tag that ends");
        found.push(tag);
        rest = after;
    }
    found
}

/// A settings file: it is read or refused, and what is told of it holds no value.
pub fn settings(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for profile in [None, Some("prod")] {
        let told = |text: &str| {
            cli::read_settings(text, Path::new("onboard.toml"), profile).map(drop).map_err(|error| error.to_string())
        };
        let first = told(&text);
        if let Err(told) = &first {
            assert_plain(told);
        }
        assert_eq!(first, told(&other_values(&text)), "what is told depends on the values");
        let file = FOLDER.with(|folder| folder.path().join("onboard.toml"));
        fs::write(&file, text.as_bytes()).expect("written");
        let mut args = vec!["onboard".into(), "run".into(), "-".into(), "--config".into(), file.into_os_string()];
        args.extend(profile.map(|name| format!("--profile={name}").into()));
        if let Ok(Err(error)) = cli::parse(&args) {
            assert!(!matches!(error, SettingsError::Unreadable { .. }), "{error}");
            assert!(first.is_err());
        }
    }
}

/// The same settings with other letters and digits in their values, where a value is plainly one: `name = "…"`.
fn other_values(text: &str) -> String {
    static VALUE: LazyLock<Regex> = LazyLock::new(|| regex(r#"(?m)^([A-Za-z0-9_-]+ *= *")([^"\\\n]*)("[ \t]*)$"#));
    let other = |c: char| match c {
        'a'..='y' | 'A'..='Y' | '0'..='8' => char::from_u32(u32::from(c) + 1).unwrap_or(c),
        'z' => 'a',
        'Z' => 'A',
        '9' => '0',
        _ => c,
    };
    VALUE
        .replace_all(text, |found: &regex::Captures<'_>| {
            let value: String = found[2].chars().map(other).collect();
            format!("{}{value}{}", &found[1], &found[3])
        })
        .into_owned()
}

thread_local! {
    /// A folder, in memory where that is possible; it goes with its thread.
    static FOLDER: tempfile::TempDir = {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder")
    };
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).expect("a time")
}

/// A ledger as a run leaves it: what is sent, what certainly is not, what may be, and a run that died.
static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let path = FOLDER.with(|folder| folder.path().join("sound.db"));
    let mut ledger = open(&path).expect("a ledger");
    let subject = |number| [number; 16];
    let endings = [
        Some(Ending::Sent),
        Some(Ending::Sent),
        Some(Ending::NoEffect { counted: true, why: "403".into() }),
        Some(Ending::Unknown { why: "no answer".into() }),
        None,
    ];
    for run in 0..2_u8 {
        ledger.turn_to(&"https://p.example".parse().expect("an origin"), &[]).expect("turned");
        let start = RunStart {
            id: uuid::Uuid::from_bytes([run; 16]),
            account: [7; 8],
            command: "run".to_owned(),
            roster: "users.csv".into(),
            roster_hash: [0; 32],
            rows: endings.len(),
            plan: None,
            who: "anna@host".into(),
        };
        ledger.begin_run(start).expect("begun");
        let recorder = Recorder::start(ledger).expect("a thread");
        futures::executor::block_on(async {
            recorder.reserve(64).await.expect("reserved");
            for (ending, number) in endings.iter().zip(1..) {
                let intent = Intent {
                    mail: if run == 0 { Mail::Congratulation } else { Mail::Invitation },
                    subject: subject(number),
                    email: Some(EmailDigest([number; 16])),
                    let_go: LetGo::default(),
                    row: Some(u32::from(number)),
                };
                let intended = recorder.intend(vec![intent]).await.expect("recorded");
                if let (Some(Intended::Open(attempt)), Some(ending)) = (intended.first(), ending) {
                    recorder.conclude(*attempt, ending.clone(), Some(200));
                }
            }
        });
        let (given_back, result) = futures::executor::block_on(recorder.finish());
        result.expect("written");
        ledger = given_back.expect("given back");
        if run == 0 {
            ledger.end_run(0, 9, [("sent", 2)]).expect("ended");
        }
    }
    drop(ledger);
    fs::read(&path).expect("read")
});

fn open(path: &Path) -> Result<Ledger, LedgerError> {
    let lock = Lock::try_acquire(path, "a target", at(0))?.expect("nobody else has it");
    Ok(Ledger::open(&lock, false)?.with_clock(Clock::fixed(at(2))))
}

/// A ledger's file, or what was done to a sound one: four bytes each, which say where, how, and with what. It is opened
/// or refused, the same each time; nothing in it makes the reader fall over, and nobody whom it still tells of as held
/// is free.
pub fn ledger(bytes: &[u8]) {
    let file = if bytes.starts_with(b"SQLite") { bytes.to_vec() } else { damaged(bytes) };
    let path = FOLDER.with(|folder| folder.path().join("ledger.db"));
    for beside in ["ledger.db-wal", "ledger.db-shm"] {
        drop(fs::remove_file(path.with_file_name(beside)));
    }
    fs::write(&path, file).expect("written");
    // Looking changes nothing; what it meets is told or refused.
    drop(Ledger::look(&path).map(|mut ledger| everything(&mut ledger)));
    let first = open(&path).map(|mut ledger| everything(&mut ledger));
    let second = open(&path).map(|mut ledger| everything(&mut ledger));
    match (first, second) {
        (Ok(first), Ok(second)) => assert_eq!(first, second),
        (Err(first), Err(second)) => {
            assert_plain(&first.to_string());
            assert_eq!(std::mem::discriminant(&first), std::mem::discriminant(&second), "{first}, then {second}");
        }
        (first, second) => assert_eq!(first.is_ok(), second.is_ok(), "{first:?}, then {second:?}"),
    }
    drop(open(&path).and_then(|mut ledger| {
        ledger.recover()?;
        ledger.turn_to(&"https://q.example".parse().expect("an origin"), &[])?;
        ledger.settle(Mail::Congratulation, [4; 16], true, "ben", None)?;
        ledger.end_run(0, 0, [("sent", 0)])
    }));
}

fn damaged(bytes: &[u8]) -> Vec<u8> {
    let mut file = SOUND.clone();
    for change in bytes.chunks_exact(4) {
        let &[high, low, how, what] = change else { continue };
        let place = usize::from(u16::from_be_bytes([high, low])) % file.len().max(1);
        match (how % 4, file.get_mut(place)) {
            (0, Some(byte)) => *byte ^= what.max(1),
            (1, Some(byte)) => *byte = what,
            (2, Some(_)) => file.iter_mut().skip(place).take(usize::from(what)).for_each(|byte| *byte = 0),
            _ => file.truncate(place),
        }
    }
    file
}

/// Everything that can be asked of a ledger, as text.
fn everything(ledger: &mut Ledger) -> String {
    ledger.clock().set(at(20));
    let mut told = format!("{:?}{:?}{:?}", ledger.runs(), ledger.users(), ledger.origins());
    let email = EmailDigest([1; 16]);
    let portal: Origin = "https://p.example".parse().expect("an origin");
    told.push_str(&format!("{:?}", ledger.look_at(&portal, &[])));
    let users: Vec<UserId> = (1..=5).map(|number| UserId::from_bytes([number; 16])).collect();
    for user in &users {
        let mut found = None;
        let asked = std::iter::once(*user.as_bytes());
        let held = ledger.held(Mail::Congratulation, asked, |_, held| found = Some(held)).map(|()| found);
        let story = ledger.story(*user);
        if let Ok(story) = &story {
            let holds = story.iter().any(|attempt| attempt.holds && attempt.portal == portal.as_str());
            let knows = matches!(held, Ok(Some(Held::Sent { .. } | Held::Unknown { .. })) | Err(_));
            assert!(!holds || knows, "{user} is free, and {story:?}");
        }
        told.push_str(&format!("{story:?}{held:?}"));
    }
    told.push_str(&format!("{:?}{:?}", ledger.story_by_email(email), ledger.named_by(email)));
    let subjects = users.iter().map(|user| *user.as_bytes());
    told.push_str(&format!("{:?}", ledger.elsewhere(Mail::Congratulation, subjects, [email].into_iter())));
    for account in [None, Some([7; 8])] {
        told.push_str(&format!("{:?}", ledger.used(account, Duration::from_secs(60))));
    }
    told
}

/// A message file, and after a byte 0 the values of a row, one a line: whatever stands in either, it is refused, or it
/// becomes a mail with the headers that a mail has, each on one line.
pub fn letter(bytes: &[u8]) {
    let mut halves = bytes.splitn(2, |byte| *byte == 0);
    let (file, values) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    let roster = Roster::read_from(&mut b"email,type,Team,Page\n".as_slice(), "users.csv").expect("a roster");
    let letter = match Message::read("welcome.md", file, &Fields::of(roster.columns())) {
        Ok(letter) => letter,
        Err(error) => {
            assert_plain(&error.to_string());
            return;
        }
    };
    let values = String::from_utf8_lossy(values);
    let mut lines = values.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let (name, email, link) = (next(), next(), next());
    let cells = BTreeMap::from([(2, next().to_owned()), (3, next().to_owned())]);
    let Some(to) = email.parse::<Email>().ok().and_then(|email| Recipient::new(&email).ok()) else { return };
    let sender = "it@example.com".parse().expect("a sender");
    let letters = Messages::new(vec![letter], Some(&sender)).expect("one");
    let portal = "https://portal.example.com";
    let employee_type = EmployeeType::User;
    let values = Values { name, email, portal, invite_link: Some(link), employee_type, cells: &cells };
    let checked = letters.check(&cells);
    let id = MessageId::new("17", letters.sender(None)).expect("an id");
    match letters.write(None, &values, &to, &id, Timestamp::UNIX_EPOCH) {
        Ok(post) => {
            assert_eq!(checked, Ok(()));
            let mail = std::str::from_utf8(post.bytes()).expect("ASCII");
            assert!(
                mail.is_ascii() && mail.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n']))
            );
            let (head, _) = mail.split_once("\r\n\r\n").expect("a body");
            let names = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
            let names: Vec<&str> = names.map(|line| line.split_once(": ").expect("a header").0).collect();
            let all = [
                "From",
                "To",
                "Reply-To",
                "Subject",
                "Date",
                "Message-ID",
                "Auto-Submitted",
                "MIME-Version",
                "Content-Type",
            ];
            let without = all.iter().filter(|name| **name != "Reply-To" || names.contains(&"Reply-To"));
            assert_eq!(names, without.copied().collect::<Vec<_>>());
            assert!(!post.recipient().contains([',', ' ', '<', '>']) && post.recipient().matches('@').count() == 1);
        }
        Err(fault) => assert_plain(&fault.to_string()),
    }
}
