//! Every `onboard` command of the README works as it is typed.

use crate::bench::{Bench, portal};
use onboard::sandbox::users_of;

/// The lines of `sh` blocks that begin with `onboard`, without comments.
fn commands() -> Vec<String> {
    let readme = include_str!("../../README.md");
    let mut commands = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside && (line.starts_with("onboard ") || line.contains("| onboard ")) {
            commands.push(line.split("  #").next().unwrap_or(line).trim().to_owned());
        }
    }
    commands
}

#[test]
fn every_onboard_command_works_as_typed() {
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
    let portal = portal(&users_of(&roster).expect("users"));
    bench.key_of(&portal);
    bench.write("machinekey", "any");
    bench.write("people.csv", "email,employee_type\nnew@example.com,User\n");
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_onboard")).parent().expect("a folder");
    let commands = commands();
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        // A sandbox serves until it is stopped; that it starts is what can be seen here.
        let shell = if command.starts_with("onboard sandbox") {
            format!("timeout -s INT 2 {command}; test $? = 124 -o $? = 130 -o $? = 0")
        } else {
            command.clone()
        };
        let output = std::process::Command::new("sh")
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
        // 4 is what a pilot ends with, 1 what a roster with bad rows does; 2 would be a command that is not understood.
        assert!(matches!(output.status.code(), Some(0 | 1 | 4)), "{command}\n{err}");
    }
}
