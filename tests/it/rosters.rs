//! Rosters as people have them: one file for each kind of public trouble report (`cases/`), and what is right for it.

use std::path::PathBuf;

use onboard::sandbox::User;

use crate::bench::{Bench, Ended, active, messages, portal};

fn case(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/cases").join(name)
}

fn check(name: &str) -> Ended {
    Bench::new().onboard(&["check", &case(name).to_string_lossy()])
}

/// What `check` says of these bytes.
fn check_of(text: impl AsRef<[u8]>) -> Ended {
    let bench = Bench::new();
    bench.write("users.csv", text);
    bench.onboard(&["check", "users.csv"])
}

/// The problems of a roster, each as its line, its column and its words.
fn problems(name: &str) -> Vec<(u64, String, String)> {
    let ended = Bench::new().onboard(&["check", &case(name).to_string_lossy(), "--format", "json"]);
    ended.out.lines().map(|line| problem(&serde_json::from_str(line).expect("JSON"))).collect()
}

fn problem(json: &serde_json::Value) -> (u64, String, String) {
    let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
    (json["line"].as_u64().expect("a line"), text("column"), format!("{}; {}", text("message"), text("help")))
}

const ADA: &str = "2d20f1cd-235a-fc95-3820-2b25f2e68428";
const BO: &str = "4abfb640-cb9e-63d4-cb42-b3f7f98a9796";

#[test]
fn no_row_vanishes_into_a_cell_unsaid() {
    let found = problems("01-stray-quote-swallows-rows.csv");
    assert_eq!(found.len(), 1, "{found:?}");
    let (line, column, what) = &found[0];
    assert_eq!((*line, column.as_str()), (2, "note"), "where the quote opens");
    assert!(what.contains("lines 3 to 5") && what.contains("(line 3, 4, 5)"), "{what}");
    assert!(what.contains("text after the closing quote on line 5"), "{what}");
    let ended = check("01-stray-quote-swallows-rows.csv").with(1);
    assert!(ended.out.contains("2 rows: 1 row cannot be used"), "{}", ended.out);
    // The quote opens in a line of its own, and the next one closes a cell as if nothing were wrong.
    let text = format!("user_id,employee_type,name,note\n{ADA},User,\"a\nb\",\"24 inch\n{BO},User,Bo,27\"\n");
    let ended = check_of(text).with(1);
    assert!(ended.out.contains("users.csv:3") && ended.out.contains("takes in line 4,"), "{}", ended.out);
    // In the header.
    let ended = check_of(format!("user_id,employee_type,\"name\n{ADA},User,Ada\n{BO},User,\"\"Bo\"\n")).with(2);
    assert!(ended.said().contains("quote that opens on line 1"), "{}", ended.err);
    // By address, with a type that is none.
    let ended = check_of("email;employee_type;note\nann@x.org;User;\"a\nbo@x.org;Gast;x\nci@x.org;User;b\"\n").with(1);
    assert!(ended.out.contains("(line 3, 4)"), "{}", ended.out);
    // Text after a closing quote, within one line.
    let ended = check_of(format!("user_id,employee_type,name\n{ADA},User,\"Ada\" Example\n")).with(1);
    assert!(ended.out.contains("text after the closing quote"), "{}", ended.out);
}

#[test]
fn a_quoted_cell_may_hold_line_ends_and_addresses() {
    for note in [
        "two\nlines",
        "two\r\nlines, with a comma",
        "Contact:\nbo@example.com\nthanks",
        "Ada\nbo@example.com, +49 30 1",
        "the \"\"quoted\"\" one\nand more",
        "User\nGuest",
    ] {
        check_of(format!("user_id,employee_type,name,note\n{ADA},User,Ada,\"{note}\"\n")).with(0);
    }
    // A header over two lines, and a blank after a closing quote.
    check_of(format!("user_id,\"employee\n type\",name\n{ADA},User,\"Ada\" \n")).with(0);
}

#[test]
fn cells_left_out_at_a_rows_end_are_empty() {
    let ended = check("02-short-rows-trailing-empty-cells-left-out.csv").with(0);
    assert!(ended.out.contains("3 rows: all can be used"), "{}", ended.out);
    // Cells too many are nothing either, where nothing stands in them.
    check_of(format!("user_id,employee_type,name\n{ADA},User,Ada,,\n{BO},User\n")).with(0);
    let ended = check_of(format!("name,user_id,employee_type\nAda,{ADA}\nBo,{BO},User\n")).with(1);
    assert!(ended.out.contains("the row has 2 cells, the header 3"), "{}", ended.out);
}

#[test]
fn rows_of_nothing_but_separators_are_no_rows() {
    let ended = check("03-rows-of-separators-only.csv").with(0);
    assert!(ended.out.contains("2 rows: all can be used"), "{}", ended.out);
    let text = format!(";;\n\u{a0}; ;\nuser_id;employee_type;name\n;;\n{ADA};User;Ada\n\"\";\"\";\n\u{200b};;\n");
    let ended = check_of(text).with(0);
    assert!(ended.out.contains("1 row: all can be used"), "{}", ended.out);
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    bench.write("users.csv", bench.read("users.csv") + ",,\n ,,\n,,,,\n");
    let portal = portal(&users);
    bench.run(&portal, &["--strict", "--yes"]).with(0);
    assert_eq!((messages(&portal), bench.results().len()), (2, 2));
}

#[test]
fn a_line_that_names_the_separator_is_no_header() {
    let ended = check("04-sep-line.csv").with(0);
    assert!(ended.out.contains("1 row: all can be used"), "{}", ended.out);
    for first in ["SEP=;", "\"sep=;\"", "\u{feff}sep=;", "sep=;;;"] {
        check_of(format!("{first}\r\nuser_id;employee_type;a,b,c\r\n{ADA};User;x\r\n")).with(0);
    }
    check_of(format!("sep=\t\nuser_id\temployee_type\n{ADA}\tUser\n")).with(0);
    check_of(format!("sep=^\nuser_id^employee_type\n{ADA}^User\n")).with(0);
    let ended = check_of(format!("sep=;\nuser_id;employee_type\n{ADA};Usr\n")).with(1);
    assert!(ended.out.contains("users.csv:3"), "{}", ended.out);
}

#[test]
fn one_bad_byte_changes_no_other_row() {
    let name = "05-one-latin1-byte-garbles-another-address.csv";
    let ended = check(name).with(0);
    assert!(ended.said().contains("warning: the roster is UTF-8, but some bytes in it are not"), "{}", ended.err);
    let bench = Bench::new();
    std::fs::copy(case(name), bench.path("users.csv")).expect("copied");
    let people = ["zo\u{eb}@example.com", "bo@example.com"].map(|address| {
        let id = onboard::user::UserId::from_bytes([u8::try_from(address.len()).expect("short"); 16]);
        User::of_roster(id, Some(address.to_owned()), onboard::user::EmployeeType::User)
    });
    let portal = portal(&people);
    bench.run(&portal, &["--yes"]);
    let rows = bench.results();
    let of = |row: usize| (rows[row]["user_id"].clone(), rows[row]["email"].clone(), rows[row]["name"].clone());
    assert_eq!(of(0), (people[0].id.to_string(), "zo\u{eb}@example.com".to_owned(), "Zo\u{eb}".to_owned()));
    assert_eq!(of(1), (people[1].id.to_string(), "bo@example.com".to_owned(), "Ren\u{e9}".to_owned()));
    // An address that is not UTF-8 is none, in a file that is; after a byte-order mark, too.
    let mut text = "email,employee_type,name\nzo\u{eb}@example.com,User,x\n".as_bytes().to_vec();
    text.extend(b"jos\xe9@example.com,User,x\n");
    let ended = check_of(&text).with(1);
    assert!(ended.out.contains("users.csv:3") && ended.out.contains("no UTF-8"), "{}", ended.out);
    check_of([b"\xef\xbb\xbfemail,type\n".as_slice(), b"jos\xe9@example.com,User\n"].concat()).with(1);
    // Without anything of UTF-8 it is windows-1252, as Excel writes it.
    let ended = check_of(b"email,type,name\njos\xe9@example.com,User,Fran\xe7ois\n").with(0);
    assert!(ended.said().contains("read as windows-1252"), "{}", ended.err);
    // What another program could not read is nobody's address.
    check_of("email,type\njos\u{fffd}@example.com,User\n").with(1);
}

#[test]
fn lines_in_quotes_as_one_cell_are_lines() {
    let ended = check("07-every-line-in-quotes.csv").with(0);
    assert!(ended.out.contains("2 rows: all can be used"), "{}", ended.out);
    for separator in [";", "\t"] {
        let text = format!("\"user_id,employee_type,name\"\n\"{ADA},User,\"\"Ada, A\"\"\"\n{BO},User,Bo\n");
        let ended = check_of(text.replace(',', separator)).with(0);
        assert!(ended.out.contains("2 rows: all can be used"), "{}", ended.out);
    }
}

#[test]
fn lines_in_quotes_beside_empty_cells_are_named() {
    for text in ["\"user_id,type,name\",,\n", "\"user_id,type,name\";;\n", "x;\"E-Mail\tType\"\n"] {
        let ended = check_of(format!("{text}\"{ADA},User,Ada\",,\n")).with(2);
        assert!(ended.said().contains("its lines stand in quotes"), "{}", ended.err);
    }
}

#[test]
fn lines_that_end_in_cr_alone_are_counted() {
    let found = problems("08-cr-only-line-numbers.csv");
    assert_eq!(found.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [3]);
    let text = format!("user_id,type,note\r{ADA},User,\"a\rb\"\r\r{BO},Usr,x\r");
    let ended = check_of(text).with(1);
    assert!(ended.out.contains("users.csv:5"), "{}", ended.out);
    let ended = check_of(format!("user_id,type,note\r{ADA},User,\"a\r{BO},User,x\r")).with(2);
    assert!(ended.said().contains("quote that opens on line 2"), "{}", ended.err);
}

#[test]
fn addresses_as_people_paste_them_are_not_sent_to_as_they_stand() {
    let found = problems("10-pasted-addresses.csv");
    let told: Vec<_> = found.iter().map(|(line, _, what)| (*line, what.as_str())).collect();
    assert_eq!(
        told,
        [
            (6, "`ed@example.com?subject=hi` is no e-mail address; is `ed@example.com` meant?"),
            (7, "`fi@example.com/` is no e-mail address; is `fi@example.com` meant?"),
            (8, "`gi@example.com:` is no e-mail address; is `gi@example.com` meant?"),
            (9, "`Hal Example <hal@example.com>` is no e-mail address; is `hal@example.com` meant?"),
        ]
    );
    // One mailbox, whichever way its domain is written.
    let text = "email,type\nada@b\u{fc}cher.example,User\nADA@xn--bcher-kva.example,User\nmailto:ada@b\u{fc}cher.example,User\n";
    let ended = check_of(text).with(0);
    assert!(ended.out.contains("2 rows of a user who stands in an earlier row"), "{}", ended.out);
}

#[test]
fn what_a_spreadsheet_has_done_to_a_cell_is_undone_or_told() {
    let found = problems("11-excel-text-formula.csv");
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].0 == 3 && found[0].2.contains("a spreadsheet has turned it into a number"), "{found:?}");
    assert!(found[1].0 == 4 && found[1].2.contains("a spreadsheet has turned it into an error"), "{found:?}");
    for id in
        ["1,23E+15", "1.23E+15", "-4E-07", "12345", "3.5", "#REF!", "#N/A", "#WERT!", "#BEZUG!", "######", "#VALUE!"]
    {
        let ended = check_of(format!("user_id;type\n{id};User\n")).with(1);
        assert!(ended.out.contains("a spreadsheet has turned it into"), "{id}: {}", ended.out);
    }
    let invisible = format!("\u{feff}{ADA}\u{200b}");
    let inside = ADA.replace('-', "\u{ad}-");
    let (quoted, formula) = (format!("\u{201c}{ADA}\u{201d}"), format!("=\"{ADA}\""));
    for id in [&invisible, &inside, &quoted, &formula, &format!("'{ADA}'"), &format!("\u{a0}{ADA} ")] {
        check_of(format!("us\u{200b}er_id;\u{200e}type\n{id};=\"User\"\n{BO};\u{200b}Guest\n")).with(0);
    }
    // An old editor's mark of the end.
    for end in ["\u{1a}", "\r\n\u{1a}", "\r\n\u{1a}\r\n", "\n\u{1a}\u{1a}"] {
        let ended = check_of(format!("user_id,type\n{ADA},User\n{BO},Guest{end}")).with(0);
        assert!(ended.out.contains("2 rows: all can be used"), "{}", ended.out);
    }
    check_of(format!("user_id,type,name\n{ADA},User,\"Ada\"\u{1a}")).with(0);
}

#[test]
fn a_title_above_the_header_is_named() {
    let ended = check("12-title-row-and-comment.csv").with(2);
    assert!(ended.said().contains("the header seems to be on line 3"), "{}", ended.err);
    let ended = check_of(format!("# made by; HR, Berlin\nuser_id\ttype\n{ADA}\tUser\n")).with(2);
    assert!(ended.said().contains("the header seems to be on line 2"), "{}", ended.err);
}

#[test]
fn the_separator_and_the_encoding_are_said() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let text = |separator: &str| format!("user_id,type,name\n{ADA},User,Zo\u{eb}\n").replace(',', separator);
    for (bytes, said) in [
        (text(",").into_bytes(), "read as UTF-8, cells separated by commas"),
        (
            format!("\u{feff}{}", text(";")).into_bytes(),
            "read as UTF-8 with a byte-order mark, cells separated by semicolons",
        ),
        (utf16(&format!("\u{feff}{}", text("\t"))), "read as UTF-16 with a byte-order mark, cells separated by tabs"),
        (text("|").replace('\u{eb}', "e").into_bytes(), "read as UTF-8, cells separated by `|`"),
        (
            [text(";").replace("Zo\u{eb}\n", "Zo").into_bytes(), vec![0xeb]].concat(),
            "read as windows-1252, cells separated by semicolons",
        ),
    ] {
        let ended = check_of(bytes).with(0);
        assert!(ended.out.contains(said), "{said}: {}", ended.out);
    }
}

#[test]
fn results_that_a_spreadsheet_has_saved_are_results() {
    let bench = Bench::new();
    let users: Vec<User> = [ADA, BO]
        .iter()
        .map(|id| User::of_roster(id.parse().expect("an id"), None, onboard::user::EmployeeType::User))
        .collect();
    let portal = portal(&users);
    let saved = std::fs::read_to_string(case("15-users.results.csv")).expect("read");
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    std::fs::copy(case("15-users.csv"), bench.path("users.csv")).expect("copied");
    for (number, saved) in [
        saved.clone().into_bytes(),
        utf16(&format!("\u{feff}{}", saved.replace(';', "\t"))),
        format!("\u{feff}sep=;\r\n{saved}").into_bytes(),
        saved.replace("row;", "\"row\";\"Bemerkung\";").into_bytes(),
    ]
    .into_iter()
    .enumerate()
    {
        bench.write("users.results.csv", saved);
        let ledger = format!("ledger{number}.db");
        bench.run(&portal, &["--yes", "--ledger", &ledger]).with(0);
        assert!(bench.read("users.results.csv").starts_with("row,user_id,"));
    }
    // Some of our columns are gone: it is not replaced, and not denied either.
    bench.write("users.results.csv", saved.replace("attempts;", ""));
    let ended = bench.run(&portal, &["--yes", "--ledger", "another.db"]).with(2);
    assert!(ended.said().contains("looks like results of onboard whose columns were changed"), "{}", ended.err);
    bench.write("users.results.csv", "row;name\n1;x\n");
    let ended = bench.run(&portal, &["--yes", "--ledger", "another.db"]).with(2);
    assert!(ended.said().contains("is no results file"), "{}", ended.err);
    // As a roster it goes on where that run ended.
    std::fs::copy(case("15-users.results.csv"), bench.path("old.csv")).expect("copied");
    let ended = bench.onboard(&["check", "old.csv"]).with(0);
    assert!(ended.out.contains("2 rows: all can be used"), "{}", ended.out);
}

#[test]
fn columns_that_may_be_taken_for_what_they_are_not_are_said_aloud() {
    let hr = case("41-hr-key-column.csv");
    for command in ["check", "plan"] {
        let ended = Bench::new().onboard(&[command, &hr.to_string_lossy()]).with(0);
        let said = ended.said();
        assert!(
            said.contains("column `Key` is taken as the congratulation key of its row (2 rows have one)"),
            "{said}"
        );
    }
    let bench = Bench::new();
    bench.write(
        "users.csv",
        format!("user_id,type,portal,Not Before\n{ADA},User,https://a.example,2027\n{BO},User,a.example/,\n"),
    );
    for command in ["check", "plan"] {
        let said = bench.onboard(&[command, "users.csv"]).with(0).said();
        assert!(said.contains("column `portal` is not acted upon") && said.contains("`Not Before` is not"), "{said}");
        assert!(!said.contains("more than one portal"), "{said}");
    }
    bench.write(
        "users.csv",
        format!("user_id,type,portal\n{ADA},User,https://a.example\n{BO},User,https://b.example\n"),
    );
    // A plan promises nothing that a run refuses.
    for (command, status) in [("check", 0), ("plan", 2)] {
        let said = bench.onboard(&[command, "users.csv"]).with(status).said();
        assert!(said.contains("more than one portal (`https://a.example` and `https://b.example`)"), "{said}");
    }
    let portal = portal(&active(1));
    let ended = bench.run(&portal, &["--yes"]).with(2);
    assert!(ended.said().contains("more than one portal"), "{}", ended.err);
    assert_eq!(portal.stats().total_requests(), 0);
}

#[test]
fn one_user_with_two_types_is_named_by_both_lines() {
    let text = format!("user_id,type,note\n{ADA},Guest,\"a\nb\"\n{BO},User,\n\n{ADA},RoomAdmin,\n{BO},user,\n");
    let said = check_of(text).with(0).said();
    assert!(said.contains("warning: a user is given two employee types (lines 2 and 6)"), "{said}");
    let said = check_of("email,type\nann@x.org,Guest\nAnn@X.org,User\nmailto:ann@x.org,RoomAdmin\n").with(0).said();
    assert!(said.contains("users are given two employee types (lines 2 and 3; lines 2 and 4)"), "{said}");
}

#[test]
fn those_who_will_manage_the_portal_are_counted_aloud() {
    let bench = Bench::new();
    bench.write("users.csv", format!("user_id,type\n{ADA},docspaceadmin\n{BO},User\n{ADA},DocSpaceAdmin\n"));
    for command in ["check", "plan"] {
        let said = bench.onboard(&[command, "users.csv"]).with(0).said();
        assert!(said.contains("note: 1 row is for DocSpaceAdmin"), "{said}");
    }
}

#[test]
fn a_roster_without_rows_is_told() {
    let bench = Bench::new();
    let portal = portal(&active(1));
    for text in ["user_id,employee_type\n", "user_id;employee_type;name\r\n;;\r\n\u{1a}"] {
        bench.write("users.csv", text);
        for command in ["check", "plan"] {
            let said = bench.onboard(&[command, "users.csv"]).with(0).said();
            assert!(said.contains("has a header and no rows"), "{said}");
        }
        assert!(bench.onboard(&["check", "users.csv"]).out.starts_with("no rows\n"));
        assert!(bench.run(&portal, &["--yes"]).with(0).said().contains("has a header and no rows"));
        bench.run(&portal, &["--yes", "--fail-on", "failed,empty"]).with(1);
    }
    bench.roster(&active(1));
    bench.run(&portal, &["--yes", "--fail-on", "empty"]).with(0);
}

/// GitHub drops whatever is beyond ten of a step, so rows that have one problem share a line, and the last counts the rest.
#[test]
fn annotations_of_a_check_are_ten_at_most_by_reason() {
    let bench = Bench::new();
    let check = |rows: &str| {
        bench.write("users.csv", format!("user_id,employee_type\n{rows}"));
        bench.onboard(&["check", "users.csv", "--format", "github"]).with(1).out
    };
    let id = "8ca81811-66d2-4876-b2fd-f2022a96fb1";
    let out = check(&("x,User\n".repeat(40) + &format!("{id}a,Gest\n")));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    let first =
        "::error file=users.csv,line=2,title=roster%2C column user_id::40 rows, the first here: `x` is no user id";
    assert!(lines[0].starts_with(first), "{out}");
    assert!(
        lines[1].starts_with("::error file=users.csv,line=42,title=roster%2C column employee_type::`Gest` is"),
        "{out}"
    );
    // Rows of 3 to 14 cells: twelve problems of their own.
    let many: Vec<String> = (3..15).map(|cells| format!("{id}a,User{}\n", ",x".repeat(cells - 2))).collect();
    let out = check(&many.concat());
    assert_eq!(out.lines().count(), 10, "{out}");
    assert!(out.ends_with("::3 bad rows with other problems: `onboard check` without --format tells each\n"), "{out}");
}

#[test]
fn a_file_that_was_cut_is_told() {
    let ended = check_of(format!("user_id,type,name\n{ADA},User,Ada\n{BO},User")).with(0);
    assert!(ended.said().contains("warning: the last line (3) has neither all its cells nor an end"), "{}", ended.err);
    let ended = check_of(format!("user_id,type,name\n{ADA},User,Ada\n{BO},User,B")).with(0);
    assert!(ended.said().contains("note: the last line (3) has no line end"), "{}", ended.err);
    let ended = check_of(format!("user_id,type,name\n{ADA},User,Ada\n")).with(0);
    assert!(!ended.said().contains("last line"), "{}", ended.err);
    let ended = check_of(format!("user_id,type,name\n{ADA},User,\"Ad")).with(2);
    assert!(ended.said().contains("If the file was cut there"), "{}", ended.err);
}
