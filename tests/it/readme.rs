//! Every `onboard` command of the README, and of the topics of `onboard help`, works as it is typed.

use std::{path::Path, process::Command, thread};

use onboard::{
    help::TOPICS,
    sandbox::{Config, Sandbox, users_of},
};

use crate::bench::{Bench, config};

const README: &str = include_str!("../../README.md");

/// The lines of `sh` blocks that begin with `onboard`, without comments, each with the ledger that was named before.
fn commands(document: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let (mut inside, mut exported) = (false, String::new());
    for line in document.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside && line.starts_with("export ONBOARD_LEDGER=") {
            // Portal and key are those of the test.
            exported = format!("{line}; ");
        } else if inside && (line.starts_with("onboard ") || line.contains("| onboard ") || line.contains("| xargs ")) {
            commands.push(format!("{exported}{}", line.split("  #").next().unwrap_or(line).trim()));
        }
    }
    commands
}

/// Commands that are only told, in a sentence or where nothing can be run: what stands between backticks and in `text`
/// blocks, and begins with `onboard`.
fn told(document: &str) -> Vec<String> {
    let mut told = Vec::new();
    for (number, block) in document.split("\n```").enumerate() {
        // Every other part is code.
        if number % 2 == 1 {
            let lines = block.strip_prefix("text\n").unwrap_or_default().lines();
            told.extend(lines.filter(|line| line.starts_with("onboard ")).map(str::to_owned));
        } else {
            told.extend(
                block.split('`').skip(1).step_by(2).filter(|code| code.starts_with("onboard ")).map(str::to_owned),
            );
        }
    }
    told.into_iter().map(|command| command.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Runs all commands of a document, one after the other, in a folder with the samples and what the document speaks of,
/// against a portal; a folder plays the bucket, and the portal's
/// own mail server any other.
#[track_caller]
fn works(name: &str, document: &str) {
    let bench = Bench::new();
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/samples");
    std::fs::create_dir(bench.path("samples")).expect("made");
    for entry in std::fs::read_dir(samples).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::copy(&path, bench.path("samples").join(path.file_name().expect("a name"))).expect("copied");
        }
    }
    std::fs::copy(format!("{samples}/users.csv"), bench.path("users.csv")).expect("copied");
    let roster =
        onboard::roster::Roster::read(&format!("{samples}/users.csv").parse().expect("infallible")).expect("a roster");
    let users = users_of(&roster).expect("users");
    // As a real portal does; the stand-in takes either those or the others.
    let machine_key = (name == "self-hosted").then(|| "any".to_owned());
    let portal = Sandbox::start(Config { machine_key, ..config(&users) }).expect("a portal");
    bench.key_of(&portal);
    bench.write("machinekey", "any");
    // Runs of before.
    bench.run(&portal, &["--ledger", "old.db", "--limit", "1"]);
    bench.run(&portal, &["--limit", "1"]);
    // What is a workbook is known by its content, and this is a text.
    let rows: String = users.iter().map(|user| format!("{},{},{}\n", user.id, user.role, portal.origin())).collect();
    bench.write("all.xlsx", format!("user_id,employee_type,portal\n{rows}"));
    bench.write("people.csv", "email,employee_type\nnew@example.com,User\n");
    let row = format!("a09f76b5-a170-4338-b926-3059f28c105d,User,{}\n", portal.origin());
    bench.write("company.csv", format!("user_id,employee_type,portal\n{row}"));
    let program = Path::new(env!("CARGO_BIN_EXE_onboard")).parent().expect("a folder");
    let bucket = format!("file://{}/our-bucket", bench.path("").display());
    let commands = commands(document);
    assert!(!commands.is_empty(), "{name}");
    for command in commands {
        let played = command.replace("s3://our-bucket", &bucket);
        let played = played.replace("smtps://welcome@mail.example.com", &portal.mail_server());
        // A sandbox serves until it is stopped; that it starts is what can be seen here.
        let shell = if played.starts_with("onboard sandbox") {
            format!("timeout -s INT 2 {played}; test $? = 124 -o $? = 130 -o $? = 0")
        } else {
            played
        };
        let output = Command::new("sh")
            .arg("-c")
            .arg(&shell)
            .current_dir(bench.path(""))
            .env_clear()
            .env("HOME", bench.path(""))
            .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
            .env("ONBOARD_PORTAL", portal.origin())
            .env("ONBOARD_API_KEY_FILE", bench.path("key"))
            .output()
            .expect("run");
        let err = String::from_utf8_lossy(&output.stderr);
        // 4 is what a pilot ends with, 1 what a roster with bad rows does, 10 what was asked for; 2 would be a command that
        // is not understood.
        let is_asked_for = command.contains("--exit-code") && output.status.code() == Some(10);
        assert!(is_asked_for || matches!(output.status.code(), Some(0 | 1 | 4)), "{name}: {command}\n{err}");
    }
}

#[test]
fn every_onboard_command_works_as_typed() {
    works("README.md", README);
    assert!(commands(README).len() >= 3);
}

#[test]
fn every_command_of_the_topics_works_as_typed() {
    thread::scope(|scope| {
        for topic in TOPICS {
            scope.spawn(move || works(topic.name, topic.text));
        }
    });
}

#[test]
fn every_command_that_is_told_can_be_typed() {
    let bench = Bench::new();
    for (name, document) in TOPICS.map(|topic| (topic.name, topic.text)).into_iter().chain([("README.md", README)]) {
        for command in told(document) {
            let words: Vec<&str> = command.split(' ').skip(1).filter(|word| *word != "...").collect();
            let words: Vec<&str> = match *words {
                // What a person puts there decides.
                ["help", "TOPIC"] => vec!["help", "ci"],
                ref words => words.to_vec(),
            };
            // The parser alone is meant: an option that is unknown is told before a value that is missing.
            let ended = bench.onboard(&[&words[..], &["--help"]].concat());
            assert_eq!(ended.status, 0, "{name}: {command}\n{}", ended.err);
            for option in words.iter().filter(|word| word.starts_with("--")) {
                let option = option.split('=').next().unwrap_or(option);
                assert!(ended.out.contains(option), "{name}: {command}: there is no {option}");
            }
            if let ["help", topic] = *words {
                bench.onboard(&["help", topic]).with(0);
            }
        }
    }
}

#[test]
fn whatever_the_readme_links_to_is_there_and_its_picture_names_no_machine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links = README.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files: Vec<&str> = links.filter(|link| !link.contains("://")).collect();
    assert!(files.contains(&"samples/run.svg"));
    for file in files {
        assert!(root.join(file).is_file(), "{file}");
    }
    let picture = std::fs::read_to_string(root.join("samples/run.svg")).expect("read");
    for word in
        ["onboard run users.csv --sandbox", "rows settled", "congratulated: the portal accepted it", " 0 refused"]
    {
        assert!(picture.contains(word), "{word}");
    }
    for word in ["/home", "/root", "/tmp", "/work"] {
        assert!(!picture.contains(word), "{word}");
    }
}
