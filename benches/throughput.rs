//! `cargo bench`: what a run costs, next to the plain sequential way, against the same embedded portal in a process of
//! its own. Ratios of one run on one machine; nothing here passes or fails.
//!
//! `cargo bench -- 100000` takes so many rows; `cargo bench -- 100000 no-sequential` leaves the slow one out.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench talks and takes the time"
)]

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use nix::sys::resource::{UsageWho, getrusage};
use onboard::{roster::Roster, user::UserId};

/// Rows of the plain way: it is slow.
const SEQUENTIAL_ROWS: usize = 3000;

/// What one way cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    rows: f64,
    seconds: f64,
    cpu_seconds: f64,
    peak_mib: f64,
    requests: f64,
}

impl Cost {
    fn rows_per_second(self) -> f64 {
        self.rows / self.seconds
    }

    fn cpu_us_per_row(self) -> f64 {
        self.cpu_seconds * 1e6 / self.rows
    }
}

struct Portal {
    child: Child,
    origin: String,
    key: String,
}

impl Portal {
    fn start(folder: &Path, users: usize) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_onboard"))
            .args([
                "sandbox",
                "--no-limits",
                "--release-lag",
                "0",
                "--active-share",
                "90",
                "--write-roster",
                "users.csv",
            ])
            .args(["--users", &users.to_string()])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("a portal");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut line =
            |prefix: &str| lines.next().expect("a line").expect("text").trim_start_matches(prefix).to_owned();
        let (origin, key) = (line("listening on "), line("key: "));
        Self { child, origin, key }
    }

    /// Requests that it had so far.
    fn requests(&self) -> f64 {
        let stats = block(async { get(&self.origin, "/sandbox/stats", None).await });
        let stats: serde_json::Value = serde_json::from_str(&stats).expect("JSON");
        stats["requests"].as_object().expect("counts").values().filter_map(serde_json::Value::as_f64).sum()
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

async fn get(origin: &str, path: &str, key: Option<&str>) -> String {
    onboard::portal::install_crypto();
    let client = reqwest::Client::builder().tls_certs_only(std::iter::empty()).build().expect("a client");
    let request = client.get(format!("{origin}{path}"));
    let request = match key {
        Some(key) => request.bearer_auth(key),
        None => request,
    };
    request.send().await.expect("an answer").text().await.expect("a body")
}

/// Runs a command in a process of its own that does nothing else, so that what its children used is what it used.
fn measure(arguments: &[String]) -> (f64, f64, f64) {
    let output = Command::new(std::env::current_exe().expect("this program"))
        .arg("--measure")
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .expect("measured");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [seconds, cpu, peak] = numbers[..] else { panic!("{text}") };
    (seconds, cpu, peak)
}

fn measured(arguments: &[String]) {
    let (program, rest) = arguments.split_first().expect("a program");
    let start = Instant::now();
    let status = Command::new(program).args(rest).stdout(Stdio::null()).stderr(Stdio::null()).status().expect("run");
    assert!(status.success(), "{program} {rest:?} ended with {status}");
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage");
    let seconds = |time: nix::sys::time::TimeVal| {
        i32::try_from(time.tv_sec()).map_or(0.0, f64::from) + i32::try_from(time.tv_usec()).map_or(0.0, f64::from) / 1e6
    };
    let cpu = seconds(used.user_time()) + seconds(used.system_time());
    let peak_mib = i32::try_from(used.max_rss()).map_or(0.0, f64::from) / 1024.0;
    println!("{} {cpu} {peak_mib}", start.elapsed().as_secs_f64());
}

fn onboard(folder: &Path, portal: &Portal, rows: usize) -> Cost {
    let key = folder.join("key");
    fs::write(&key, &portal.key).expect("written");
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let before = portal.requests();
    let arguments: Vec<String> = [
        env!("CARGO_BIN_EXE_onboard"),
        "run",
        &path("users.csv"),
        "--portal",
        &portal.origin,
        "--api-key-file",
        &path("key"),
        "--ledger",
        &path("ledger.db"),
        "--rate",
        "10000000/s",
        "--max-reads",
        "50",
        "--max-writes",
        "50",
        "--hold-off",
        "0",
        "--daily-writes",
        "100000000",
        "--progress",
        "never",
        "--yes",
    ]
    .map(str::to_owned)
    .to_vec();
    let (seconds, cpu_seconds, peak_mib) = measure(&arguments);
    Cost { rows: f64(rows), seconds, cpu_seconds, peak_mib, requests: portal.requests() - before }
}

/// The plain way: link, user, congratulation, one after the other for each row, in a process of its own.
fn sequential(folder: &Path, portal: &Portal, rows: usize) -> Cost {
    let before = portal.requests();
    let this = std::env::current_exe().expect("this program").to_string_lossy().into_owned();
    let roster = folder.join("users.csv").to_string_lossy().into_owned();
    let arguments = [&this, "--sequential", &portal.origin, &portal.key, &roster, &rows.to_string()].map(str::to_owned);
    let (seconds, cpu_seconds, peak_mib) = measure(&arguments);
    Cost { rows: f64(rows), seconds, cpu_seconds, peak_mib, requests: portal.requests() - before }
}

fn go_one_by_one(arguments: &[String]) {
    let [origin, key, roster, rows] = arguments else { panic!("{arguments:?}") };
    let roster = Roster::read(&roster.parse().expect("infallible")).expect("a roster");
    let users: Vec<UserId> =
        roster.rows().iter().filter_map(|row| row.user).take(rows.parse().expect("a number")).collect();
    onboard::portal::install_crypto();
    let client = reqwest::Client::builder().tls_certs_only(std::iter::empty()).build().expect("a client");
    block(async {
        for user in users {
            for path in ["portal/users/invite/User".to_owned(), format!("portal/users/{user}")] {
                let request = client.get(format!("{origin}/api/2.0/{path}")).bearer_auth(key);
                let _body = request.send().await.expect("an answer").text().await.expect("a body");
            }
            let url = format!("{origin}/api/2.0/portal/sendcongratulations?Userid={user}&Key=welcome_guest");
            let _body =
                client.post(url).bearer_auth(key).send().await.expect("an answer").text().await.expect("a body");
        }
    });
}

fn f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

fn tell(name: &str, cost: Cost, plain: Option<Cost>) {
    let ratio = |ours: f64, theirs: fn(Cost) -> f64| {
        plain.map(|plain| format!(" ({:.2}x)", ours / theirs(plain))).unwrap_or_default()
    };
    println!(
        "{name:<22} {:>9.0} rows/s{:<9} {:>8.1} us CPU a row{:<9} {:>6.1} MiB{:<9} {:>5.2} requests a row{}",
        cost.rows_per_second(),
        ratio(cost.rows_per_second(), Cost::rows_per_second),
        cost.cpu_us_per_row(),
        ratio(cost.cpu_us_per_row(), Cost::cpu_us_per_row),
        cost.peak_mib,
        ratio(cost.peak_mib, |cost| cost.peak_mib),
        cost.requests / cost.rows,
        ratio(cost.requests / cost.rows, |cost| cost.requests / cost.rows),
    );
}

/// Commands that ask nobody: start-up, and reading a large roster.
fn offline(folder: &Path, rows: usize) {
    let roster = folder.join("users.csv").to_string_lossy().into_owned();
    let program = env!("CARGO_BIN_EXE_onboard").to_owned();
    let (start, ..) = measure(&[program.clone(), "--version".to_owned()]);
    let (check, cpu, peak) = measure(&[program, "check".to_owned(), roster]);
    println!("start-up               {:>9.1} ms", start * 1000.0);
    println!("check, {rows:>9} rows  {check:>9.3} s, {cpu:.3} s CPU, {peak:.1} MiB");
}

/// Rows of the workbook.
const WORKBOOK_ROWS: u32 = 100_000;

/// A table as CSV, and as a workbook with the texts that its cells share apart from them, as Excel writes it.
fn as_csv_and_workbook(folder: &Path) -> [PathBuf; 2] {
    let paths = ["hr.csv", "hr.xlsx"].map(|name| folder.join(name));
    let (mut csv, mut cells) = (String::new(), String::new());
    let (mut texts, mut numbers): (String, HashMap<String, usize>) = (String::new(), HashMap::new());
    let header = ["user_id", "email", "employee_type", "name", "note"].map(str::to_owned);
    let row = |number: u32| {
        let id = UserId::from_bytes(
            u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes(),
        );
        let kind = if number.is_multiple_of(2) { "User" } else { "Guest" };
        let (email, name) = (format!("person.{number}@example.com"), format!("First{number} Last{number}"));
        [id.to_string(), email, kind.to_owned(), name, "room 12".to_owned()]
    };
    for (number, row) in (1..).zip(std::iter::once(header).chain((1..=WORKBOOK_ROWS).map(row))) {
        csv.push_str(&row.join(","));
        csv.push('\n');
        write!(cells, "<row r=\"{number}\">").expect("text");
        for (column, text) in ('A'..).zip(row) {
            let next = numbers.len();
            let place = *numbers.entry(text.clone()).or_insert_with(|| {
                write!(texts, "<si><t>{text}</t></si>").expect("text");
                next
            });
            write!(cells, "<c r=\"{column}{number}\" t=\"s\"><v>{place}</v></c>").expect("text");
        }
        cells.push_str("</row>");
    }
    fs::write(&paths[0], csv).expect("written");
    let relation = |kind: &str, target: &str| {
        format!(
            "<Relationships><Relationship Id=\"a\" Type=\"x/relationships/{kind}\" Target=\"{target}\"/></Relationships>"
        )
    };
    let parts = [
        ("[Content_Types].xml", "<Types/>".to_owned()),
        ("_rels/.rels", relation("officeDocument", "xl/workbook.xml")),
        ("xl/workbook.xml", "<workbook><sheets><sheet name=\"S\" r:id=\"a\"/></sheets></workbook>".to_owned()),
        ("xl/_rels/workbook.xml.rels", relation("worksheet", "worksheets/sheet1.xml")),
        ("xl/worksheets/sheet1.xml", format!("<worksheet><sheetData>{cells}</sheetData></worksheet>")),
        ("xl/sharedStrings.xml", format!("<sst>{texts}</sst>")),
    ];
    let mut zip = zip::ZipWriter::new(fs::File::create(&paths[1]).expect("made"));
    for (name, text) in parts {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("begun");
        zip.write_all(text.as_bytes()).expect("written");
    }
    zip.finish().expect("finished");
    paths
}

/// The same table, read as CSV and as a workbook.
fn workbook(folder: &Path) {
    let program = env!("CARGO_BIN_EXE_onboard").to_owned();
    let mut plain = None;
    for path in as_csv_and_workbook(folder) {
        let path = path.to_string_lossy().into_owned();
        let (seconds, cpu, peak) = measure(&[program.clone(), "check".to_owned(), path.clone()]);
        let (csv_cpu, csv_peak) = *plain.get_or_insert((cpu, peak));
        let kind = path.rsplit('.').next().unwrap_or_default();
        println!(
            "check, {WORKBOOK_ROWS} rows .{kind:<4} {seconds:>6.3} s, {cpu:.3} s CPU ({:.2}x), {peak:.1} MiB ({:.2}x)",
            cpu / csv_cpu,
            peak / csv_peak
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "--measure" => return measured(rest),
        Some((first, rest)) if first == "--sequential" => return go_one_by_one(rest),
        _ => {}
    }
    let rows = arguments.first().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let folder = tempfile::tempdir().expect("a folder");
    let portal = Portal::start(folder.path(), rows);
    let plain = (!arguments.iter().any(|argument| argument == "no-sequential"))
        .then(|| sequential(folder.path(), &portal, rows.min(SEQUENTIAL_ROWS)));
    if let Some(plain) = plain {
        tell("sequential", plain, None);
    }
    tell(&format!("onboard, {rows} rows"), onboard(folder.path(), &portal, rows), plain);
    offline(folder.path(), rows);
    workbook(folder.path());
}
