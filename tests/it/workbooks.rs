//! Workbooks as rosters: fixtures that openpyxl and `LibreOffice` wrote (`workbooks/make.py`), and ones that no program would
//! write.

use std::{
    io::{Cursor, Write},
    path::PathBuf,
};

use onboard::{
    roster::{Roster, RowState, Source},
    sandbox::User,
};
use proptest::prelude::*;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::bench::{Bench, Ended, active, messages, portal};

const ADA: &str = "2d20f1cd-235a-fc95-3820-2b25f2e68428";
const BO: &str = "4abfb640-cb9e-63d4-cb42-b3f7f98a9796";

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/workbooks").join(name)
}

fn check(name: &str, options: &[&str]) -> Ended {
    Bench::new().onboard(&[&["check", &fixture(name).to_string_lossy()], options].concat())
}

/// What `check` says of these bytes, named as a text: what a file is called is no matter.
fn check_of(bytes: &[u8], options: &[&str]) -> Ended {
    let bench = Bench::new();
    bench.write("users.csv", bytes);
    bench.onboard(&[&["check", "users.csv"], options].concat())
}

/// A zip archive of these parts.
fn archive(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(CompressionMethod::Deflated))
            .expect("begun");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("finished").into_inner()
}

/// A workbook of one sheet with this XML in it.
pub(crate) fn workbook(sheet: &str) -> Vec<u8> {
    workbook_with(sheet, &[])
}

fn workbook_with(sheet: &str, more: &[(&str, &[u8])]) -> Vec<u8> {
    let sheet = format!("<worksheet>{sheet}</worksheet>");
    let parts: [(&str, &[u8]); 5] = [
        ("[Content_Types].xml", b"<Types/>"),
        (
            "_rels/.rels",
            br#"<Relationships><Relationship Id="a" Type="x/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>"#,
        ),
        ("xl/workbook.xml", br#"<workbook><sheets><sheet name="Sheet" sheetId="1" r:id="b"/></sheets></workbook>"#),
        (
            "xl/_rels/workbook.xml.rels",
            br#"<Relationships><Relationship Id="b" Type="x/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>"#,
        ),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
    ];
    archive(&[&parts, more].concat())
}

/// A table as the XML of a sheet.
pub(crate) fn table(rows: &[&[&str]]) -> String {
    let cell = |(column, text): (usize, &&str)| {
        let letter = char::from(b'A' + u8::try_from(column).expect("few columns"));
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        (letter, format!("t=\"inlineStr\"><is><t xml:space=\"preserve\">{text}</t></is></c>"))
    };
    let row = |(row, cells): (usize, &&[&str])| {
        let cells: String = cells
            .iter()
            .enumerate()
            .filter(|(_, text)| !text.is_empty())
            .map(cell)
            .map(|(letter, rest)| format!("<c r=\"{letter}{}\" {rest}", row + 1))
            .collect();
        format!("<row r=\"{}\">{cells}</row>", row + 1)
    };
    format!("<sheetData>{}</sheetData>", rows.iter().enumerate().map(row).collect::<String>())
}

#[test]
fn a_workbook_is_a_roster_wherever_one_is_taken() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let rows: Vec<[String; 3]> =
        users.iter().map(|user| [user.id.to_string(), "User".to_owned(), "Zo\u{eb}, A".to_owned()]).collect();
    let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    let mut all: Vec<&[&str]> = vec![&["user_id", "employee_type", "name"]];
    all.extend(rows.iter().map(Vec::as_slice));
    bench.write("users.csv", workbook(&table(&all)));
    let portal = portal(&users);
    bench.run(&portal, &["--yes"]).with(0);
    let results = bench.results();
    assert_eq!((messages(&portal), results.len()), (2, 2));
    assert_eq!(results[1]["name"], "Zo\u{eb}, A");
    for command in ["check", "plan"] {
        bench.onboard(&[command, "users.csv"]).with(0);
    }
}

#[test]
fn what_openpyxl_writes_is_read() {
    let ended = check("good.xlsx", &[]).with(0);
    assert!(
        ended.out.contains("2 rows: all can be used\nread as an Excel workbook, sheet `Mitarbeiter`"),
        "{}",
        ended.out
    );
}

#[test]
fn what_is_no_text_is_told_with_its_cell() {
    let ended = check("traps.xlsx", &["--format", "json"]).with(1);
    let told: Vec<(String, String)> = ended
        .out
        .lines()
        .map(|line| {
            let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let text = |name: &str| json[name].as_str().expect("text").to_owned();
            (text("at"), text("message"))
        })
        .collect();
    let expected = [
        ("A2", "the cell holds the number `12345678901234570000`, and no text"),
        ("B3", "the cell holds the number `3`, and no text"),
        ("C4", "the cell's formula has no stored value"),
        ("B6", "the cell holds the date `2026-11-01`, and no text"),
        ("A7", "the cell holds the error `#N/A`"),
        ("B8", "`Userr` is no employee type"),
        ("B9", "the cell is merged with those up to B10, so whose value it is cannot be told"),
        ("B10", "the cell is merged with B9, which alone has the value"),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(cell, what)| (format!("'Neue Kollegen'!{cell}"), (*what).to_owned())).collect();
    assert_eq!(told, expected);
    assert!(ended.said().contains("hides 1 row"), "{}", ended.err);
    let ended = check("traps.xlsx", &["--format", "github"]).with(1);
    assert!(ended.out.contains(",line=6,") && ended.out.contains("'Neue Kollegen'!B6: "), "{}", ended.out);
}

#[test]
fn the_sheet_is_the_one_with_a_header_or_the_one_that_is_named() {
    let ended = check("two.xlsx", &[]).with(2);
    assert!(ended.said().contains("(`Intern`, `Extern`); say which: --sheet Intern"), "{}", ended.err);
    check("two.xlsx", &["--sheet", "Extern"]).with(0);
    // A hidden one is there for whoever names it.
    check("two.xlsx", &["--sheet", "Alt"]).with(0);
    let ended = check("two.xlsx", &["--sheet", "Nix"]).with(2);
    assert!(ended.said().contains("has no sheet `Nix`; it has `Lies mich`"), "{}", ended.err);
    let ended = check_of(b"user_id,type\n", &["--sheet", "x"]).with(2);
    assert!(ended.said().contains("--sheet x is for workbooks"), "{}", ended.err);
}

#[test]
fn files_that_are_no_workbook_of_this_kind_are_told_as_what_they_are() {
    let ole = |word: &str| {
        let mut bytes = vec![0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
        bytes.resize(70_000, 0);
        bytes.extend(word.encode_utf16().flat_map(u16::to_le_bytes));
        bytes
    };
    let whole = workbook(&table(&[&["user_id", "type"]]));
    for (bytes, told) in [
        (ole("EncryptedPackage"), "protected by a password"),
        (ole("Workbook"), "(.xls); save it as .xlsx or CSV"),
        (ole("WordDocument"), "Word document"),
        (archive(&[("xl/workbook.bin", b"x"), ("[Content_Types].xml", b"x")]), "(.xlsb)"),
        (
            archive(&[("mimetype", b"application/vnd.oasis.opendocument.spreadsheet"), ("content.xml", b"<a/>")]),
            "(.ods)",
        ),
        (archive(&[("[Content_Types].xml", b"<a/>"), ("word/document.xml", b"<a/>")]), "Word document"),
        (archive(&[("users.csv", b"user_id,type\n")]), "is a zip archive, and no Excel workbook"),
        (whole[..whole.len() - 30].to_vec(), "was it cut"),
    ] {
        let ended = check_of(&bytes, &[]).with(2);
        assert!(ended.said().contains(told), "{told}: {}", ended.err);
    }
    // Text of that name is text.
    let bench = Bench::new();
    bench.write("users.xlsx", format!("user_id,type\n{ADA},User\n"));
    bench.onboard(&["check", "users.xlsx"]).with(0);
    // Macros are told, and not run.
    let cells = table(&[&["user_id", "type"], &[ADA, "User"]]);
    let ended = check_of(&workbook_with(&cells, &[("xl/vbaProject.bin", b"\x01")]), &[]).with(0);
    assert!(ended.said().contains("holds macros; they are not run"), "{}", ended.err);
}

#[test]
fn what_no_program_writes_is_refused_and_not_acted_upon() {
    let good = table(&[&["user_id", "type"], &[ADA, "User"]]);
    for sheet in [
        good.replace("A2", "AAAAAAAAAA2"),
        good.replace("A2", "A99999999999"),
        good.replace("A2", "A0"),
        good.replace("r=\"2\"", "r=\"-1\""),
        format!("<dimension ref=\"B2:A1\"/>{good}"),
        good.replace("A2", "A1048577"),
        good.replace("A2", "B2"),
        good.replace("<row r=\"2\">", "<row r=\"2\" x>"),
        good.replace("r=\"A1\"", "r=\"A9\""),
        good.replace("</sheetData>", ""),
        format!("<!DOCTYPE a [<!ENTITY b \"c\">]>{good}"),
    ] {
        let ended = check_of(&workbook(&sheet), &[]);
        assert!(ended.said().contains("cannot be read"), "{sheet}: {} {}", ended.err, ended.out);
        assert!(!ended.err.contains("panicked"), "{}", ended.err);
    }
}

#[test]
fn one_cell_at_the_far_end_is_one_cell() {
    let far = table(&[&["user_id", "type"], &[ADA, "User"]]).replace(
        "</sheetData>",
        "<row r=\"1048576\"><c r=\"XFD1048576\" t=\"inlineStr\"><is><t>x</t></is></c></row></sheetData>",
    );
    let ended = check_of(&workbook(&far), &["--format", "json"]).with(1);
    assert!(ended.out.contains("Sheet!1048576:1048576"), "{}", ended.out);
}

#[test]
fn columns_and_words_of_hr_are_taken_as_somebody_says() {
    let bench = Bench::new();
    bench.write(
        "hr.csv",
        "Personal-Nr;Mail;Rolle;Name\n1;ada@example.com;Mitarbeiter;Ada\n2;bo@example.com;Extern;Bo\n",
    );
    let ended = bench.onboard(&["check", "hr.csv"]).with(2);
    let said = ended.said();
    assert!(
        said.contains("Column `Mail` holds 2 addresses") && said.contains("--map email=Mail --map employee_type=Rolle"),
        "{said}"
    );
    let map = ["--map", "email=Mail", "--map", "employee_type=Rolle"];
    let ended = bench.onboard(&[&["check", "hr.csv"], map.as_slice()].concat()).with(1);
    assert!(ended.said().contains("`Extern` (1 row), `Mitarbeiter` (1 row)"), "{}", ended.err);
    let types = ["--map-type", "mitarbeiter=User", "--map-type", "Extern=Guest"];
    bench.onboard(&[&["check", "hr.csv"], map.as_slice(), &types].concat()).with(0);
    bench.write(
        "onboard.toml",
        "[map]\nemail = \"Mail\"\nemployee_type = \"Rolle\"\n\n[map.type]\nMitarbeiter = \"User\"\nExtern = \"Guest\"\n",
    );
    bench.onboard(&["check", "hr.csv"]).with(0);
    bench.write(
        "onboard.toml",
        "[map]\nemail = \"Mail\"\nemployee_type = \"Rolle\"\nMitarbeiter = \"User\"\nExtern = \"Guest\"\n",
    );
    bench.onboard(&["check", "hr.csv"]).with(0);
    bench.write("onboard.toml", "[map]\nemail = 3\n");
    bench.onboard(&["check", "hr.csv"]).with(2);
    bench.write("onboard.toml", "");
    for (wrong, told) in [
        (["--map", "email=Male"], "has no column `Male`"),
        (["--map", "id=Mail"], "none of user_id, email"),
        (["--map-type", "Extern=2"], "none of Guest, User"),
        (["--map-type", "Guest=User"], "an employee type itself"),
    ] {
        let ended = bench.onboard(&[&["check", "hr.csv"], wrong.as_slice()].concat()).with(2);
        assert!(ended.said().contains(told), "{}", ended.err);
    }
}

#[test]
fn which_column_may_be_meant_is_told_by_what_the_columns_hold() {
    let bench = Bench::new();
    let said = |text: &str| {
        bench.write("hr.csv", text);
        bench.onboard(&["check", "hr.csv"]).with(2).said()
    };
    let two = "Nr,Mail dienstlich,Mail privat,Rolle\n1,a@x.example,a@y.example,User\n2,b@x.example,,Guest\n";
    let told = said(two);
    assert!(
        told.ends_with(
            "Column `Mail dienstlich` holds 2 addresses; column `Mail privat` holds 1 address; column `Rolle` holds 2 \
             employee types: --map 'email=Mail dienstlich' (or --map 'email=Mail privat') --map employee_type=Rolle"
        ),
        "{told}"
    );
    let told = said("a,type\nx,User\n");
    assert!(told.ends_with("it has `a`, `type`. No column holds user ids or e-mail addresses"), "{told}");
    let told = said("a,b\nx,y\n");
    assert!(told.ends_with("it has `a`, `b`. No column holds user ids or e-mail addresses"), "{told}");
    let portal = portal(&active(1));
    bench.key_of(&portal);
    bench.write("new.csv", format!("user_id,Mail,type\n{ADA},new@example.com,User\n"));
    let to = ["--portal", &portal.origin(), "--api-key-file", "key"].map(str::to_owned);
    let args: Vec<&str> = ["invite", "new.csv"].into_iter().chain(to.iter().map(String::as_str)).collect();
    let told = bench.onboard(&args).with(2).said();
    assert!(told.ends_with("invitations go to addresses. Column `Mail` holds 1 address: --map email=Mail"), "{told}");
}

#[test]
fn what_is_typed_of_one_column_or_word_leaves_the_settings_of_the_others() {
    let bench = Bench::new();
    bench.write("hr.csv", "Mail;Privat;Rolle\nada@example.com;ada@example.org;Chef\nbo@example.com;;Extern\n");
    bench.write(
        "onboard.toml",
        "[map]\nemail = \"Mail\"\nemployee_type = \"Rolle\"\n[map.type]\nChef = \"RoomAdmin\"\nExtern = \"Guest\"\n\
         [portal.b]\nurl = \"https://b.example\"\n[portal.b.map]\nemail = \"Privat\"\n[portal.b.map.type]\nchef = \"User\"\n",
    );
    let fixed = |options: &[&str]| {
        bench.onboard(&[&["check", "hr.csv", "--fix", "out.csv"], options].concat());
        let rows = bench.read("out.csv");
        let _ = std::fs::remove_file(bench.path("out.csv"));
        rows
    };
    assert_eq!(fixed(&[]), "Mail;Privat;Rolle\nada@example.com;ada@example.org;RoomAdmin\nbo@example.com;;Guest\n");
    let rows = fixed(&["--map-type", "CHEF=User"]);
    assert!(rows.contains(";User\n") && rows.contains(";Guest\n"), "{rows}");
    // Bo has no private address: the typed column is the one, and the other settings stay.
    for options in [&["--map", "email=Privat"][..], &["--profile", "b"]] {
        let rows = fixed(options);
        assert!(rows.contains("bo@example.com;;Guest\n") && rows.contains("Privat: the cell is empty"), "{rows}");
    }
    let rows = fixed(&["--profile", "b"]);
    assert!(rows.contains("ada@example.org;User\n"), "{rows}");
    // What is wrong in the settings is told whatever is typed.
    bench.write("onboard.toml", "map = [\"mail=Mail\"]\n");
    let ended = bench.onboard(&["check", "hr.csv", "--map", "email=Mail", "--map", "type=Rolle"]).with(2);
    assert!(ended.said().contains("`mail` is none of user_id"), "{}", ended.err);
}

#[test]
fn one_type_for_everybody_is_for_rosters_that_have_none() {
    let bench = Bench::new();
    bench.write("users.csv", format!("user_id,name\n{ADA},Ada\n"));
    let ended = bench.onboard(&["check", "users.csv"]).with(2);
    assert!(ended.said().contains("--type User"), "{}", ended.err);
    bench.onboard(&["check", "users.csv", "--type", "User"]).with(0);
    let ended = bench.onboard(&["check", "users.csv", "--type", "DocSpaceAdmin"]).with(0);
    assert!(ended.said().contains("1 row is for DocSpaceAdmin"), "{}", ended.err);
    bench.write("onboard.toml", "type = \"docspaceadmin\"\n");
    let ended = bench.onboard(&["check", "users.csv"]).with(2);
    assert!(ended.said().contains("that has to be typed: --type DocSpaceAdmin"), "{}", ended.err);
    bench.write("onboard.toml", "type = \"Guest\"\n");
    bench.onboard(&["check", "users.csv"]).with(0);
    // An empty cell is no roster without the column.
    bench.write("users.csv", format!("user_id,type\n{ADA},\n{BO},User\n"));
    let ended = bench.onboard(&["check", "users.csv"]).with(1);
    assert!(ended.said().contains("--type Guest is not used"), "{}", ended.err);
}

#[test]
fn a_mapped_column_wins_and_one_named_alike_is_kept_under_another_name() {
    let bench = Bench::new();
    let users: Vec<User> = active(1);
    let id = users[0].id;
    bench.write("users.csv", format!("user_id,Kennung,type,Rolle\n7,{id},x,User\n"));
    let portal = portal(&users);
    bench.run(&portal, &["--yes", "--map", "user_id=Kennung", "--map", "type=Rolle"]).with(0);
    let row = &bench.results()[0];
    assert_eq!((row["user_id"].clone(), row["roster_user_id"].clone()), (id.to_string(), "7".to_owned()));
    assert_eq!((row["employee_type"].as_str(), row["roster_type"].as_str()), ("User", "x"));
}

#[test]
fn whatever_tells_of_a_row_of_a_workbook_names_its_cell() {
    let bench = Bench::new();
    let users = active(2);
    let [one, other] = [users[0].id.to_string(), users[1].id.to_string()];
    // A row stands empty above: the second row of the roster is the fourth of the sheet.
    let rows: [&[&str]; 5] = [&["user_id", "employee_type"], &[&one, "User"], &[], &[ADA, "User"], &[&other, "Usr"]];
    bench.write("users.csv", workbook(&table(&rows)));
    let portal = portal(&users);
    let mut command = bench.run_command(&portal, &["--yes", "--junit", "j.xml", "--summary-json", "s.json"]);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", bench.path("s.md")).env("CI", "false");
    let ended = Ended::from(command.output().expect("the program runs")).with(1);
    let said = ended.said();
    assert!(said.contains("1 row failed, such as row 2 (Sheet!4:4): "), "{said}");
    assert!(said.contains("1 row invalid, such as row 3 (Sheet!B5): "), "{said}");
    assert!(said.contains("1 row invalid at Sheet!B5: column employee_type: `Usr` is no employee type"), "{said}");
    assert!(said.contains("1 row failed at Sheet!4:4: "), "{said}");
    assert!(!said.contains("on line"), "{said}");
    for (name, expected) in [
        ("j.xml", "such as row 2 (Sheet!4:4)"),
        ("s.md", "| 3 \\(Sheet\\!B5\\) |"),
        ("s.json", "\"example_at\": \"Sheet!B5\""),
    ] {
        assert!(bench.read(name).contains(expected), "{name}: {}", bench.read(name));
    }
    assert!(bench.results()[2]["detail"].starts_with("Sheet!B5, column employee_type: "), "{:?}", bench.results());
}

#[test]
fn what_a_message_cannot_say_of_a_row_of_a_workbook_names_its_place() {
    let bench = Bench::new();
    let users = active(3);
    let [one, other, third] = [0, 1, 2].map(|number| users[number].id.to_string());
    let rows: [&[&str]; 5] = [
        &["user_id", "employee_type", "team"],
        &[&one, "User", "North"],
        &[],
        &[&other, "User", ""],
        &[&third, "DocSpaceAdmin", "South"],
    ];
    bench.write("users.csv", workbook(&table(&rows)));
    let head = "Subject: x\nFrom: it@a.example\n\n";
    for (body, said) in [
        ("{{ team }}", "row 2 (Sheet!4:4): the roster's column `team` is empty"),
        ("{{ invite_link }}", "row 3 (Sheet!5:5) becomes a DocSpaceAdmin"),
    ] {
        bench.write("welcome.md", format!("{head}{body}"));
        let ended = bench.onboard(&["run", "users.csv", "--sandbox", "--message", "welcome.md"]).with(2);
        assert!(ended.said().contains(said), "{}", ended.err);
    }
}

/// A cell, by its place, and what is told of it.
fn told_of(name: &str) -> Vec<(String, String)> {
    let ended = check(name, &["--format", "json"]).with(1);
    let lines = ended.out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let cell = |line: &serde_json::Value| line["at"].as_str().expect("a cell").replace("'Neue Kollegen'!", "");
    lines.map(|line| (cell(&line), line["message"].as_str().expect("text").to_owned())).collect()
}

/// What is told of both fixtures, whichever program wrote them.
const ALIKE: [(&str, &str); 5] = [
    ("C4", "the cell holds the number `2`, and no text"),
    ("C5", "the cell holds the date `2026-11-01`, and no text"),
    ("C7", "the cell holds the truth value `TRUE`, and no text"),
    ("C11", "the cell is merged with those up to C12, so whose value it is cannot be told"),
    ("C12", "the cell is merged with C11, which alone has the value"),
];

fn with_alike(more: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(cell, what): &(&str, &str)| ((*cell).to_owned(), (*what).to_owned());
    let mut all: Vec<_> = ALIKE.iter().chain(more).map(owned).collect();
    all.sort_by_key(|(cell, _)| cell.get(1..).and_then(|row| row.parse::<u32>().ok()));
    all
}

#[test]
fn every_trap_is_told_of_a_workbook_that_openpyxl_wrote() {
    let expected = with_alike(&[
        ("A3", "the cell holds the number `12345678901234570000`, and no text"),
        // It stores no values of formulas.
        ("C6", "the cell's formula has no stored value"),
        ("A8", "the cell's formula has no stored value"),
        ("B9", "the cell's formula has no stored value"),
        ("A21", "the cell is empty"),
        ("C22", "the cell's formula has no stored value"),
    ]);
    assert_eq!(told_of("openpyxl.xlsx"), expected);
}

#[test]
fn every_trap_is_told_of_a_workbook_that_libreoffice_wrote() {
    let expected = with_alike(&[
        ("A3", "the cell holds the number `12345678901234600000`, and no text"),
        ("C6", "the cell holds the error `#DIV/0!`"),
    ]);
    assert_eq!(told_of("libreoffice.xlsx"), expected);
    let said = check("libreoffice.xlsx", &[]).with(1).said();
    assert!(
        said.contains("1 row has something beyond the last column of the header, the first at 'Neue Kollegen'!E18")
    );
    assert!(said.contains("hides 1 row") && !said.contains("no employee type"), "{said}");
}

#[test]
fn what_is_text_is_read_as_people_see_it() {
    for name in ["openpyxl.xlsx", "libreoffice.xlsx"] {
        let roster = Roster::read(&Source::Path(fixture(name))).expect("a roster");
        let mut seen = std::collections::BTreeMap::new();
        roster
            .for_each(|number, row, record, _| -> std::io::Result<()> {
                let email = roster.email(number)?.map(|email| email.to_string()).unwrap_or_default();
                let kind = row.employee_type.map(|kind| kind.to_string()).unwrap_or_default();
                let user = row.user.map(|user| user.to_string()).unwrap_or_default();
                seen.insert(record.line, [user, email, kind, record.cell(3).to_owned()]);
                Ok(())
            })
            .expect("read");
        let id = |number: u32| format!("{number:08x}-0000-4000-8000-000000000001");
        let row = |number: u32, email: &str, kind: &str, note: &str| {
            [id(number), email.to_owned(), kind.to_owned(), note.to_owned()]
        };
        assert_eq!(seen[&2], row(1, "ada@example.com", "User", "plain"), "{name}");
        // The address that is seen, and not the one to which it leads.
        assert_eq!(seen[&10], row(8, "di@example.com", "User", "linked"), "{name}");
        assert_eq!(seen[&13], row(11, "", "Guest", "rich text"), "{name}");
        assert_eq!(seen[&14], row(12, "", "Guest", "blanks and\nlines"), "{name}");
        assert_eq!(seen[&15], row(13, "", "Guest", &"y".repeat(32_000)), "{name}");
        assert_eq!(seen.get(&16), None, "{name}: the empty row");
        assert_eq!(seen[&17], row(14, "", "Guest", "after an empty row, \u{fc}\u{200b}\u{1f600}"), "{name}");
        assert_eq!(seen[&18], row(15, "ed@example.com", "Guest", "3.5"), "{name}");
        assert_eq!(seen[&20], row(17, "", "Guest", "apostrophe"), "{name}");
        if name == "libreoffice.xlsx" {
            assert_eq!(seen[&8], row(6, "", "User", "hyperlink by formula"));
            assert_eq!(seen[&9], row(7, "cy@example.com", "User", "formula of text"));
            assert_eq!(seen.keys().last(), Some(&20), "formulas that were pulled down too far are nothing");
        }
    }
}

#[test]
fn files_of_other_kinds_are_told_as_what_they_are_also_when_their_programs_wrote_them() {
    for (name, told) in [
        ("password.xlsx", "is an Excel workbook that is protected by a password; open it in Excel"),
        ("small.xls", "is an old Excel workbook (.xls); save it as .xlsx or CSV"),
        ("small.ods", "is an OpenDocument spreadsheet (.ods); save it as .xlsx or CSV"),
        ("title.xlsx", "the first row of the roster is no header; the header seems to be on row 3 of the sheet Liste"),
    ] {
        let ended = check(name, &[]).with(2);
        assert!(ended.said().contains(told), "{name}: {}", ended.err);
    }
    check("small.xlsm", &[]).with(0);
}

#[test]
fn how_a_text_is_to_be_spoken_is_no_part_of_it() {
    let spoken = "<t>User</t><rPh sb=\"0\" eb=\"4\"><t>\u{30e6}\u{30fc}\u{30b6}</t></rPh><phoneticPr fontId=\"1\"/>";
    let inline = table(&[&["user_id", "type"], &[ADA, "User"]]).replace("<t xml:space=\"preserve\">User</t>", spoken);
    check_of(&workbook(&inline), &[]).with(0);
    let shared = inline.replace(&format!("t=\"inlineStr\"><is>{spoken}</is>"), "t=\"s\"><v>0</v>");
    let strings = format!("<sst><si>{spoken}</si></sst>");
    check_of(&workbook_with(&shared, &[("xl/sharedStrings.xml", strings.as_bytes())]), &[]).with(0);
}

#[test]
fn a_workbook_comes_in_a_pipe_and_its_results_are_a_roster() {
    let bench = Bench::new();
    let users = active(2);
    let (one, other) = (users[0].id.to_string(), users[1].id.to_string());
    let rows: [&[&str]; 3] = [&["user_id", "type", "name"], &[&one, "User", "=Ada"], &[&other, "Usr", "Bo"]];
    let path = bench.write("hr.xlsx", workbook(&table(&rows)));
    let portal = portal(&users);
    bench.key_of(&portal);
    let origin = portal.origin();
    let to = ["--portal", &origin, "--api-key-file", "key", "--yes"];
    let piped = |args: &[&str]| {
        let mut command = bench.command(args);
        command.stdin(std::fs::File::open(&path).expect("opened"));
        Ended::from(command.output().expect("the program runs"))
    };
    let ended = piped(&["check", "-"]).with(1);
    assert!(ended.out.contains("standard input, Sheet!B3"), "{}", ended.out);
    piped(&[&["run", "-"][..], &to].concat()).with(1);
    assert_eq!(crate::bench::rows_of(&bench.path("onboard.results.csv")).len(), 2);
    // From the file, results go beside it as CSV, and are a roster themselves.
    bench.onboard(&[&["run", "hr.xlsx"][..], &to].concat()).with(1);
    let text = bench.read("hr.results.csv");
    assert!(text.starts_with("\u{feff}row,user_id,") && text.contains(",'=Ada\n"), "{text}");
    bench.onboard(&[&["run", "hr.results.csv", "--only", "invalid"][..], &to].concat()).with(1);
    // Saved as a workbook they are one, too; nothing is written over that.
    let saved: Vec<Vec<String>> = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_path(bench.path("hr.results.csv"))
        .expect("opened")
        .records()
        .map(|row| row.expect("a row").iter().map(|cell| cell.trim_start_matches('\u{feff}').to_owned()).collect())
        .collect();
    let saved: Vec<Vec<&str>> = saved.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    let book = workbook(&table(&saved.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    bench.write("hr.results.xlsx", &book);
    bench.onboard(&[&["run", "hr.results.xlsx", "--only", "invalid"][..], &to].concat()).with(1);
    let onto = ["run", "hr.results.xlsx", "-o", "hr.results.xlsx"];
    bench.onboard(&[&onto[..], &to].concat()).with(2);
    assert_eq!(std::fs::read(bench.path("hr.results.xlsx")).expect("there"), book);
    assert!(bench.read("hr.results.csv").contains("\"Sheet!C3, column employee_type: `Usr` is no employee type"));
    assert!(!bench.path("hr.results.results.csv").exists());
    assert_eq!(messages(&portal), 1);
}

#[test]
fn a_repaired_copy_of_a_workbook_takes_nothing_for_what_it_is_not() {
    for name in ["openpyxl.xlsx", "libreoffice.xlsx", "traps.xlsx"] {
        let bench = Bench::new();
        let path = fixture(name).to_string_lossy().into_owned();
        let before = Roster::read(&Source::Path(fixture(name))).expect("a roster");
        bench.onboard(&["check", &path, "--fix", "out.csv"]).with(1);
        let after = Roster::read(&Source::Path(bench.path("out.csv"))).expect("a roster");
        let rows = |roster: &Roster| -> Vec<_> {
            let valid = roster.rows().iter().filter(|row| row.state == RowState::Valid);
            valid.map(|row| (row.user, row.email, row.employee_type)).collect()
        };
        assert_eq!(rows(&after), rows(&before), "{name}: {}", bench.read("out.csv"));
        bench.onboard(&["check", "out.csv", "--fix", "again.csv"]).with(1);
        assert_eq!(bench.read("again.csv"), bench.read("out.csv"), "{name}");
    }
    let bench = Bench::new();
    bench.onboard(&["check", &fixture("openpyxl.xlsx").to_string_lossy(), "--fix", "out.csv"]).with(1);
    let copy = bench.read("out.csv");
    for told in [
        "`#MERGED? User` is no employee type: a spreadsheet has turned it into one of several cells that are merged;",
        "`#FORMULA?` is no user id: a spreadsheet has turned it into a formula without a value;",
    ] {
        assert!(copy.contains(told), "{copy}");
    }
    // A key that a spreadsheet took for a number may have lost its zeros.
    let cells = table(&[&["user_id", "type", "key"], &[ADA, "User", "7"], &[BO, "User", "x"]])
        .replace("t=\"inlineStr\"><is><t xml:space=\"preserve\">7</t></is>", "><v>7</v>");
    for key in ["><v>7</v>", "><f>1+6</f>"] {
        bench.write("users.xlsx", workbook(&cells.replace("><v>7</v>", key)));
        let _ = std::fs::remove_file(bench.path("key.csv"));
        bench.onboard(&["check", "users.xlsx", "--fix", "key.csv"]).with(1);
        let ended = bench.onboard(&["check", "key.csv"]).with(1);
        assert!(ended.out.contains("2 rows: 1 row cannot be used"), "{}", ended.out);
    }
}

/// What a cell of a spreadsheet may hold that reads the same from either kind of file.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(ADA.to_owned()),
        Just(format!("{{{BO}}}")),
        Just("ada@example.com".to_owned()),
        Just("guest".to_owned()),
        Just("Usr".to_owned()),
        Just(" \"User\" ".to_owned()),
        Just("two\nlines".to_owned()),
        "[a-zA-Z,;|\"' =+@<>&\u{e9}\u{fc}\u{20ac}-]{0,8}",
    ]
}

/// A table as CSV, with every cell in quotes that needs them.
fn csv_of(rows: &[Vec<String>], separator: u8) -> String {
    let mut writer = csv::WriterBuilder::new().delimiter(separator).flexible(true).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("written");
    }
    String::from_utf8(writer.into_inner().expect("written")).expect("text")
}

/// What is read of a roster: of each row what is kept, and its cells.
fn everything(roster: &Roster) -> Vec<(onboard::roster::Row, Option<String>, Vec<String>)> {
    let mut rows = Vec::new();
    let width = roster.columns().names.len();
    roster
        .for_each(|number, row, record, problem| -> std::io::Result<()> {
            let cells = (0..width).map(|column| record.cell(column).to_owned()).collect();
            rows.push((*row, problem.map(|problem| problem.with_help()), cells));
            assert_eq!(roster.email(number)?.is_some(), row.email.is_some());
            Ok(())
        })
        .expect("read");
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_table_is_the_same_roster_as_csv_and_as_a_workbook(
        rows in prop::collection::vec(prop::collection::vec(cell(), 5), 1..6),
        separator in prop::sample::select(b",;\t|".to_vec()),
        encoding in 0..5,
    ) {
        let mut all: Vec<Vec<String>> = vec![["user_id", "E-Mail", "type", "key", "Notiz"].map(str::to_owned).to_vec()];
        all.extend(rows);
        let text = csv_of(&all, separator);
        let utf16 = |little: bool| {
            let units = std::iter::once(0xfeff).chain(text.encode_utf16());
            units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect::<Vec<u8>>()
        };
        let bytes = match encoding {
            0 => text.clone().into_bytes(),
            1 => format!("\u{feff}{text}").into_bytes(),
            2 => utf16(true),
            3 => utf16(false),
            _ => encoding_rs::WINDOWS_1252.encode(&text).0.into_owned(),
        };
        let borrowed: Vec<Vec<&str>> = all.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
        let borrowed: Vec<&[&str]> = borrowed.iter().map(Vec::as_slice).collect();
        let csv = Roster::read_from(&mut bytes.as_slice(), "csv").expect("a roster");
        // Letters beyond ASCII may be UTF-8 by chance.
        prop_assume!(encoding != 4 || csv.encoding() == "windows-1252" || text.is_ascii());
        let sheet = Roster::read_from(&mut workbook(&table(&borrowed)).as_slice(), "sheet").expect("a roster");
        prop_assert_eq!(everything(&csv), everything(&sheet));
        prop_assert_eq!(&csv.columns().passed, &sheet.columns().passed);
    }
}
