//! Whole messages, from file to mail and back.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    roster::Roster,
    user::{Email, EmployeeType},
};

const WELCOME: &str = include_str!("../../samples/welcome.md");
const WELCOME_DE: &str = include_str!("../../samples/welcome.de.md");
const ROSTER: &str = "user_id,email,employee_type,Team,Page\n";

fn fields() -> Fields {
    Fields::of(Roster::read_from(&mut ROSTER.as_bytes(), "users.csv").expect("a roster").columns())
}

fn read(text: &str) -> Result<Message, MessageError> {
    Message::read("welcome.md", text.as_bytes(), &fields())
}

fn letters(text: &str) -> Messages {
    Messages::new(vec![read(text).expect("a message")], None).expect("letters")
}

fn cells(team: &str, page: &str) -> BTreeMap<usize, String> {
    BTreeMap::from([(3, team.to_owned()), (4, page.to_owned())])
}

fn values<'v>(name: &'v str, cells: &'v BTreeMap<usize, String>) -> Values<'v> {
    Values {
        name,
        email: "ada@example.com",
        portal: "https://portal.example.com",
        invite_link: Some("https://portal.example.com/s/8hVj2mXq5ZdTrPk"),
        employee_type: EmployeeType::User,
        cells,
    }
}

fn write(letters: &Messages, culture: Option<&str>, values: &Values<'_>) -> Result<Post, Fault> {
    let to = Recipient::new(&values.email.parse::<Email>().expect("an address")).expect("a recipient");
    let id = MessageId::new("0198a1.17", letters.sender(culture)).expect("an id");
    let at: Timestamp = "2026-11-25T18:52:03Z".parse().expect("a moment");
    letters.write(culture, values, &to, &id, at)
}

/// A mail, taken apart by rules of its own: headers unfolded, parts decoded.
struct Taken {
    headers: Vec<(String, String)>,
    text: String,
    html: String,
}

fn headers(block: &str) -> Vec<(String, String)> {
    let unfolded = block.replace("\r\n ", " ").replace("\r\n\t", " ");
    let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    unfolded.split("\r\n").map(|line| pair(line).expect("a header")).collect()
}

fn taken(post: &Post) -> Taken {
    let mail = std::str::from_utf8(post.bytes()).expect("ASCII");
    assert!(mail.is_ascii());
    assert_eq!(mail.matches('\n').count(), mail.matches("\r\n").count());
    assert_eq!(mail.matches('\r').count(), mail.matches("\r\n").count());
    assert!(mail.split("\r\n").all(|line| line.len() <= 998));
    let (block, body) = mail.split_once("\r\n\r\n").expect("a body");
    let headers_of_mail = headers(block);
    let (_, kind) = headers_of_mail.iter().find(|(name, _)| name == "Content-Type").expect("a type");
    let (before, boundary) = kind.split_once("boundary=\"").expect("a boundary");
    assert_eq!(before, "multipart/alternative; ");
    let boundary = boundary.trim_end_matches('"');
    let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
    assert_eq!((parts.len(), parts[3]), (4, "--\r\n"), "two parts");
    let decoded = |part: &str, kind: &str| {
        let (block, body) = part.trim_start().split_once("\r\n\r\n").expect("a body");
        let of_part = headers(block);
        assert_eq!(
            of_part,
            [
                ("Content-Type".to_owned(), format!("{kind}; charset=utf-8")),
                ("Content-Transfer-Encoding".to_owned(), "quoted-printable".to_owned())
            ]
        );
        let body = body.strip_suffix("\r\n").expect("a line end");
        let bytes = quoted_printable::decode(body, quoted_printable::ParseMode::Strict).expect("quoted-printable");
        String::from_utf8(bytes).expect("UTF-8").replace("\r\n", "\n")
    };
    Taken { text: decoded(parts[1], "text/plain"), html: decoded(parts[2], "text/html"), headers: headers_of_mail }
}

#[test]
fn a_message_becomes_a_mail() {
    let letters = letters(
        "\u{feff}subject: Welcome {{ name }}\r\nFROM: IT Department <it@example.com>\r\nReply-To: help@example.com\r\n\r\n\
         Hello {{ name }} of {{ team }},\r\n\r\nthis is [our portal]({{ portal }}/rooms?for={{ team }}).\r\n",
    );
    let cells = cells("R&D / \"2\"", "");
    let post = write(&letters, None, &values("Zo\u{eb} M\u{fc}ller", &cells)).expect("a mail");
    assert_eq!((post.sender(), post.recipient()), ("it@example.com", "ada@example.com"));
    let Taken { headers, text, html } = taken(&post);
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["From", "To", "Reply-To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    );
    let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    assert_eq!(header("From"), Some("\"IT Department\" <it@example.com>"));
    assert_eq!(header("To"), Some("ada@example.com"));
    assert_eq!(header("Date"), Some("Wed, 25 Nov 2026 18:52:03 +0000"));
    assert_eq!(header("Message-ID"), Some("<0198a1.17@example.com>"));
    assert_eq!(header("Auto-Submitted"), Some("auto-generated"));
    assert_eq!(header("Subject"), Some("Welcome =?utf-8?b?Wm/DqyBNw7xsbGVy?="));
    assert_eq!(
        text,
        "Hello Zo\u{eb} M\u{fc}ller of R&D / \"2\",\n\nthis is our portal \
         <https://portal.example.com/rooms?for=R%26D%20%2F%20%222%22>.\n"
    );
    assert!(html.contains("R&amp;D / &quot;2&quot;"), "{html}");
    assert!(html.contains("href=\"https://portal.example.com/rooms?for=R%26D%20%2F%20%222%22\""), "{html}");
    assert_eq!(write(&letters, None, &values("Zo\u{eb} M\u{fc}ller", &cells)).expect("a mail"), post, "made again");
}

#[test]
fn nothing_in_a_mail_is_loaded_from_elsewhere() {
    let cells = cells("", "");
    let html = taken(&write(&letters(WELCOME), None, &values("Ada", &cells)).expect("a mail")).html;
    for word in ["src=", "@import", "url(", "<script", "<img", "<link", "<form", "<iframe"] {
        assert!(!html.contains(word), "{word}");
    }
}

#[test]
fn the_samples_are_two_languages_of_one_mail() {
    let sample = |name: &str| {
        let text = if name == "welcome.md" { WELCOME } else { WELCOME_DE };
        Message::read(name, text.as_bytes(), &fields()).expect("a message")
    };
    let letters = Messages::new(vec![sample("welcome.de.md"), sample("welcome.md")], None).expect("letters");
    assert_eq!(letters.needs(), Needs { culture: true, invite_link: false, portal_name: true });
    let cells = cells("", "");
    let text = |culture| taken(&write(&letters, culture, &values("Ada", &cells)).expect("a mail")).text;
    for (culture, begins) in [
        (Some("de-DE"), "Guten Tag Ada,\n\nsch\u{f6}n"),
        (Some("de"), "Guten Tag"),
        (Some("en-US"), "Hello Ada,\n\ngood"),
        (None, "Hello"),
        (Some(""), "Hello"),
    ] {
        assert!(text(culture).starts_with(begins), "{culture:?}");
    }
    assert!(text(None).ends_with("a person reads it.\n\nWelcome aboard!\nYour IT department\n"), "{}", text(None));
    let other = Messages::new(vec![sample("welcome.md"), sample("welcome.de.md")], None).expect("letters");
    assert_eq!(other.digest(), letters.digest(), "in any order");
    assert_ne!(Messages::new(vec![sample("welcome.md")], None).expect("letters").digest(), letters.digest());
}

#[test]
fn the_closest_language_is_chosen_and_one_is_for_everybody_else() {
    let letter = |name: &str, language: &str| {
        let language = if language.is_empty() { String::new() } else { format!("Language: {language}\n") };
        let text = format!("Subject: {name}\nFrom: a@b.c\n{language}\nx\n");
        Message::read(name, text.as_bytes(), &fields()).expect("a message")
    };
    let set = Messages::new(
        vec![letter("de", "de"), letter("any", ""), letter("at", "de-AT"), letter("zh", "zh-Hans")],
        None,
    )
    .expect("letters");
    let cells = cells("", "");
    for (culture, subject) in [
        (Some("de-AT"), "at"),
        (Some("DE_at"), "at"),
        (Some("de-CH"), "de"),
        (Some("de"), "de"),
        (Some("zh-Hans-CN"), "zh"),
        (Some("zh-CN"), "any"),
        (Some("den"), "any"),
        (None, "any"),
    ] {
        let headers = taken(&write(&set, culture, &values("Ada", &cells)).expect("a mail")).headers;
        assert!(headers.contains(&("Subject".to_owned(), subject.to_owned())), "{culture:?}: {headers:?}");
    }
    let refused = |letters: Vec<Message>| Messages::new(letters, None).map(|_| ()).expect_err("refused").to_string();
    assert_eq!(refused(vec![]), "there is no message; name a file by --message");
    assert!(refused(vec![letter("a", ""), letter("b", "")]).starts_with("a and b both have no header `Language`"));
    assert_eq!(
        refused(vec![letter("a", ""), letter("b", "de"), letter("c", "DE")]),
        "b and c are both for the language de; leave one of them out"
    );
    assert!(refused(vec![letter("a", "en"), letter("b", "de")]).starts_with("each message has a header `Language`"));
    assert!(Messages::new(vec![letter("a", "de")], None).is_ok(), "one alone is for everybody");
}

#[test]
fn somebody_sends_it() {
    let letter = || read("Subject: x\n\ny\n").expect("a message");
    let told = Messages::new(vec![letter()], None).expect_err("nobody").to_string();
    assert!(told.starts_with("welcome.md: the header `From` is missing"), "{told}");
    let sender = "it@example.com".parse().expect("a sender");
    let letters = Messages::new(vec![letter()], Some(&sender)).expect("letters");
    assert_eq!(letters.sender(None).address(), "it@example.com");
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line() {
    for (text, told) in [
        ("", "welcome.md: the header `Subject` is missing"),
        ("\n\n", "welcome.md, line 1: the header `Subject` is missing"),
        ("Hello there", "welcome.md, line 1: this is no header"),
        ("Subject: x\nHello there\n\ny", "welcome.md, line 2: this is no header"),
        ("---\nSubject: x\n---\n\ny", "welcome.md, line 1: a message begins with its headers at once"),
        ("Subject: x\n  y\n\nz", "welcome.md, line 2: a header is one line"),
        ("Subject: x\nSubject: y\n\nz", "welcome.md, line 2: there are two headers `Subject`"),
        ("From: a@b.c\n\nz", "welcome.md, line 1: the header `Subject` is missing"),
        ("Subject:\n\nz", "welcome.md, line 1: the subject is empty"),
        (
            "Sujbect: x\n\nz",
            "welcome.md, line 1: there is no header `Sujbect` in a message; there are Subject, From, \
          Reply-To and Language (did you mean `Subject`?)",
        ),
        (
            "Subject: x\nX-Mailer: y\n\nz",
            "welcome.md, line 2: there is no header `X-Mailer` in a message; there are \
          Subject, From, Reply-To and Language",
        ),
        ("Subject: x\nBcc: a@b.c\n\nz", "welcome.md, line 2: a message has no header `Bcc`: it goes to each person"),
        ("Subject: x\nFrom: {{ email }}\n\nz", "welcome.md, line 2: `From` is the same for everybody"),
        ("Subject: x\nFrom: a@b.c, d@e.f\n\nz", "welcome.md, line 2: From: `a@b.c, d@e.f` is not one address"),
        ("Subject: x\nLanguage: german!\n\nz", "welcome.md, line 2: Language: `german!` is no language"),
        ("Subject: x\n\n  \n", "welcome.md: the message has no text"),
        ("Subject: x", "welcome.md: the message has no text"),
        ("Subject: {{ invite_link }}\n\nz", "welcome.md, line 1: the invitation link cannot stand in the subject"),
        ("Subject: {{ nmae }}\n\nz", "welcome.md, line 1: nothing is known as `nmae` (did you mean `name`?)"),
        ("Subject: x\n\na\n{{ tema }}", "welcome.md, line 4: nothing is known as `tema` (did you mean `team`?)"),
        ("Subject: x\n\na\u{7}b", "welcome.md, line 3: the character U+0007 cannot stand in a message"),
        ("Subject: x\n\na\u{f0000}b", "welcome.md, line 3: the character U+F0000 cannot stand in a message"),
        ("Subject: =?utf-8?q?x?=\n\na", "welcome.md, line 1: the subject holds a line end"),
    ] {
        let error = read(text).expect_err(text).to_string();
        assert!(error.starts_with(told), "{text:?}: {error}");
    }
    let latin = Message::read("w.md", b"Subject: x\n\nGr\xfc\xdfe", &fields()).expect_err("latin 1").to_string();
    assert_eq!(latin, "w.md, line 3: the file is not UTF-8 (the first such byte is 0xfc); save it as UTF-8");
    let large = Message::read("w.md", &vec![b'x'; MAX_FILE + 1], &fields()).expect_err("large").to_string();
    assert_eq!(large, "w.md: the file is larger than 256 KiB, so it is no message");
}

#[test]
fn the_rosters_values_are_looked_at_before_and_the_portals_when_they_are_there() {
    let letters =
        letters("Subject: {{ team }}\nFrom: a@b.c\n\n{{ name }}, see [this]({{ page }}) and {{ invite_link }}.\n");
    assert_eq!(letters.needs(), Needs { culture: false, invite_link: true, portal_name: true });
    assert_eq!(letters.columns().into_iter().collect::<Vec<_>>(), [3, 4]);
    let good = cells("Sales", "https://example.com/x");
    assert_eq!(letters.check(&good), Ok(()), "the portal was not asked yet");
    for (team, page, told) in [
        (" ", "https://a.b/", "the roster's column `Team` is empty; the message needs it for `{{ team }}`"),
        ("a\nb", "https://a.b/", "the roster's column `Team` holds a line end or another control character"),
        ("a\u{202e}b", "https://a.b/", "the roster's column `Team` holds characters that turn around"),
        ("a", "javascript:alert(1)", "the roster's column `Page` is no web address like https://example.com/page"),
        ("=?utf-8?q?x?=", "https://a.b/", "with this row's values in it, the subject holds a line end"),
    ] {
        let cells = cells(team, page);
        let told_now = letters.check(&cells).expect_err(told).to_string();
        assert!(told_now.starts_with(told), "{told_now}");
        assert_eq!(write(&letters, None, &values("Ada", &cells)).map_err(|fault| fault.to_string()), Err(told_now));
    }
    for (values, told) in [
        (values(" ", &good), "the name that the portal shows is empty; the message needs it for `{{ name }}`"),
        (values("a\r\nBcc: x@y.z", &good), "the name that the portal shows holds a line end"),
        (Values { invite_link: None, ..values("Ada", &good) }, "the invitation link is empty"),
        (Values { invite_link: Some("//x"), ..values("Ada", &good) }, "the invitation link is no web address"),
    ] {
        assert_eq!(letters.check(values.cells), Ok(()));
        let fault = write(&letters, None, &values).expect_err(told).to_string();
        assert!(fault.starts_with(told), "{fault}");
    }
}

/// Text as somebody may have it in a cell, and worse.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,60}",
        "[<>&\"'*_`\\[\\](){}#|=?:/.\\\\ \r\n\tab@,;-]{0,40}",
        "(\r\n|\n)(Bcc|Subject|From): [a-z@., ]{0,20}",
        "\\PC{0,300}",
        ".{0,5}\\{\\{ ?(key|name|invite_link) ?\\}\\}.{0,5}",
    ]
}

proptest! {
    /// Whatever is filled in stands in the text as it is, in the HTML as text, and changes nothing else of the mail.
    #[test]
    fn a_value_is_nothing_but_itself(name in any_value(), team in any_value()) {
        let letters = letters(
            "Subject: For {{ name }}\nFrom: IT <it@example.com>\nReply-To: a@b.c\n\n<|{{ name }}|> and *{{ team }}*\n\n\
             - {{ name }} [x](https://a.b/{{ team }})\n\n> `{{ team }}`\n"
        );
        let cells = cells(&team, "");
        let plain_cells = self::cells("team", "");
        let plain = taken(&write(&letters, None, &values("name", &plain_cells)).expect("a mail"));
        match write(&letters, None, &values(&name, &cells)) {
            Err(fault) => {
                let is_one_line = |text: &str| !text.trim().is_empty() && !text.trim().chars().any(|c| {
                    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
                });
                let fits = name.chars().count() < 190 && !name.contains("=?");
                prop_assert!(!(is_one_line(&name) && is_one_line(&team) && fits), "refused: {}", fault);
            }
            Ok(post) => {
                let mail = taken(&post);
                let names = |mail: &Taken| mail.headers.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
                prop_assert_eq!(names(&mail), names(&plain));
                for (is, was) in mail.headers.iter().zip(&plain.headers) {
                    prop_assert!(is == was || is.0 == "Subject", "{:?} was {:?}", is, was);
                }
                let (name, team) = (name.trim(), team.trim());
                let first = format!("<|{name}|> and {team}\n\n- {name} x <https://a.b/");
                prop_assert!(mail.text.starts_with(&first), "{:?}", mail.text);
                prop_assert!(mail.text.ends_with(&format!(">\n\n> {team}\n")), "{:?}", mail.text);
                let tags = |html: &str| (html.matches('<').count(), html.matches('>').count(), html.matches('"').count());
                prop_assert_eq!(tags(&mail.html), tags(&plain.html));
            }
        }
    }

    /// Whatever a file holds, reading it ends, and what is told of it is fit for a terminal.
    #[test]
    fn any_file_is_read_or_refused(text in "(Subject: x\nFrom: a@b.c\n\n)?[ -~\n\u{e9}\u{202e}\u{f0000}]{0,200}") {
        if let Err(error) = read(&text) {
            prop_assert!(error.to_string().chars().all(crate::display::is_plain), "{error}");
        }
    }
}
