//! Mails of one's own, read back by a mail program's parser: Python's `email`.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use onboard::{
    file,
    letter::{Fields, Message, MessageId, Messages, Recipient, Values, preview_name},
    roster::Roster,
    user::{Email, EmployeeType},
};

/// Prints what it finds in the mails of a folder, as JSON: for each its headers and its parts, and each fault that the
/// parser sees.
const READER: &str = r#"
import email, email.policy, json, pathlib, sys
mails = {}
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    parts = [part for part in mail.walk() if not part.is_multipart()]
    mails[path.name] = {
        "headers": [[name, str(value)] for name, value in mail.items()],
        "type": mail.get_content_type(),
        "from": [[a.display_name, a.addr_spec] for a in mail["from"].addresses],
        "to": [a.addr_spec for a in mail["to"].addresses],
        "date": mail["date"].datetime.isoformat(),
        "parts": [[part.get_content_type(), part.get_content_charset(), part.get_content().replace(chr(13), '')] for part in parts],
        "faults": [str(fault) for part in mail.walk() for fault in part.defects]
        + [str(fault) for value in mail.values() for fault in value.defects],
    }
json.dump(mails, sys.stdout)
"#;

/// What the mails in a folder hold, by that program; nothing where there is none, which is said.
#[expect(clippy::print_stderr, reason = "whoever looks at the tests' output is to know")]
fn read_back(folder: &Path) -> Option<serde_json::Value> {
    let python = Command::new("python3")
        .args(["-c", READER])
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .ok();
    let Some(output) = python else {
        eprintln!("left out: no python3 here to read the mails back");
        return None;
    };
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).expect("JSON"))
}

fn letters(text: &str) -> Messages {
    let roster = Roster::read_from(&mut b"email,type,Team\n".as_slice(), "users.csv").expect("a roster");
    let letter = Message::read("welcome.md", text.as_bytes(), &Fields::of(roster.columns())).expect("a message");
    Messages::new(vec![letter], None).expect("one")
}

#[test]
fn a_real_parser_finds_in_a_mail_what_was_put_in() {
    let letters = letters(
        "Subject: {{ name }}: welcome to DocSpace, the place where the documents of all of us are kept and edited\n\
         From: \"B\u{fc}cher & S\u{f6}hne, IT\" <it@b\u{fc}cher.example>\nReply-To: Help Desk <help@example.com>\n\n\
         Hello {{ name }},\n\n{{ team }}.\n",
    );
    let names = [
        "Ada",
        "Zo\u{eb} M\u{fc}ller-L\u{fc}denscheidt",
        "\u{5c71}\u{7530} \u{592a}\u{90ce}",
        "<b>*x*</b> [y](http://evil.example) {{ key }} %0D%0ABcc: x@y.z",
        "\u{1f469}\u{200d}\u{1f4bb} \u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
        ". = =3D =20 -- ,;:\"'\\ (x) a@b.c",
    ];
    let team = "x".repeat(3000);
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("mails");
    file::new_folder(&folder).expect("made");
    let cells = BTreeMap::from([(2, team.clone())]);
    for (row, name) in (1..).zip(names) {
        let values = Values {
            name,
            email: "ada@example.com",
            portal: "https://portal.example.com",
            invite_link: None,
            employee_type: EmployeeType::User,
            cells: &cells,
        };
        let to = Recipient::new(&"Ada@M\u{fc}nchen.example".parse::<Email>().expect("an address")).expect("one");
        let id = MessageId::new(&format!("run.{row}"), letters.sender(None)).expect("an id");
        let at = "2026-11-25T18:52:03Z".parse().expect("a moment");
        let post = letters.write(None, &values, &to, &id, at).expect("a mail");
        let path = folder.join(preview_name(row, names.len()));
        file::write_whole(&path, |out: &mut dyn Write| out.write_all(post.bytes())).expect("written");
    }
    assert_eq!(fs::read_dir(&folder).expect("listed").count(), names.len());
    let Some(mails) = read_back(&folder) else { return };
    for (row, name) in (1..).zip(names) {
        let mail = &mails[preview_name(row, names.len())];
        assert_eq!(mail["faults"], serde_json::json!([]), "{name}");
        assert_eq!(mail["type"], "multipart/alternative");
        assert_eq!(mail["headers"].as_array().expect("headers").len(), 9);
        let subject = mail["headers"].as_array().expect("headers").iter().find(|pair| pair[0] == "Subject");
        let wanted =
            format!("{name}: welcome to DocSpace, the place where the documents of all of us are kept and edited");
        assert_eq!(subject.expect("a subject")[1], wanted);
        assert_eq!(mail["from"], serde_json::json!([["B\u{fc}cher & S\u{f6}hne, IT", "it@xn--bcher-kva.example"]]));
        assert_eq!(mail["to"], serde_json::json!(["ada@xn--mnchen-3ya.example"]));
        assert_eq!(mail["date"], "2026-11-25T18:52:03+00:00");
        let text = format!("Hello {name},\n\n{team}.\n");
        assert_eq!(mail["parts"][0], serde_json::json!(["text/plain", "utf-8", text]));
        assert_eq!(mail["parts"][1][0], "text/html");
        let html = mail["parts"][1][2].as_str().expect("a text");
        assert!(html.ends_with("</html>\n") && html.contains(&team), "{html}");
        assert_eq!(mail["parts"].as_array().expect("parts").len(), 2);
    }
}
