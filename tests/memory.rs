//! What portals and rosters that mean harm cost in memory. One process, one test: what its children used at the most is
//! what one of them used.
#![cfg(unix)]
#![expect(clippy::expect_used, reason = "a test that cannot go on says so by failing")]

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, BufWriter, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use nix::sys::resource::{UsageWho, getrusage};

/// In MiB: what no hostile portal and no hostile roster may make the program take.
const MOST: i64 = 100;
const USER: &str = "66faa6e4-f133-11ea-b126-00ffeec8b4ef";

/// A body that goes on until the reader has had enough.
fn without_end(stream: &mut dyn Write, piece: &[u8]) {
    while stream.write_all(piece).is_ok() {}
}

/// A gigabyte of zeros in a megabyte, made by gzip itself, which every Unix has.
fn bomb() -> Vec<u8> {
    let zeros = Command::new("sh")
        .args(["-c", "head -c 1073741824 /dev/zero | gzip -c"])
        .stderr(Stdio::null())
        .output()
        .expect("a bomb");
    assert!(zeros.stdout.len() > 500_000, "gzip made {} bytes", zeros.stdout.len());
    zeros.stdout
}

type Answer = Box<dyn Fn(&mut dyn Write) + Send + Sync>;

/// A portal that answers whatever it is asked in this way.
fn portal(answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = std::sync::Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = std::sync::Arc::clone(&answer);
            thread::spawn(move || serve(&stream, &**answer));
        }
    });
    origin
}

fn serve(stream: &TcpStream, answer: &dyn Fn(&mut dyn Write)) {
    let mut lines = BufReader::new(stream).lines();
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let mut stream = BufWriter::new(stream);
    answer(&mut stream);
    // Whoever asked may be gone.
    drop(stream.flush());
}

/// Runs the program there; its exit status, and the most that any child took so far, in MiB.
fn run(folder: &Path, args: &[&str]) -> (i32, i64) {
    let status = Command::new(env!("CARGO_BIN_EXE_onboard"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the program runs");
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage");
    // Kibibytes, but on macOS bytes.
    let unit = if cfg!(target_os = "macos") { 1 << 20 } else { 1 << 10 };
    (status.code().unwrap_or(-1), used.max_rss() / unit)
}

/// A roster of one line of so many MiB, which never lies in memory here either.
fn long_line(path: &Path, mib: usize) {
    let mut file = BufWriter::new(fs::File::create(path).expect("made"));
    write!(file, "user_id,employee_type,x\n{USER},User,").expect("written");
    let block = vec![b'y'; 1 << 20];
    for _ in 0..mib {
        file.write_all(&block).expect("written");
    }
    write!(file, "\n{USER},User,\n").expect("written");
    file.flush().expect("written");
}

/// A workbook whose sheet and shared texts are written by these.
fn workbook(path: &Path, sheet: impl FnOnce(&mut dyn Write), strings: impl FnOnce(&mut dyn Write)) {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).expect("made"));
    let head = "<Relationships><Relationship Id=\"a\" Type=\"x/relationships/";
    let parts = [
        ("[Content_Types].xml", "<Types/>".to_owned()),
        ("_rels/.rels", format!("{head}officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>")),
        ("xl/workbook.xml", "<workbook><sheets><sheet name=\"S\" r:id=\"a\"/></sheets></workbook>".to_owned()),
        ("xl/_rels/workbook.xml.rels", format!("{head}worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>")),
    ];
    let options = zip::write::SimpleFileOptions::default();
    for (name, text) in parts {
        zip.start_file(name, options).expect("begun");
        zip.write_all(text.as_bytes()).expect("written");
    }
    zip.start_file("xl/worksheets/sheet1.xml", options).expect("begun");
    zip.write_all(b"<worksheet><sheetData>").expect("written");
    sheet(&mut zip);
    zip.write_all(b"</sheetData></worksheet>").expect("written");
    zip.start_file("xl/sharedStrings.xml", options).expect("begun");
    strings(&mut zip);
    zip.finish().expect("finished");
}

/// One workbook for each way to take all memory; what each is named for.
fn workbooks(folder: &Path) -> Vec<&'static str> {
    let header = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>user_id</t></is></c><c r=\"B1\" t=\"inlineStr\"><is><t>type</t></is></c></row>";
    let put = |out: &mut dyn Write, text: &str, times: usize| {
        for _ in 0..times {
            out.write_all(text.as_bytes()).expect("written");
        }
    };
    let (mib, many) = ("y".repeat(1 << 20), "<si/>".repeat(1 << 16));
    let at = |name: &str| folder.join(name);
    workbook(
        &at("texts.xlsx"),
        |out| put(out, header, 1),
        |out| {
            put(out, "<sst><si><t>", 1);
            put(out, &mib, 1024);
        },
    );
    workbook(
        &at("strings.xlsx"),
        |out| put(out, header, 1),
        |out| {
            put(out, "<sst>", 1);
            put(out, &many, 160);
            put(out, "</sst>", 1);
        },
    );
    workbook(
        &at("count.xlsx"),
        |out| put(out, header, 1),
        |out| {
            put(out, "<sst uniqueCount=\"99999999999999\"></sst>", 1);
        },
    );
    workbook(
        &at("text.xlsx"),
        |out| put(out, header, 1),
        |out| {
            put(out, "<sst><si><t>", 1);
            put(out, &"y<!-- -->".repeat(1 << 10), 1 << 12);
            put(out, "</t></si></sst>", 1);
        },
    );
    let row = format!("<row>{}</row>", "<c t=\"s\"><v>0</v></c>".repeat(16_000));
    workbook(
        &at("repeated.xlsx"),
        |out| {
            put(out, header, 1);
            put(out, &row, 100);
        },
        |out| put(out, &format!("<sst><si><t>{}</t></si></sst>", "y".repeat(30_000)), 1),
    );
    vec!["texts.xlsx", "strings.xlsx", "count.xlsx", "text.xlsx", "repeated.xlsx"]
}

/// In MiB: what a workbook of a hundred thousand rows may take.
const MOST_OF_A_WORKBOOK: i64 = 40;

/// A hundred thousand rows, whose texts lie apart from their cells as in what Excel writes, and hardly any is shared.
fn large_workbook(path: &Path) {
    let mut texts =
        "<sst><si><t>user_id</t></si><si><t>type</t></si><si><t>name</t></si><si><t>User</t></si>".to_owned();
    for number in 0..100_000 {
        write!(texts, "<si><t>{number:08x}{}</t></si><si><t>Person {number}</t></si>", &USER[8..]).expect("text");
    }
    workbook(
        path,
        |out| {
            let cell = |place: usize| format!("<c t=\"s\"><v>{place}</v></c>");
            write!(out, "<row>{}{}{}</row>", cell(0), cell(1), cell(2)).expect("written");
            for number in 0..100_000 {
                let place = 4 + 2 * number;
                write!(out, "<row>{}{}{}</row>", cell(place), cell(3), cell(place + 1)).expect("written");
            }
        },
        |out| write!(out, "{texts}</sst>").expect("written"),
    );
}

#[expect(clippy::too_many_lines, reason = "a list of what is hostile, measured one after another in one process")]
#[test]
fn nothing_hostile_takes_more_than_a_hundred_mebibytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    // First: what a child used at the most is told of all that have been.
    large_workbook(&at("large.xlsx"));
    let (status, mib) = run(folder.path(), &["check", "large.xlsx"]);
    assert_eq!(status, 0, "large.xlsx");
    assert!(mib <= MOST_OF_A_WORKBOOK, "large.xlsx: {mib} MiB");
    fs::write(at("key"), "sk-0123456789abcdef").expect("written");
    fs::write(at("users.csv"), format!("user_id,employee_type\n{USER},User\n")).expect("written");
    let json = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let bomb = bomb();
    let portals: Vec<(&str, Answer)> = vec![
        (
            "a body without end",
            Box::new(move |stream| {
                without_end(
                    stream,
                    format!("{json}Content-Length: 999999999999\r\n\r\n").as_bytes().repeat(50_000).as_slice(),
                );
            }),
        ),
        (
            "chunks without end",
            Box::new(move |stream| {
                if write!(stream, "{json}Transfer-Encoding: chunked\r\n\r\n").is_ok() {
                    without_end(stream, format!("10000\r\n{}\r\n", "[".repeat(0x10000)).as_bytes());
                }
            }),
        ),
        (
            "a bomb under gzip",
            Box::new(move |stream| {
                if write!(stream, "{json}Content-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", bomb.len()).is_ok() {
                    drop(stream.write_all(&bomb));
                }
            }),
        ),
        (
            "a head without end",
            Box::new(move |stream| {
                if write!(stream, "{json}").is_ok() {
                    without_end(stream, b"X-More: and more\r\n");
                }
            }),
        ),
        (
            "one header without end",
            Box::new(move |stream| {
                if write!(stream, "{json}X: ").is_ok() {
                    without_end(stream, &[b'y'; 1 << 16]);
                }
            }),
        ),
        (
            "trailers without end",
            Box::new(move |stream| {
                if write!(stream, "{json}Transfer-Encoding: chunked\r\n\r\n0\r\n").is_ok() {
                    without_end(stream, b"X-More: and more\r\n");
                }
            }),
        ),
        (
            "an error without end",
            Box::new(move |stream| {
                if write!(
                    stream,
                    "HTTP/1.1 500 No\r\nContent-Type: application/json\r\n\r\n{{\"error\":{{\"message\":\""
                )
                .is_ok()
                {
                    without_end(stream, &[b'y'; 1 << 16]);
                }
            }),
        ),
        ("interim answers without end", Box::new(|stream| without_end(stream, b"HTTP/1.1 103 Early Hints\r\n\r\n"))),
        (
            "millions of numbers",
            Box::new(move |stream| {
                let body = format!("{{\"response\":[{}1],\"total\":99,\"status\":0}}", "1,".repeat(1_000_000));
                drop(write!(stream, "{json}Content-Length: {}\r\n\r\n{body}", body.len()));
            }),
        ),
    ];
    for (what, answer) in portals {
        let origin = portal(answer);
        let to = ["--portal", &origin, "--api-key-file", "key", "--timeout", "1s"];
        // The last one is read in full by `export`, and by it alone.
        let command: &[&str] = if what.starts_with("millions") {
            &["export"]
        } else {
            &["run", "users.csv", "--retries", "0", "--ledger", "l.db", "--progress", "never"]
        };
        let (status, mib) = run(folder.path(), &[command, &to].concat());
        assert!(matches!(status, 1 | 3), "{what}: {status}");
        assert!(mib <= MOST, "{what}: {mib} MiB");
    }
    long_line(&at("long.csv"), 128);
    fs::write(at("wide.csv"), format!("user_id,employee_type{}\n", ",x".repeat(1_000_000))).expect("written");
    fs::write(at("quote.csv"), format!("user_id,employee_type\n\"{}", "y\n".repeat(8 << 20))).expect("written");
    fs::write(at("columns.csv"), format!("user_id,employee_type\n{USER},User{}\n", ",".repeat(8 << 20)))
        .expect("written");
    for (roster, expected) in [("long.csv", 1), ("wide.csv", 2), ("quote.csv", 2), ("columns.csv", 1)] {
        let (status, mib) = run(folder.path(), &["check", roster]);
        assert_eq!(status, expected, "{roster}");
        assert!(mib <= MOST, "{roster}: {mib} MiB");
    }
    for book in workbooks(folder.path()) {
        let (status, mib) = run(folder.path(), &["check", book]);
        assert!(matches!(status, 1 | 2), "{book}: {status}");
        assert!(mib <= MOST, "{book}: {mib} MiB");
    }
}
