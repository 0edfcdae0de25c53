//! `check --fix`: what is certain is mended, what is not is marked, and nobody becomes somebody else.

use onboard::roster::{
    Reading, Roster, RowState,
    fix::{Fixed, fix},
};
use proptest::prelude::*;

use crate::bench::Bench;

const ADA: &str = "2d20f1cd-235a-fc95-3820-2b25f2e68428";
const BO: &str = "4abfb640-cb9e-63d4-cb42-b3f7f98a9796";

fn read(bytes: &[u8]) -> Option<Roster> {
    Roster::read_from(&mut &*bytes, "it").ok()
}

fn fixed(bytes: &[u8]) -> Option<Fixed> {
    fix(&read(bytes)?, &Reading::default()).ok()
}

#[test]
fn what_is_certain_is_mended_and_what_is_not_is_marked() {
    let bench = Bench::new();
    let text = format!(
        "user_id;email;employee_type;name\n=\"{ADA}\";mailto:Ada@example.com;user;Ada\n;Bo Example <bo@example.com>; \u{201c}GUEST\u{201d};Bo\n\
         ;ci@example.com (Ci);User;=Ci\n{BO};;Usr;Di\n;ada@example.com;User;again\n;ed@example.com/;User;Ed\n;\"x\" y;User;Ex\n"
    );
    bench.write("hr.csv", text);
    let ended = bench.onboard(&["check", "hr.csv", "--fix", "out.csv"]).with(1);
    let copy = bench.read("out.csv");
    let lines: Vec<&str> = copy.lines().collect();
    assert_eq!(lines[0], "onboard_check;user_id;email;employee_type;name");
    assert_eq!(lines[1], format!(";{ADA};Ada@example.com;User;Ada"));
    assert_eq!(lines[2], ";;bo@example.com;Guest;Bo");
    assert_eq!(lines[3], ";;ci@example.com;User;=Ci");
    assert!(lines[4].starts_with("\"employee_type: `Usr` is no employee type; did you mean `User`?"), "{}", lines[4]);
    assert!(lines[5].starts_with("the user stands in row 1 already;;ada@example.com;"), "{}", lines[5]);
    assert!(lines[6].ends_with(";;ed@example.com/;User;Ed"), "{}", lines[6]);
    assert!(lines[7].ends_with(";;\"x\" y;User;Ex"), "{}", lines[7]);
    assert!(
        ended.out.contains("mended: line 2, column email: `mailto:Ada@example.com` is now `Ada@example.com`"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("out.csv: 6 cells mended; 4 rows need a person"), "{}", ended.out);
    // Twice changes nothing, and the same place may be written again.
    bench.onboard(&["check", "hr.csv", "--fix", "out.csv"]).with(1);
    bench.onboard(&["check", "out.csv", "--fix", "again.csv"]).with(1);
    assert_eq!(bench.read("again.csv"), copy);
    // Neither the roster nor a file of somebody else's is written over.
    bench.onboard(&["check", "hr.csv", "--fix", "hr.csv"]).with(2);
    bench.write("other.csv", "precious\n");
    bench.onboard(&["check", "hr.csv", "--fix", "other.csv"]).with(2);
    assert_eq!(bench.read("other.csv"), "precious\n");
}

#[test]
fn a_copy_with_nothing_to_say_has_no_column_for_it() {
    let bench = Bench::new();
    bench.write("hr.csv", format!("user_id,type\n{ADA},user\n"));
    bench.onboard(&["check", "hr.csv", "--fix", "out.csv"]).with(0);
    assert_eq!(bench.read("out.csv"), format!("user_id,type\n{ADA},User\n"));
    bench.onboard(&["check", "hr.csv", "--fix", "out.csv"]).with(0);
    bench.write("hr.csv", "onboard_check,user_id,type\nold,x,User\n");
    bench.onboard(&["check", "hr.csv", "--fix", "b.csv"]).with(1);
    assert_eq!(bench.read("b.csv").lines().next(), Some("onboard_check,user_id,type"));
}

#[test]
fn bytes_and_numbers_that_could_be_several_things_become_none() {
    let latin =
        [b"email,type,name\nzo\xc3\xab@example.com,User,x\n".as_slice(), b"jos\xe9@example.com,User,x\n"].concat();
    let fixed = fixed(&latin).expect("a copy");
    assert_eq!(fixed.roster.rows()[1].state, RowState::Invalid);
    let again = self::fixed(&fixed.text).expect("a copy");
    assert_eq!(again.text, fixed.text);
}

#[test]
fn no_other_reading_may_exist_of_an_address_that_is_mended() {
    for odd in [
        "Ada ada@example.com",
        "ada@example.com Ada",
        "ada@example.com, bo@example.com",
        "Ada <ada@example.com> <bo@example.com>",
        "a@b.example <ada@example.com>",
        "ada@example.com;",
        "https://ada@example.com/",
        "Ada <ada@example,com>",
    ] {
        let text = format!("email,type\n\"{odd}\",User\n");
        let fixed = fixed(text.as_bytes()).expect("a copy");
        assert_eq!((fixed.changes.len(), fixed.roster.rows()[0].state), (0, RowState::Invalid), "{odd}");
    }
}

#[test]
fn what_template_prints_check_accepts() {
    for of in ["run", "invite"] {
        let bench = Bench::new();
        let printed = bench.onboard(&["template", "--for", of]).with(0);
        assert!(printed.out.contains("employee_type is Guest, User, RoomAdmin or DocSpaceAdmin"), "{}", printed.out);
        bench.write("new.csv", &printed.out);
        let ended = bench.onboard(&["check", "new.csv"]).with(0);
        assert!(ended.out.contains("4 rows: all can be used"), "{}", ended.out);
    }
}

fn cell() -> impl Strategy<Value = String> {
    let whole = prop::sample::select(vec![
        ADA,
        BO,
        "4ABFB640CB9E63D4CB42B3F7F98A9796",
        "ada@example.com",
        "Bo Example <bo@example.com>",
        "User",
        "guest",
        "Gast",
        "",
        "\u{200b}",
        "\"\"",
        "''",
        "-",
    ]);
    let around = prop::sample::select(vec![
        ("", ""),
        (" ", "\u{a0}"),
        ("\"", "\""),
        ("=\"\"", "\"\""),
        ("'", "'"),
        ("mailto:", ""),
        ("<", ">"),
        ("\u{feff}", ""),
        ("\"", "\"x"),
        ("\"a\n", "\""),
        ("?", ""),
    ]);
    (whole, around).prop_map(|(text, (before, after))| format!("{before}{text}{after}"))
}

proptest! {
    #[test]
    fn a_copy_of_a_copy_is_the_copy_and_nobody_becomes_somebody_else(
        rows in prop::collection::vec(prop::collection::vec(cell(), 0..5), 0..6),
        separator in prop::sample::select(vec![",", ";", "\t"]),
    ) {
        let mut text = ["user_id", "email", "type", "note"].join(separator) + "\n";
        for row in &rows {
            text.push_str(&row.join(separator));
            text.push('\n');
        }
        let (Some(before), Some(fixed)) = (read(text.as_bytes()), fixed(text.as_bytes())) else { return Ok(()) };
        prop_assert_eq!(before.rows().len(), fixed.roster.rows().len());
        for (before, after) in before.rows().iter().zip(fixed.roster.rows()) {
            if before.state != RowState::Invalid {
                prop_assert_eq!((before.user, before.email, before.employee_type, before.state), (after.user, after.email, after.employee_type, after.state));
            }
        }
        let again = self::fixed(&fixed.text).expect("a copy of the copy");
        prop_assert_eq!(String::from_utf8_lossy(&again.text), String::from_utf8_lossy(&fixed.text));
        prop_assert_eq!(again.changes, vec![]);
    }
}
