use std::io::Write as _;

use proptest::prelude::*;

use super::*;

const ANN: &str = "5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10";
const BEN: &str = "66faa6e4-f133-11ea-b126-00ffeec8b4ef";

fn read(bytes: &[u8]) -> Result<Roster, RosterError> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("written");
    Roster::read(&Source::Path(file.path().to_owned()))
}

fn rows(text: &str) -> Vec<Row> {
    read(text.as_bytes()).expect("a roster").rows().to_vec()
}

fn problems(text: &str) -> Vec<String> {
    let roster = read(text.as_bytes()).expect("a roster");
    let mut problems = Vec::new();
    roster
        .for_each(|_, _, record, problem| -> io::Result<()> {
            problems.extend(problem.map(|problem| problem.line(record.line, roster.columns())));
            Ok(())
        })
        .expect("read again");
    problems
}

#[test]
fn every_separator_and_line_end_gives_the_same_rows() {
    let reference = rows(&format!("user_id,employee_type,name\n{ANN},Guest,Ann\n{BEN},user,Ben\n"));
    assert_eq!(reference.len(), 2);
    for separator in [";", "\t", "|"] {
        for line_end in ["\n", "\r\n", "\r"] {
            let text = format!("user_id,employee_type,name\n\n{ANN},Guest,Ann\n{BEN},user,Ben");
            let text = text.replace(',', separator).replace('\n', line_end);
            assert_eq!(rows(&text), reference, "{text:?}");
        }
    }
}

#[test]
fn a_header_that_holds_other_separators_is_read_by_the_one_that_gives_the_columns() {
    let names = "user_id,employee_type,\"teams: a;b;c;d|e|f|g\",h;i;j;k";
    let roster = read(format!("{names}\n{ANN},User,x,y\n").as_bytes()).expect("a roster");
    assert_eq!((roster.delimiter(), roster.rows().len()), (',', 1));
    assert_eq!(roster.rows().first().map(|row| row.state), Some(RowState::Valid));
    // Where none gives them, the likeliest one is told of.
    let error = read(b"usr_id;type;a,b\n").expect_err("no user").to_string();
    assert!(error.contains("has `usr_id`, `type`, `a,b`"), "{error}");
}

#[test]
fn the_template_is_a_roster_without_problems() {
    assert_eq!(problems(TEMPLATE), Vec::<String>::new());
    assert_eq!(rows(TEMPLATE).len(), 4);
}

#[test]
fn bad_rows_are_told_by_line_and_column_and_the_others_go_on() {
    let text = format!(
        "user_id,employee_type,name\n{ANN},Gest,\"two\nlines\"\nnobody,User,x\n{BEN},User,x\n\n{BEN}\n{ANN},1,x\n\
         00000000-0000-0000-0000-000000000000,User,x\n,User,x\nanna@example.com,User,x\n{ANN},User,x,y\n"
    );
    assert_eq!(
        problems(&text),
        [
            "line 2, column employee_type: `Gest` is no employee type; did you mean `Guest`?",
            "line 4, column user_id: `nobody` is no user id; a user id looks like 5bf6d7a0-9d0c-4a6e-8a53-6c2f1f7e9b10",
            "line 7: the row has 1 cells, the header 3; is a separator missing?",
            "line 8, column employee_type: `1` is no employee type; one of Guest, User, RoomAdmin, DocSpaceAdmin",
            "line 9, column user_id: `00000000-0000-0000-0000-000000000000` is not a person; the portal has this id for \
             nobody; look the user up",
            "line 10, column user_id: the cell is empty; a user id is needed",
            "line 11, column user_id: `anna@example.com` is no user id; an e-mail address belongs into a column `email`",
            "line 12: the row has 4 cells, the header 3; does a cell with a separator lack its quotes?",
        ]
    );
}

#[test]
fn the_first_valid_row_of_a_user_leads() {
    let text = format!("user_id,type\n{ANN},nonsense\n{ANN},Guest\n{BEN},User\n{},User\n", ANN.to_uppercase());
    let states: Vec<_> = rows(&text).into_iter().map(|row| row.state).collect();
    assert_eq!(states, [RowState::Invalid, RowState::Valid, RowState::Valid, RowState::Duplicate { of: 2 }]);
}

#[test]
fn addresses_are_compared_as_the_portal_does() {
    let text =
        format!("email,user_id,type\nAnn@x.org,,Guest\nben@x.org,{BEN},User\n ann@X.ORG,{ANN},User\nc@x.org,,User\n");
    let states: Vec<_> = rows(&text).into_iter().map(|row| row.state).collect();
    assert_eq!(states, [RowState::Valid, RowState::Valid, RowState::Duplicate { of: 1 }, RowState::Valid]);
    let roster = read(text.as_bytes()).expect("a roster");
    assert_eq!(roster.email(0).expect("read").map(|email| email.to_string()), Some("ann@x.org".into()));
}

#[test]
fn keys_are_found_by_row() {
    let roster = read(format!("user_id,type,key\n{ANN},Guest,one\n{BEN},User,\n").as_bytes()).expect("a roster");
    assert_eq!(roster.key(0).expect("read"), Some("one".into()));
    assert_eq!(roster.key(1).expect("read"), None);
    assert_eq!(roster.key(7).expect("read"), None);
}

#[test]
fn what_cannot_be_used_at_all_is_told_in_a_sentence() {
    let error = |bytes: &[u8]| read(bytes).expect_err("unusable").to_string();
    assert_eq!(error(b""), "the roster is empty; expected a header with user_id and employee_type");
    assert_eq!(error(b"\n\n"), "the roster is empty; expected a header with user_id and employee_type");
    assert!(error(b"name,type\n").contains("no column `user_id`"));
    assert!(error(format!("user_id,type\n{ANN},\"Guest\n{BEN},User\n").as_bytes()).contains("opens on line 2"));
    assert!(
        error(format!("user_id,type,n\n{ANN},User,\"a\nb\"\n{ANN},User,\"x\n\n").as_bytes())
            .contains("opens on line 4")
    );
    assert!(read(b"user_id,type\n").expect("a header").rows().is_empty());
}

#[test]
fn a_row_that_is_too_large_is_skipped_with_flat_memory_and_the_next_is_read() {
    let huge = "x".repeat(3 << 20);
    let text = format!("user_id,type,name\n{ANN},User,{huge}\n{BEN},User,Ben\n{ANN},User,{}\n", "y".repeat(70_000));
    let states: Vec<_> = rows(&text).into_iter().map(|row| row.state).collect();
    assert_eq!(states, [RowState::Invalid, RowState::Valid, RowState::Invalid]);
    let told = problems(&text);
    assert!(told[0].starts_with("line 2: the row is too large"), "{told:?}");
    assert!(told[1].starts_with("line 4, column name: the cell is too large"), "{told:?}");
    let many = format!("user_id,type\n{ANN}{}\n{BEN},User\n", ",".repeat(1_000_000));
    assert_eq!(rows(&many).last().map(|row| row.state), Some(RowState::Valid));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
        let _ = read(&bytes);
        let mut text = b"user_id,type,x\n".to_vec();
        text.extend(bytes);
        let _ = read(&text);
    }

    #[test]
    fn rows_in_are_rows_out(cells in proptest::collection::vec("[a-zäöü\",;\n' ]{0,12}", 1..20)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["user_id", "type", "note"]).expect("written");
        for cell in &cells {
            writer.write_record([ANN, "User", cell]).expect("written");
        }
        let roster = read(&writer.into_inner().expect("written")).expect("a roster");
        prop_assert_eq!(roster.rows().len(), cells.len());
        let mut read_back = Vec::new();
        roster.for_each(|_, _, record, _| -> io::Result<()> {
            read_back.push(record.cell(2).to_owned());
            Ok(())
        }).expect("read again");
        prop_assert_eq!(read_back, cells);
    }
}
