//! One roster for many portals: a roster for each, with numbers that stay, and runs that hold to their portal.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{
    bench::{Bench, active, messages, portal, rows_of},
    workbooks::{table, workbook},
};
use onboard::sandbox::Sandbox;

const ADA: &str = "09eaba1a-3b15-4bc5-9f4f-81e0c7a0e1f5";
const BO: &str = "0a0b0c0d-3b15-4bc5-9f4f-81e0c7a0e1f5";

const PROFILES: &str =
    "[portal.acme]\nurl = \"https://acme.example.com\"\n[portal.bolt]\nurl = \"https://bolt.example.com:8443\"\n";

/// What lies in a folder, by name.
fn folder(path: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(path).expect("listed").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("read"))
        })
        .collect()
}

fn split<'a>(roster: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["split", roster, "--by", "portal", "--into", "rosters"][..], more].concat()
}

#[test]
fn each_portal_gets_a_roster_and_the_index_names_them() {
    let bench = Bench::new();
    bench.write("onboard.toml", PROFILES);
    bench.write(
        "all.csv",
        format!(
            "\u{feff}user_id;employee_type;Portal;name;key\r\n{ADA};guest;HTTPS://Bolt.example.com:8443/;Zo\u{eb};-k\r\n\
             {BO};User;acme;=1+1;\r\n{ADA};nobody;acme.example.com;\"a;b\";\r\n"
        ),
    );
    let ended = bench.onboard(&split("all.csv", &[])).with(0);
    assert!(ended.out.contains("3 rows for 2 portals (2 new, 0 without a row this time)"), "{}", ended.out);
    assert!(!ended.err.contains("not acted upon"), "{}", ended.err);
    let there = folder(&bench.path("rosters"));
    assert_eq!(
        there.keys().map(String::as_str).collect::<Vec<_>>(),
        ["0001-acme.csv", "0002-bolt-8443.csv", "index.csv"]
    );
    assert_eq!(
        there["index.csv"],
        "number,portal,file,rows\n0001,https://acme.example.com,0001-acme.csv,2\n\
         0002,https://bolt.example.com:8443,0002-bolt-8443.csv,1\n"
    );
    assert_eq!(
        there["0001-acme.csv"],
        format!(
            "\u{feff}user_id;employee_type;Portal;name;key\n{BO};User;https://acme.example.com;'=1+1;\n\
             {ADA};nobody;https://acme.example.com;\"a;b\";\n"
        )
    );
    assert_eq!(
        there["0002-bolt-8443.csv"],
        format!(
            "\u{feff}user_id;employee_type;Portal;name;key\n{ADA};guest;https://bolt.example.com:8443;Zo\u{eb};-k\n"
        )
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| fs::metadata(bench.path(name)).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode("rosters"), 0o700);
        for name in there.keys() {
            assert_eq!(mode(&format!("rosters/{name}")), 0o600, "{name}");
        }
    }
}

#[test]
fn the_next_month_keeps_numbers_and_what_lies_beside() {
    let bench = Bench::new();
    bench.write("all.csv", "email,type,portal\na@x.org,User,https://c.example\nb@x.org,User,https://a.example\n");
    bench.onboard(&split("all.csv", &[])).with(0);
    bench.write("rosters/0001-a.results.csv", "mine\n");
    bench.write("rosters/0003-old.results.csv", "mine too\n");
    // A spreadsheet has had it, and a portal has moved: its line is mended by hand.
    let index = bench.read("rosters/index.csv").replace(',', ";").replace("https://c.", "https://moved.");
    bench.write("rosters/index.csv", format!("\u{feff}{index}"));
    bench.write(
        "next.csv",
        "email,type,portal,note\nc@x.org,User,https://b.example,n\nd@x.org,User,https://moved.example,\n",
    );
    let out = bench.onboard(&split("next.csv", &[])).with(0).out;
    assert!(out.contains("0004  https://b.example  0004-b.csv  1 row  new\n"), "{out}");
    assert!(out.contains("2 rows for 3 portals (1 new, 1 without a row this time)"), "{out}");
    let there = folder(&bench.path("rosters"));
    assert_eq!(
        there["index.csv"],
        "number,portal,file,rows\n0001,https://a.example,0001-a.csv,0\n0002,https://moved.example,0002-c.csv,1\n\
         0004,https://b.example,0004-b.csv,1\n"
    );
    assert_eq!(there["0001-a.csv"], "email,type,portal,note\n");
    assert_eq!(there["0002-c.csv"], "email,type,portal,note\nd@x.org,User,https://moved.example,\n");
    assert_eq!((&*there["0001-a.results.csv"], &*there["0003-old.results.csv"]), ("mine\n", "mine too\n"));
    assert_eq!(there.len(), 6, "{there:?}");
    // A roster of a header alone is one, of nobody.
    bench.onboard(&["check", "rosters/0001-a.csv"]).with(0);
}

#[test]
fn a_split_that_broke_off_is_repaired_by_another() {
    let bench = Bench::new();
    let text = "email,type,portal\na@x.org,User,https://a.example\nb@x.org,User,https://b.example\n";
    bench.write("all.csv", text);
    bench.onboard(&split("all.csv", &[])).with(0);
    let whole = folder(&bench.path("rosters"));
    // Whatever was written first is as it was; what comes later is not there, or is of the month before.
    for (file, left) in [("0002-b.csv", None), ("0002-b.csv", Some("email,type,portal\n")), ("0001-a.csv", Some(""))] {
        fs::remove_file(bench.path("rosters/index.csv")).expect("removed");
        match left {
            None => fs::remove_file(bench.path(&format!("rosters/{file}"))).expect("removed"),
            Some(text) => drop(bench.write(&format!("rosters/{file}"), text)),
        }
        bench.onboard(&split("all.csv", &[])).with(0);
        assert_eq!(folder(&bench.path("rosters")), whole);
    }
    // What somebody else put there is not written over.
    fs::remove_file(bench.path("rosters/index.csv")).expect("removed");
    bench.write("rosters/0002-b.csv", "user_id,employee_type\nprecious,User\n");
    let before = folder(&bench.path("rosters"));
    let ended = bench.onboard(&split("all.csv", &[])).with(2);
    assert!(ended.said().contains("0002-b.csv is there, and index.csv does not name it"), "{}", ended.err);
    assert_eq!(folder(&bench.path("rosters")), before);
}

#[test]
fn rows_that_are_nobodys_are_named_and_nothing_is_written() {
    let bench = Bench::new();
    bench.write("onboard.toml", PROFILES);
    bench.write(
        "all.csv",
        format!(
            "user_id,type,portal\n{ADA},User,\n{ADA},User,https://acme.example.com\n{ADA},User,https://other.example\n\
             {ADA},User,who\n{ADA},User,http://acme.example.com\n{ADA},User,https://acme.example.com/rooms\n\
             {ADA},User,https://a:SECRETPW@acme.example.com\n{ADA},User,\"acme\" x\n"
        ),
    );
    let ended = bench.onboard(&split("all.csv", &[])).with(2);
    let said = ended.said();
    for why in [
        "line 2, column portal: no portal is given",
        "line 4, column portal: https://other.example is the portal of no profile in onboard.toml",
        "line 5, column portal: `who` is neither a profile in onboard.toml nor the address of one's portal",
        "line 6, column portal: the key would travel in the clear to acme.example.com",
        "line 7, column portal: give only the portal's address",
        "line 8, column portal: the address holds a user name or password",
        "line 9, column portal: the cell stands in quotes, and there is text after the closing quote",
        "7 rows of all.csv cannot be given to a portal; mend what is named above. Nothing was written",
    ] {
        assert!(said.contains(why), "{why}: {}", ended.err);
    }
    assert!(!said.contains("SECRETPW") && !said.contains("line 3"), "{}", ended.err);
    assert!(!bench.path("rosters").exists());
    // Without profiles nobody can say which portals there are, but what is no address is none.
    fs::remove_file(bench.path("onboard.toml")).expect("removed");
    bench.write("all.csv", format!("user_id,type,portal\n{ADA},User,acme\n"));
    let said = bench.onboard(&split("all.csv", &[])).with(2).said();
    assert!(said.contains("line 2, column portal: `acme` lacks its scheme; try https://acme"), "{said}");
    bench.write("all.csv", format!("user_id,type,portal\n{ADA},User,https://any.example\n"));
    let said = bench.onboard(&split("all.csv", &[])).with(0).said();
    assert!(said.contains("warning: no settings file with portals"), "{said}");
}

#[test]
fn what_cannot_be_split_is_told() {
    let bench = Bench::new();
    let good = format!("user_id,type,portal\n{ADA},User,https://a.example\n");
    bench.write("all.csv", &good);
    let told = |args: &[&str]| bench.onboard(args).with(2).said();
    assert!(told(&["split", "all.csv", "--into", "rosters"]).contains("--by"));
    assert!(told(&["split", "all.csv", "--by", "portal"]).contains("--into"));
    let said = told(&["split", "all.csv", "--by", "tenant", "--into", "rosters"]);
    assert!(said.contains("--by: the roster has no column `tenant`; it has `user_id`, `type`, `portal`"), "{said}");
    bench.write("twice.csv", format!("user_id,type,portal,Portal\n{ADA},User,https://a.example,\n"));
    let said = told(&split("twice.csv", &["--by", "PORTAL"]));
    assert!(said.contains("cannot be used multiple times") || said.contains("more than one column"), "{said}");
    let said = told(&["split", "twice.csv", "--by", "PORTAL", "--into", "rosters"]);
    assert!(said.contains("--by: the roster has more than one column `PORTAL`"), "{said}");
    assert!(told(&split("nowhere.csv", &[])).contains("cannot read the roster nowhere.csv"));
    assert!(told(&["split", "all.csv", "--by", "portal", "--into", "all.csv"]).contains("all.csv"));
    assert!(!bench.path("rosters").exists());
    fs::create_dir(bench.path("rosters")).expect("made");
    for (index, why) in [
        ("a,b\n1,2\n", "is there and is no index of onboard split"),
        ("number,portal,file,rows\n1,https://a.example,../all.csv,1\n", "line 2 names a file (`../all.csv`)"),
        ("number,portal,file,rows\n1,a,0001-a.csv,1\n", "line 2 has no portal that can be used"),
        ("number,portal,file,rows,note\n1,https://a.example,0001-a.csv,1,x\n", "has a column `note` of somebody's own"),
    ] {
        bench.write("rosters/index.csv", index);
        let said = told(&split("all.csv", &[]));
        assert!(said.contains(why), "{why}: {said}");
        assert_eq!(folder(&bench.path("rosters")), BTreeMap::from([("index.csv".to_owned(), index.to_owned())]));
    }
    // The whole must not be one of its own parts.
    bench.write("rosters/index.csv", "number,portal,file,rows\n1,https://a.example,0001-a.csv,1\n");
    bench.write("rosters/0001-a.csv", &good);
    let said = told(&split("rosters/0001-a.csv", &[]));
    assert!(said.contains("0001-a.csv: that is the roster"), "{said}");
    assert_eq!(bench.read("rosters/0001-a.csv"), good);
}

#[test]
fn a_pipe_and_a_workbook_are_split_too() {
    use std::{io::Write, process::Stdio};
    let bench = Bench::new();
    let mut child =
        bench.command(&split("-", &[])).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("started");
    let text = format!("user_id,type,portal\n{ADA},User,https://a.example\n");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    assert!(child.wait().expect("ended").success());
    assert_eq!(bench.read("rosters/0001-a.csv"), text);
    let header: &[&str] = &["user_id", "type", "portal", "note"];
    let rows = [header, &[ADA, "User", "https://b.example", "=1+1"], &[BO, "Guest", "https://a.example", "x"]];
    bench.write("all.xlsx", workbook(&table(&rows)));
    bench.onboard(&split("all.xlsx", &[])).with(0);
    assert_eq!(
        bench.read("rosters/0001-a.csv"),
        format!("\u{feff}user_id,type,portal,note\n{BO},Guest,https://a.example,x\n")
    );
    assert_eq!(
        bench.read("rosters/0002-b.csv"),
        format!("\u{feff}user_id,type,portal,note\n{ADA},User,https://b.example,'=1+1\n")
    );
    let rows = [header, &[ADA, "User", "", "x"], &[ADA, "User", "b", "x"]];
    bench.write("all.xlsx", workbook(&table(&rows)));
    let said = bench.onboard(&split("all.xlsx", &[])).with(2).said();
    assert!(
        said.contains("!C2, column portal: no portal is given") && said.contains("!C3, column portal: `b`"),
        "{said}"
    );
    let said = bench.onboard(&split("all.xlsx", &["--sheet", "Nowhere"])).with(2).said();
    assert!(said.contains("Nowhere"), "{said}");
}

/// Two portals with users of their own, a settings file with both, and the roster of all, split.
fn two_portals(bench: &Bench) -> [Sandbox; 2] {
    let users = active(6);
    let portals = [portal(&users[..4]), portal(&users[4..])];
    let mut settings = "ledger = \"ledgers/{portal}.db\"\n".to_owned();
    for (name, portal) in ["acme", "bolt"].into_iter().zip(&portals) {
        let key = bench.write(&format!("{name}.key"), portal.api_key());
        #[cfg(unix)]
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("changed");
        let _ = key;
        settings.push_str(&format!("[portal.{name}]\nurl = \"{}\"\napi-key-file = \"{name}.key\"\n", portal.origin()));
    }
    bench.write("onboard.toml", settings);
    fs::create_dir(bench.path("ledgers")).expect("made");
    let mut all = "user_id,type,portal,phone\n".to_owned();
    for (number, user) in users.iter().enumerate() {
        let portal = if number < 4 { "acme" } else { "bolt" };
        all.push_str(&format!("{},{},{portal},+49 {number}\n", user.id, user.role));
    }
    bench.write("all.csv", all);
    bench.onboard(&split("all.csv", &[])).with(0);
    portals
}

/// The file of a portal, as the index has it.
fn file_of(bench: &Bench, portal: &Sandbox) -> String {
    let rows = rows_of(&bench.path("rosters/index.csv"));
    let row = rows.iter().find(|row| row["portal"] == portal.origin()).expect("listed");
    format!("rosters/{}", row["file"])
}

#[test]
fn a_roster_finds_its_profile_by_the_index_and_each_portal_has_its_own_ledger() {
    let bench = Bench::new();
    let [acme, bolt] = two_portals(&bench);
    let files = [file_of(&bench, &acme), file_of(&bench, &bolt)];
    for file in &files {
        for command in ["check", "plan", "run"] {
            let ended = bench.onboard(&[command, file]).with(0);
            assert!(!ended.err.contains("not acted upon"), "{}", ended.err);
        }
    }
    assert_eq!((messages(&acme), messages(&bolt)), (4, 2));
    let ledgers = fs::read_dir(bench.path("ledgers")).expect("listed").map(|entry| entry.expect("an entry").path());
    assert_eq!(ledgers.filter(|path| path.extension().is_some_and(|end| end == "db")).count(), 2, "a ledger each");
    // Results are as those of the whole: defused once, however often they were written.
    let results = files[0].replace(".csv", ".results.csv");
    assert_eq!(rows_of(&bench.path(&results))[0]["phone"], "'+49 0");
    // They hold to the portal, too; so does the next month's, and a path that leads there.
    bench.onboard(&["run", &results]).with(0);
    assert_eq!(rows_of(&bench.path(&results))[0]["phone"], "'+49 0");
    bench.onboard(&split("all.csv", &[])).with(0);
    bench.onboard(&["run", &files[0]]).with(0);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&files[1], bench.path("now.csv")).expect("linked");
        bench.onboard(&["run", "now.csv"]).with(0);
    }
    assert_eq!((messages(&acme), messages(&bolt)), (4, 2));
    bench.onboard(&["run", &files[0], "--profile", "acme"]).with(0);
    bench.onboard(&["run", &files[0], "--sandbox"]).with(0);
}

#[test]
fn another_portal_than_the_indexs_is_refused_wherever_it_comes_from() {
    let bench = Bench::new();
    let [acme, bolt] = two_portals(&bench);
    let file = file_of(&bench, &acme);
    let before = [acme.stats().total_requests(), bolt.stats().total_requests()];
    let other = bolt.origin();
    let made = file.replace(".csv", ".mended.csv");
    fs::copy(bench.path(&file), bench.path(&made)).expect("copied");
    for command in ["run", "plan", "check", "invite"] {
        for roster in [&file, &made] {
            for (options, variable) in
                [(&["--portal", &*other][..], None), (&["--profile", "bolt"], None), (&[], Some(&other))]
            {
                let mut started = bench.command(&[&[command, roster], options].concat());
                if let Some(variable) = variable {
                    started.env("ONBOARD_PORTAL", variable);
                }
                let ended = crate::bench::Ended::from(started.output().expect("run")).with(2);
                let said = ended.said();
                let told =
                    format!("{roster} is for {}, as rosters/index.csv says, and {other} is the portal", acme.origin());
                assert!(said.contains(&told), "{command} {options:?}: {said}");
            }
        }
    }
    // Without an index it is a roster like any other.
    fs::copy(bench.path(&file), bench.path("loose.csv")).expect("copied");
    bench.onboard(&["check", "loose.csv", "--portal", &other]).with(0);
    assert_eq!([acme.stats().total_requests(), bolt.stats().total_requests()], before);
    // Another portal's rows under this one's name.
    fs::copy(bench.path(&file_of(&bench, &bolt)), bench.path(&file)).expect("copied");
    for command in ["run", "plan", "check"] {
        let said = bench.onboard(&[command, &file]).with(2).said();
        assert!(said.contains(&format!("but its rows name {other}")), "{said}");
    }
    assert_eq!([acme.stats().total_requests(), bolt.stats().total_requests()], before);
}

#[test]
fn a_roster_whose_portal_nobody_can_tell_is_told() {
    let bench = Bench::new();
    let [acme, _bolt] = two_portals(&bench);
    let file = file_of(&bench, &acme);
    let settings = bench.read("onboard.toml");
    bench.write(
        "onboard.toml",
        settings.replace("[portal.bolt]", "[portal.zeta]").replace(&acme.origin(), "https://x.example"),
    );
    let said = bench.onboard(&["run", &file]).with(2).said();
    assert!(
        said.contains("no profile of the settings file has this portal")
            && said.contains(&format!("give --portal {}", acme.origin())),
        "{said}"
    );
    let again = format!("{settings}[portal.acme-two]\nurl = \"{}\"\n", acme.origin());
    bench.write("onboard.toml", again);
    let said = bench.onboard(&["run", &file]).with(2).said();
    assert!(said.contains("more than one profile for") && said.contains("`acme`, `acme-two`"), "{said}");
    bench.onboard(&["run", &file, "--profile", "acme"]).with(0);
    bench.write("rosters/index.csv", bench.read("rosters/index.csv").replace("0001", "x"));
    for command in ["run", "plan", "check", "invite"] {
        let said = bench.onboard(&[command, &file]).with(2).said();
        assert!(said.contains("the index rosters/index.csv cannot be used, since line 2 has no number"), "{said}");
    }
    // A file of this name that is something else says nothing.
    bench.write("rosters/index.csv", "a,b\n");
    bench.onboard(&["check", &file]).with(0);
}

/// An address that changed: its line in the index, its ledger, and `--formerly`; the number stays, and nobody is asked twice.
#[cfg(unix)]
#[test]
fn a_portal_that_moved_keeps_its_number_and_its_records() {
    let bench = Bench::new();
    let [acme, bolt] = two_portals(&bench);
    let file = file_of(&bench, &acme);
    let home = |name: &str| format!("file://{}/{name}", bench.path("shared").display());
    let place = home("{portal}");
    bench.onboard(&["ledger", "init", "--profile", "acme", "--ledger", &place]).with(0);
    bench.onboard(&["run", &file, "--ledger", &place]).with(0);
    let old = acme.origin();
    // The same portal, by its other name.
    let new = old.replace("127.0.0.1", "localhost");
    bench.write("onboard.toml", bench.read("onboard.toml").replace(&old, &new));
    bench.onboard(&["run", &file, "--ledger", &place]).with(2);
    bench.write("rosters/index.csv", bench.read("rosters/index.csv").replace(&old, &new));
    bench.onboard(&split("all.csv", &[])).with(0);
    let port = new.rsplit(':').next().expect("a port");
    let (from, to) = (home(&format!("127.0.0.1-{port}")), home(&format!("localhost-{port}")));
    let said = bench.onboard(&["run", &file, "--ledger", &place, "--formerly", &old]).with(2).said();
    assert!(said.contains("ledger"), "{said}");
    bench.onboard(&["ledger", "move", &from, &to]).with(0);
    bench.onboard(&["run", &file, "--ledger", &place, "--formerly", &old]).with(0);
    assert_eq!((messages(&acme), messages(&bolt)), (4, 0));
    assert!(bench.read("rosters/index.csv").contains(&format!("{new},{}", file.trim_start_matches("rosters/"))));
}
