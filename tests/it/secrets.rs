//! No secret is shown: not by any command, at any verbosity, whatever a portal echoes.

use crate::bench::{Bench, active, config};
use onboard::sandbox::{Config, Sandbox};

#[test]
fn no_output_and_no_file_holds_a_key() {
    let bench = Bench::new();
    let users = active(8);
    bench.roster(&users);
    let machine_key = "machine-key-of-the-portal-0123456789";
    let portal = Sandbox::start(Config {
        machine_key: Some(machine_key.to_owned()),
        faults: vec!["user:error:30%".parse().expect("a fault"), "link:forbid:#1".parse().expect("a fault")],
        ..config(&users)
    })
    .expect("a portal");
    bench.write("machinekey", machine_key);
    let mut shown = String::new();
    for more in
        [&["-q"][..], &[], &["-v"], &["-vv"], &["-vv", "--log-format", "json"], &["-vv", "--log-file", "log.txt"]]
    {
        for key in [&[][..], &["--sign-with", "machinekey"]] {
            let ended = bench.run(&portal, &[more, key].concat());
            shown.push_str(&ended.out);
            shown.push_str(&ended.err);
        }
    }
    for args in [&["history"][..], &["history", "--users", "--format", "json"], &["plan", "users.csv"]] {
        let ended = bench.onboard(args);
        shown.push_str(&ended.out);
        shown.push_str(&ended.err);
    }
    let key = portal.api_key().to_owned();
    std::fs::remove_file(bench.path("key")).expect("removed");
    std::fs::remove_file(bench.path("machinekey")).expect("removed");
    for entry in walk(&bench.path("")) {
        shown.push_str(&String::from_utf8_lossy(&std::fs::read(entry).expect("read")));
    }
    for start in 0..key.len() - 8 {
        assert!(!shown.contains(&key[start..start + 8]), "a piece of the key was shown");
    }
    assert!(!shown.contains(machine_key) && !shown.contains("Key="));
    // What is logged is there, so that the search searched something.
    assert!(shown.contains("row settled") && shown.contains("answered"));
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found
}
