//! No output may be something that is read, or another output: refused before anything is done, by what a file is and
//! not by how it is spelt.

use std::{collections::BTreeMap, fs, path::Path};

use crate::bench::{Bench, active, messages, portal};

/// Every file of a folder, but those of the ledger that come and go by themselves.
fn snapshot(bench: &Bench) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(bench.path("")).expect("listed").map(|entry| entry.expect("an entry").path());
    let of = |path: &Path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path.to_owned());
    let named = entries.map(|path| of(&path)).filter(|(_, path)| path.is_file());
    named.map(|(name, path)| (name, fs::read(path).expect("read"))).collect()
}

#[test]
fn nothing_that_a_run_writes_destroys_what_it_reads_or_writes() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = portal(&users);
    bench.write("onboard.toml", "retries = 3\n");
    bench.write("machinekey", "secret-machine-key\n");
    bench.write("ca.pem", "");
    bench.run(&portal, &["--ledger", "ledger.db"]).with(0);
    fs::hard_link(bench.path("ledger.db"), bench.path("hard.db")).expect("linked");
    #[cfg(unix)]
    std::os::unix::fs::symlink("users.csv", bench.path("soft.csv")).expect("linked");
    let spelt = bench.path("./users.csv").to_string_lossy().into_owned();
    let mut precious = vec![
        "ledger.db",
        "hard.db",
        "ledger.db-wal",
        "ledger.db-shm",
        "ledger.db.lock",
        "users.csv",
        &spelt,
        "key",
        "machinekey",
        "ca.pem",
        "onboard.toml",
        "users.results.csv",
    ];
    if cfg!(unix) {
        precious.push("soft.csv");
    }
    let before = snapshot(&bench);
    let requests = portal.stats().total_requests();
    for option in ["--events", "--report", "--summary-json", "--junit", "--metrics", "--log-file"] {
        for file in &precious {
            let given = ["--ledger", "ledger.db", "--sign-with", "machinekey", "--ca-file", "ca.pem", option, file];
            let ended = bench.run(&portal, &given).with(2);
            assert!(ended.said().contains("cannot"), "{option} {file}: {}", ended.err);
            assert!(
                ended.said().contains(option) || ended.said().contains("the results"),
                "{option} {file}: {}",
                ended.err
            );
        }
    }
    for file in ["ledger.db", "hard.db", "ledger.db.lock", "key", "machinekey", "onboard.toml"] {
        bench.run(&portal, &["--ledger", "ledger.db", "--sign-with", "machinekey", "-o", file]).with(2);
    }
    for (one, other) in
        [("--events", "--report"), ("--summary-json", "--junit"), ("--metrics", "--report"), ("--log-file", "-o")]
    {
        bench.run(&portal, &["--ledger", "ledger.db", one, "new", other, "./new"]).with(2);
    }
    assert!(before == snapshot(&bench), "nothing was changed or made");
    assert_eq!(portal.stats().total_requests(), requests);
    // A ledger with a second name is refused by itself.
    fs::remove_file(bench.path("hard.db")).expect("removed");
    // What a run may write over is what such a run wrote.
    for _ in 0..2 {
        let reports = [
            "--report",
            "r.html",
            "--summary-json",
            "s.json",
            "--junit",
            "j.xml",
            "--events",
            "e",
            "--log-file",
            "log",
        ];
        bench.run(&portal, &[&["--ledger", "ledger.db", "-v"][..], &reports].concat()).with(0);
    }
    bench.write("mine.txt", "something of mine\n");
    for option in ["--events", "--report", "--summary-json", "--junit", "--metrics"] {
        let ended = bench.run(&portal, &["--ledger", "ledger.db", option, "mine.txt"]).with(2);
        assert!(ended.said().contains("mine.txt: that file is there and is no"), "{}", ended.err);
    }
    assert_eq!(bench.read("mine.txt"), "something of mine\n");
    assert_eq!(messages(&portal), 3);
}

#[test]
fn no_other_command_writes_over_what_it_reads_nor_over_any_ledger() {
    let bench = Bench::new();
    let users = active(3);
    bench.roster(&users);
    let portal = portal(&users);
    // A ledger that these commands know nothing of.
    bench.run(&portal, &["--ledger", "elsewhere.db"]).with(0);
    bench.write("people.csv", "email,employee_type\nnew@example.com,User\n");
    bench.write("people.results.csv", "precious,data\n");
    let origin = portal.origin();
    let reach = ["--portal", &origin, "--api-key-file", "key"];
    let ledger = ["--ledger", "elsewhere.db"];
    let before = snapshot(&bench);
    let requests = portal.stats().total_requests();
    let commands: Vec<Vec<&str>> = vec![
        vec!["report", "users.results.csv", "-o", "users.results.csv"],
        vec!["report", "users.results.csv", "-o", "elsewhere.db"],
        vec!["report", "users.results.csv", "-o", "users.csv"],
        [&["export", "-o", "elsewhere.db"][..], &reach].concat(),
        [&["export", "-o", "elsewhere.db.lock"][..], &reach].concat(),
        [&["export", "-o", "key"][..], &reach].concat(),
        [&["export", "-o", "users.csv"][..], &reach].concat(),
        [&["invite", "people.csv", "--yes"][..], &reach, &ledger].concat(),
        [&["invite", "people.csv", "--yes", "-o", "people.csv"][..], &reach, &ledger].concat(),
        [&["invite", "people.csv", "--yes", "-o", "elsewhere.db"][..], &reach, &ledger].concat(),
        [&["invite", "people.csv", "--yes", "-o", "missing-folder/x.csv"][..], &reach, &ledger].concat(),
        [&["doctor", "--log-file", "key"][..], &reach].concat(),
        vec!["check", "users.csv", "--log-file", "users.csv"],
        vec!["check", "users.csv", "--log-file", "elsewhere.db"],
        [&["plan", "users.csv", "--log-file", "users.csv"][..], &ledger].concat(),
        [&["history", "--log-file", "elsewhere.db-wal"][..], &ledger].concat(),
        vec!["sandbox", "--roster", "users.csv", "--write-roster", "users.csv"],
        vec!["sandbox", "--write-roster", "elsewhere.db"],
    ];
    for args in commands {
        let ended = bench.onboard(&args);
        assert_eq!(ended.status, 2, "{args:?}: {}", ended.err);
    }
    assert!(before == snapshot(&bench), "nothing was changed or made");
    assert_eq!(portal.stats().total_requests(), requests);
    for _ in 0..2 {
        bench.onboard(&[&["export", "-o", "all.csv"][..], &reach].concat()).with(0);
        bench.onboard(&["report", "users.results.csv", "-o", "page.html"]).with(0);
    }
}

/// A device is no place where a file could be put; what is written to it goes through it.
#[cfg(unix)]
#[test]
fn a_page_can_be_written_through_a_pipe() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    let ended =
        bench.run(&portal, &["--report", "/dev/stdout", "--junit", "/dev/null", "--events", "/dev/null"]).with(0);
    assert!(ended.out.starts_with("<!DOCTYPE html>"), "{}", ended.out);
    assert!(!fs::metadata("/dev/null").expect("there").is_file());
    let ended = bench.onboard(&["report", "users.results.csv", "-o", "/dev/stdout"]).with(0);
    assert!(ended.out.starts_with("<!DOCTYPE html>"), "{}", ended.out);
}

/// The name of the results is made of the roster's: found too long before anybody is sent anything, not after.
#[test]
fn results_whose_name_no_file_can_have_are_refused_before_anything_is_sent() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    let roster = format!("{}.csv", "n".repeat(250));
    fs::copy(bench.path("users.csv"), bench.path(&roster)).expect("copied");
    bench.key_of(&portal);
    let origin = portal.origin();
    let ended = bench.onboard(&["run", &roster, "--portal", &origin, "--api-key-file", "key"]).with(2);
    assert!(ended.said().contains("cannot be written"), "{}", ended.err);
    bench.run(&portal, &["--summary-json", &format!("{}.json", "n".repeat(300))]).with(2);
    assert_eq!(messages(&portal), 0);
}

/// What the folder of a mail's results is called this month may be a link to a file that is not there yet.
#[cfg(unix)]
#[test]
fn results_go_where_a_link_leads_and_no_ledger_is_made_where_one_leads_nowhere() {
    use std::os::unix::fs::symlink;
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    symlink("november.csv", bench.path("latest.csv")).expect("linked");
    bench.run(&portal, &["-o", "latest.csv"]).with(0);
    assert!(bench.path("latest.csv").is_symlink() && bench.read("november.csv").contains(",sent,"));
    // A share that is not mounted: the ledger that knows of everybody is on it.
    symlink("share/ledger.db", bench.path("ledger.db")).expect("linked");
    symlink("share", bench.path("records")).expect("linked");
    for ledger in ["ledger.db", "records/ledger.db"] {
        let ended = bench.run(&portal, &["--ledger", ledger]).with(2);
        assert!(ended.said().contains("is a link to share") && ended.said().contains("mount it"), "{}", ended.err);
    }
    assert_eq!(messages(&portal), 2);
}

/// As `docker -v results.csv:/out/results.csv` does it: nothing can be put in its place when everything is sent. Where
/// nobody may mount anything, there is nothing to see.
#[cfg(target_os = "linux")]
#[test]
fn results_that_are_a_mount_point_are_refused_before_anything_is_sent() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    for (option, name) in [("-o", "out.csv"), ("--summary-json", "out.json")] {
        bench.write("empty", "");
        bench.write(name, "");
        let run = bench.run_command(&portal, &[option, name]);
        let mount = format!("mount --bind empty {name} || exit 77; exec \"$@\"");
        let mut unshare = std::process::Command::new("unshare");
        unshare.args(["--map-root-user", "--mount", "sh", "-c", &mount, "sh"]).arg(run.get_program());
        unshare.args(run.get_args()).current_dir(bench.path("")).env("HOME", bench.path(""));
        let Ok(output) = unshare.output() else { return };
        if output.status.code() == Some(2) {
            let err = String::from_utf8_lossy(&output.stderr);
            assert!(
                err.contains("mount point") && err.contains("mount the folder") || err.contains("unshare"),
                "{err}"
            );
        } else {
            assert!(matches!(output.status.code(), Some(1 | 77)), "{output:?}");
        }
    }
    assert_eq!(messages(&portal), 0);
}

/// Invitations have the same outputs as a run, and the same things to lose by them.
#[test]
fn nothing_that_invitations_write_destroys_what_they_read_or_write() {
    let bench = Bench::new();
    let users = active(2);
    let portal = portal(&users);
    bench.write("people.csv", "email,employee_type\nnew@example.com,User\n");
    bench.key_of(&portal);
    let origin = portal.origin();
    let invite =
        ["invite", "people.csv", "--yes", "--portal", &origin, "--api-key-file", "key", "--ledger", "ledger.db"];
    bench.onboard(&invite).with(0);
    bench.write("mine.txt", "something of mine\n");
    let before = snapshot(&bench);
    let requests = portal.stats().total_requests();
    for option in ["--events", "--report", "--summary-json", "--junit", "--metrics", "--log-file"] {
        for file in ["ledger.db", "ledger.db.lock", "people.csv", "key", "people.results.csv", "mine.txt"] {
            // A log goes behind whatever is there, as long as that is text.
            if (option, file) != ("--log-file", "mine.txt") {
                let ended = bench.onboard(&[&invite[..], &[option, file]].concat());
                assert_eq!(ended.status, 2, "{option} {file}: {}", ended.err);
            }
        }
    }
    bench.onboard(&[&invite[..], &["--events", "new", "--report", "./new"]].concat()).with(2);
    assert!(before == snapshot(&bench), "nothing was changed or made");
    assert_eq!(portal.stats().total_requests(), requests);
}
