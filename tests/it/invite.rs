//! Invitations have what congratulations have: limits, brakes, signals, records, outputs, and nobody invited twice.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use onboard::sandbox::{Config, Limits, Sandbox, User};

use crate::bench::{Bench, Bytes, Ended, active, config, faulty, messages, portal, rows_of, serving};

/// `invite people.csv`, on a ledger of the bench's own.
fn command(bench: &Bench, origin: &str, more: &[&str]) -> Command {
    let to = ["invite", "people.csv", "--portal", origin, "--api-key-file", "key", "--ledger", "l.db"];
    bench.command(&[&to, more].concat())
}

fn invite(bench: &Bench, portal: &Sandbox, more: &[&str]) -> Ended {
    bench.key_of(portal);
    command(bench, &portal.origin(), more).output().expect("the program runs").into()
}

fn address(number: u32) -> String {
    format!("new{number:03}@example.com")
}

/// Writes a roster of people who are on no portal, or of these addresses.
fn people(bench: &Bench, addresses: impl IntoIterator<Item = String>) {
    let mut text = "email,employee_type\n".to_owned();
    for address in addresses {
        text.push_str(&format!("{address},User\n"));
    }
    bench.write("people.csv", text);
}

fn newcomers(bench: &Bench, count: u32) {
    people(bench, (0..count).map(address));
}

/// So many people who were invited and have not joined, in a roster.
fn pending(bench: &Bench, count: u32) -> Vec<User> {
    let users: Vec<User> = (0..count).map(|number| User::made_up(number, 0.0)).collect();
    people(bench, users.iter().map(|user| user.email.clone()));
    users
}

/// How many rows ended in each way.
fn fates(path: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for row in rows_of(path) {
        *counts.entry(row["invitation"].clone()).or_default() += 1;
    }
    counts
}

#[track_caller]
fn assert_fates(bench: &Bench, expected: &[(&str, usize)]) {
    let expected = expected.iter().map(|(fate, rows)| ((*fate).to_owned(), *rows)).collect();
    assert_eq!(fates(&bench.path("people.results.csv")), expected);
}

/// Invitation mails, of which nobody got two.
#[track_caller]
fn mails(portal: &Sandbox) -> usize {
    let stats = portal.stats();
    assert!(stats.invitations.values().all(|count| *count == 1), "somebody got two: {:?}", stats.invitations);
    stats.invitations.len()
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    // The server closes after each answer: unsaid, a further request might race with that.
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn nobody() -> Vec<u8> {
    answer("404 Not Found", r#"{"error":{"message":"Not found"},"status":1,"statusCode":404}"#)
}

/// The validation envelope of a portal (`docspace-contract.md` §2.3).
fn not_valid(errors: &str) -> Vec<u8> {
    let response =
        format!("{{\"title\":\"One or more validation errors occurred.\",\"status\":400,\"errors\":{errors}}}");
    answer("400 Bad Request", &format!("{{\"response\":{response},\"count\":1,\"status\":1,\"statusCode\":400}}"))
}

/// A page of the listing: these of a portal's users, who are there already.
fn page(numbers: std::ops::Range<u64>, total: u64) -> Vec<u8> {
    let entry = |number: u64| {
        format!(
            r#"{{"id":"66faa6e4-f133-11ea-b126-{number:012}","email":"u{number:03}@example.com","status":1,"activationStatus":1,"isCollaborator":true}}"#
        )
    };
    let entries: Vec<String> = numbers.map(entry).collect();
    answer("200 OK", &format!(r#"{{"response":[{}],"total":{total},"status":0,"statusCode":200}}"#, entries.join(",")))
}

/// Where the page begins that is asked for; `None` where another question is asked.
fn start_of(head: &str) -> Option<u64> {
    let (_, start) = head.lines().next()?.split_once("startIndex=")?;
    start.split(['&', ' ']).next()?.parse().ok()
}

/// A portal with nobody in it that answers invitations so; it counts them.
fn refusing(refusal: Vec<u8>) -> (Bytes, Arc<AtomicUsize>) {
    let posts = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&posts);
    let server = serving(
        move |head| {
            if head.starts_with("POST") {
                seen.fetch_add(1, Ordering::SeqCst);
                return refusal.clone();
            }
            if start_of(head).is_some() { page(0..0, 0) } else { nobody() }
        },
        false,
    );
    (server, posts)
}

const KEY: &str = "sk-0123456789abcdef0123456789abcdef";

fn invite_at(bench: &Bench, origin: &str, more: &[&str]) -> Ended {
    bench.write("key", KEY);
    command(bench, origin, more).output().expect("the program runs").into()
}

// ---- outputs ----

#[test]
fn results_never_go_over_what_is_somebody_elses_nor_into_a_folder_that_is_missing() {
    let bench = Bench::new();
    let portal = portal(&active(2));
    newcomers(&bench, 2);
    bench.write("people.results.csv", "precious,data\n");
    bench.roster(&active(2));
    bench.run(&portal, &["--ledger", "l.db"]).with(0);
    let requests = portal.stats().total_requests();
    let results = bench.read("users.results.csv");
    invite(&bench, &portal, &[]).with(2);
    let ended = invite(&bench, &portal, &["-o", "users.results.csv"]).with(2);
    assert!(ended.said().contains("users.results.csv"), "{}", ended.err);
    let ended = invite(&bench, &portal, &["-o", "missing/x.csv"]).with(2);
    assert!(ended.said().contains("missing"), "{}", ended.err);
    assert_eq!(portal.stats().total_requests(), requests, "it was found before the first request");
    assert_eq!(bench.read("people.results.csv"), "precious,data\n");
    assert_eq!(bench.read("users.results.csv"), results);
    // Its own earlier results are written anew.
    invite(&bench, &portal, &["-o", "mine.csv"]).with(0);
    invite(&bench, &portal, &["-o", "mine.csv"]).with(0);
    assert_eq!(fates(&bench.path("mine.csv")), [("already_invited".to_owned(), 2)].into());
}

#[test]
fn every_output_and_the_history_tell_the_words_of_invitations() {
    let bench = Bench::new();
    let users = active(1);
    let portal = portal(&users);
    people(&bench, [address(0), users[0].email.clone(), address(1)]);
    let sinks =
        ["--events", "events.jsonl", "--report", "page.html", "--summary-json", "summary.json", "--junit", "junit.xml"];
    invite(&bench, &portal, &sinks).with(0);
    let summary: serde_json::Value = serde_json::from_str(&bench.read("summary.json")).expect("JSON");
    assert_eq!((&summary["outcomes"]["invited"], &summary["outcomes"]["already_there"]), (&2.into(), &1.into()));
    assert_eq!(summary["outcomes"].get("sent"), None);
    assert_eq!(summary["requests"]["by_class"]["invitation"]["sent"], 2);
    let events = bench.read("events.jsonl");
    assert_eq!(events.matches(r#""invitation":"invited""#).count(), 2, "{events}");
    assert!(!events.contains("congratulation"), "{events}");
    let junit = bench.read("junit.xml");
    assert!(junit.contains("2 rows invited") && junit.contains("1 rows already_there"), "{junit}");
    let html = bench.read("page.html");
    assert!(html.contains("2 invited") && html.contains("1 already_there") && !html.contains("congratulat"), "{html}");
    let history = bench.onboard(&["history", "--format", "json", "--ledger", "l.db"]).with(0).out;
    let history: serde_json::Value = serde_json::from_str(&history).expect("JSON");
    assert_eq!(history[0]["command"], "invite");
    assert_eq!(history[0]["outcomes"], serde_json::json!({ "invited": 2, "already_there": 1 }));
}

// ---- limits ----

#[test]
fn a_limit_counts_second_mails_too_and_the_day_may_be_used_up_for_them() {
    let bench = Bench::new();
    let portal = portal(&pending(&bench, 3));
    invite(&bench, &portal, &["--limit", "1", "--resend", "--yes"]).with(4);
    assert_eq!(mails(&portal), 1);
    assert_fates(&bench, &[("invited", 1), ("not_attempted", 2)]);
    let ended = invite(&bench, &portal, &["--daily-writes", "1", "--resend", "--yes"]).with(4);
    assert!(ended.said().contains("daily write limit"), "{}", ended.err);
    assert_eq!(mails(&portal), 1);
}

/// A portal takes few of these requests in a quarter of an hour: what leaves half empty is waited for.
#[test]
fn second_mails_share_their_requests_however_their_people_were_found() {
    let bench = Bench::new();
    let users = pending(&bench, 25);
    let latency = (Duration::from_millis(1), Duration::from_millis(30));
    let portal = Sandbox::start(Config { latency, ..config(&users) }).expect("a portal");
    invite(&bench, &portal, &["--resend", "--yes"]).with(0);
    assert_eq!(mails(&portal), 25);
    // A few, and then all the others.
    assert_eq!(portal.stats().requests["invitation"], 2);
}

#[test]
fn only_what_this_run_sends_counts_against_its_limit() {
    let bench = Bench::new();
    let portal = faulty(&active(1), &["invitation:drop-before:#1", "invitation:drop-before:#2"]);
    newcomers(&bench, 2);
    invite(&bench, &portal, &[]).with(1);
    assert_fates(&bench, &[("unknown", 2)]);
    newcomers(&bench, 6);
    invite(&bench, &portal, &["--limit", "2"]).with(4);
    assert_eq!(mails(&portal), 2);
    invite(&bench, &portal, &["--limit", "2"]).with(1);
    assert_eq!(mails(&portal), 4);
    assert_fates(&bench, &[("already_invited", 2), ("invited", 2), ("unknown", 2)]);
}

#[test]
fn as_many_are_in_flight_as_the_portal_allows_and_each_person_costs_one_question_at_the_most() {
    let bench = Bench::new();
    newcomers(&bench, 60);
    let latency = (Duration::from_millis(50), Duration::from_millis(50));
    let portal = Sandbox::start(Config { latency, ..config(&active(40)) }).expect("a portal");
    invite(&bench, &portal, &[]).with(0);
    let stats = portal.stats();
    assert!(stats.peak_writes > 5 && stats.peak_writes <= 15 && stats.peak_reads > 5, "{stats:?}");
    assert_eq!(stats.requests["invitation"], 60);
    assert!(stats.total_requests() <= 60 + 60 + 1, "{stats:?}");
    assert_eq!(mails(&portal), 60);
    // So few that the listing is not read: that nobody is there is the portal's answer, too.
    newcomers(&bench, 25);
    let portal = Sandbox::start(Config { latency, ..config(&active(40)) }).expect("a portal");
    invite(&bench, &portal, &["--other-portal"]).with(0);
    let stats = portal.stats();
    assert!(stats.peak_reads > 5 && !stats.requests.contains_key("listing"), "{stats:?}");
}

#[test]
fn a_run_right_after_it_knows_what_it_used_of_the_window() {
    let bench = Bench::new();
    let users = active(20);
    newcomers(&bench, 20);
    bench.roster(&users);
    let limits = Limits { window: Some((60, 4000)), ..Limits::OFF };
    let portal = Sandbox::start(Config { limits, ..config(&users) }).expect("a portal");
    invite(&bench, &portal, &["--rate", "60/4s"]).with(0);
    bench.run(&portal, &["--rate", "60/4s", "--ledger", "l.db"]).with(0);
    let stats = portal.stats();
    assert_eq!(stats.total_refusals(), 0, "{stats:?}");
    assert_eq!((mails(&portal), messages(&portal)), (20, 20));
}

// ---- refusals and doubts ----

#[test]
fn five_refused_alike_speak_for_all() {
    let bench = Bench::new();
    newcomers(&bench, 25);
    let portal = Sandbox::start(Config { allow_inviting: false, ..config(&active(1)) }).expect("a portal");
    let ended = invite(&bench, &portal, &[]).with(3);
    assert!(ended.said().contains("Inviting members may be switched off"), "{}", ended.err);
    assert_eq!(portal.stats().requests["invitation"], 5);
    assert_fates(&bench, &[("rejected", 5), ("not_attempted", 20)]);
}

#[test]
fn what_a_portal_finds_wrong_with_an_invitation_is_told_masked_and_safe() {
    let bench = Bench::new();
    newcomers(&bench, 2);
    let said = format!("{{\"Culture\":[\"The culture xx is not supported.\\u001b[1m {KEY}\"]}}");
    let (server, posts) = refusing(not_valid(&said));
    let ended = invite_at(&bench, &server.origin, &["--culture", "xx"]).with(1);
    assert_fates(&bench, &[("rejected", 2)]);
    let row = rows_of(&bench.path("people.results.csv")).remove(0);
    let detail = &row["invitation_detail"];
    assert!(detail.contains("Culture: The culture xx is not supported."), "{detail}");
    assert!(!detail.contains("limit") && !detail.contains("0123456789"), "{detail}");
    assert!(!ended.err.contains('\u{1b}') && !detail.contains('\u{1b}'), "{}", ended.err);
    assert_eq!(posts.load(Ordering::SeqCst), 2);
}

#[test]
fn a_portal_that_takes_no_more_invitations_today_is_asked_again_another_day() {
    let bench = Bench::new();
    newcomers(&bench, 40);
    let (server, posts) = refusing(not_valid(r#"{"Invitations":["The limit of 5 invitations was exceeded."]}"#));
    let ended = invite_at(&bench, &server.origin, &[]).with(4);
    assert!(ended.said().contains("The limit of 5 invitations was exceeded.") && ended.said().contains("tomorrow"));
    assert!(ended.said().contains("onboard invite people.csv"), "it goes on: {}", ended.err);
    assert_fates(&bench, &[("not_attempted", 40)]);
    assert!(posts.load(Ordering::SeqCst) <= 5);
    let row = rows_of(&bench.path("people.results.csv")).remove(39);
    assert!(row["invitation_detail"].contains("The limit of 5 invitations"), "{row:?}");
    // Nothing is held against anybody.
    let portal = portal(&active(1));
    invite(&bench, &portal, &["--other-portal"]).with(0);
    assert_eq!(mails(&portal), 40);
}

#[test]
fn a_portal_that_lets_nobody_know_is_asked_and_tried_once_more_alone() {
    let bench = Bench::new();
    newcomers(&bench, 100);
    let portal = faulty(&active(1), &["invitation:error:100%"]);
    let ended = invite(&bench, &portal, &["--max-unknown", "3"]).with(3);
    assert!(ended.said().contains("the next one, sent alone, is in doubt too"), "{}", ended.err);
    let fates = fates(&bench.path("people.results.csv"));
    // Three alike, the four that were on their way with the last of them, and the one alone.
    assert!((4..=8).contains(&fates["unknown"]), "{fates:?}");
    assert_eq!(fates["unknown"] + fates["not_attempted"], 100);
    assert_eq!(portal.stats().requests["invitation"], fates["unknown"] as u64);
}

#[test]
fn what_nobody_knows_of_an_address_is_settled_by_it() {
    let bench = Bench::new();
    newcomers(&bench, 3);
    let portal = faulty(&active(1), &["invitation:error:#1", "invitation:garbage:#2"]);
    invite(&bench, &portal, &["--max-reads", "1", "--max-writes", "1"]).with(1);
    assert_fates(&bench, &[("unknown", 2), ("invited", 1)]);
    invite(&bench, &portal, &[]).with(1);
    assert_eq!(mails(&portal), 2, "what may have been sent is not sent again");
    let settle = |number: u32, decision: &str| {
        bench.onboard(&["settle", &address(number), "--as", decision, "--ledger", "l.db"])
    };
    let told = settle(0, "not-sent").with(0).out;
    assert!(told.contains("the invitation to new000@example.com") && told.contains("the next invite"), "{told}");
    settle(1, "sent").with(0);
    invite(&bench, &portal, &[]).with(0);
    assert_eq!(mails(&portal), 3);
    assert_fates(&bench, &[("already_invited", 2), ("invited", 1)]);
}

// ---- another portal ----

#[test]
fn a_portal_that_moved_invites_nobody_again() {
    let bench = Bench::new();
    newcomers(&bench, 4);
    let (old, new) = (portal(&active(1)), portal(&active(1)));
    invite(&bench, &old, &[]).with(0);
    let ended = invite(&bench, &new, &[]).with(2);
    assert!(ended.said().contains(&format!("--formerly {}", old.origin())), "{}", ended.err);
    assert_eq!(new.stats().total_requests(), 0);
    invite(&bench, &new, &["--formerly", &old.origin()]).with(0);
    assert_eq!(mails(&new), 0);
    assert_fates(&bench, &[("already_invited", 4)]);
    invite(&bench, &new, &["--other-portal"]).with(0);
    assert_eq!(mails(&new), 4);
}

#[test]
fn plan_finds_people_of_an_e_mail_roster_under_another_address_as_the_run_does() {
    let bench = Bench::new();
    let users = active(25);
    people(&bench, users.iter().map(|user| user.email.clone()));
    std::fs::rename(bench.path("people.csv"), bench.path("users.csv")).expect("renamed");
    let (old, new) = (portal(&users), portal(&users));
    bench.run(&old, &["--ledger", "l.db"]).with(0);
    let formerly = format!("--formerly {}", old.origin());
    let plan = |more: &[&str]| {
        let origin = new.origin();
        bench.onboard(&[&["plan", "users.csv", "--portal", &origin, "--ledger", "l.db"], more].concat())
    };
    assert!(plan(&[]).with(2).said().contains(&formerly));
    assert!(bench.run(&new, &["--ledger", "l.db"]).with(2).said().contains(&formerly));
    assert_eq!(new.stats().total_requests(), 0);
    plan(&["--formerly", &old.origin()]).with(0);
    bench.run(&new, &["--ledger", "l.db", "--formerly", &old.origin()]).with(0);
    assert_eq!(messages(&new), 0);
}

// ---- listings ----

/// `export`, `invite` of so many newcomers, and `run` of three users, against a portal with this listing. Nobody can be
/// found by address; everybody who is asked for by id is active.
fn with_listing(listing: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static) -> (Bench, Bytes, Arc<AtomicUsize>) {
    let (asked, posts) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = (Arc::clone(&asked), Arc::clone(&posts));
    let server = serving(
        move |head| {
            let path = head.split(' ').nth(1).unwrap_or_default();
            if head.starts_with("POST") {
                seen.1.fetch_add(1, Ordering::SeqCst);
                return answer("200 OK", r#"{"count":0,"links":[],"status":0,"statusCode":200}"#);
            }
            if let Some(start) = start_of(head) {
                // A test that asks without end would not end by itself.
                let pages = seen.0.fetch_add(1, Ordering::SeqCst);
                return if pages < 200 { listing(start) } else { Vec::new() };
            }
            match path.rsplit('/').next() {
                Some(_) if path.contains("/invite/") => {
                    answer("200 OK", r#"{"response":"https://x.example/s/a","count":1,"status":0,"statusCode":200}"#)
                }
                Some(id) if path.contains("/portal/users/") => answer(
                    "200 OK",
                    &format!(
                        r#"{{"response":{{"id":"{id}","isActive":true,"status":1}},"status":0,"statusCode":200}}"#
                    ),
                ),
                _ => nobody(),
            }
        },
        false,
    );
    let bench = Bench::new();
    bench.write("key", KEY);
    newcomers(&bench, 40);
    (bench, server, posts)
}

fn export(bench: &Bench, server: &Bytes) -> Ended {
    bench.onboard(&["export", "--portal", &server.origin, "--api-key-file", "key"])
}

/// A listing that has no end invites nobody and exports nothing; a run asks for its people one by one.
#[track_caller]
fn assert_has_no_end(listing: fn(u64) -> Vec<u8>, says: &str) {
    let (bench, server, posts) = with_listing(listing);
    let ended = export(&bench, &server).with(3);
    assert!(ended.out.is_empty() && ended.said().contains(says), "{}", ended.err);
    let (bench, server, invitations) = with_listing(listing);
    let ended = invite_at(&bench, &server.origin, &[]).with(3);
    assert!(ended.said().contains("its listing repeats itself"), "{}", ended.err);
    assert_fates(&bench, &[("not_attempted", 40)]);
    assert_eq!((posts.load(Ordering::SeqCst), invitations.load(Ordering::SeqCst)), (0, 0));
    let (bench, server, posts) = with_listing(listing);
    bench.roster(&active(30));
    bench.onboard(&["run", "users.csv", "--portal", &server.origin, "--api-key-file", "key"]).with(0);
    assert_eq!(posts.load(Ordering::SeqCst), 30);
}

#[test]
fn a_listing_that_repeats_a_page_or_grows_and_grows_comes_to_an_end() {
    assert_has_no_end(|_| page(0..100, 260), "its listing repeats itself");
    assert_has_no_end(|start| page(0..100, start + 1000), "its listing repeats itself");
    // The last page that is said to be there, too.
    assert_has_no_end(|_| page(0..100, 200), "its listing repeats itself");
}

#[test]
fn a_listing_of_ever_new_people_is_read_up_to_a_bound_and_one_that_ends_early_is_none() {
    let (bench, server, _) = with_listing(|start| page(start..start + 100, start + 1000));
    let ended = export(&bench, &server).with(3);
    assert!(ended.out.is_empty() && ended.said().contains("its listing has no end"), "{}", ended.err);
    let (bench, server, _) = with_listing(|start| page(start.min(50)..50, 260));
    let ended = export(&bench, &server).with(3);
    assert!(ended.out.is_empty() && ended.said().contains("ends before as many users"), "{}", ended.err);
}

#[test]
fn a_listing_in_pages_of_fifty_is_read_whole() {
    let (bench, server, posts) = with_listing(|start| page(start.min(260)..(start + 50).min(260), 260));
    let ended = export(&bench, &server).with(0);
    assert_eq!(ended.out.lines().count(), 1 + 260);
    people(&bench, (0..260).map(|number| format!("u{number:03}@example.com")).chain([address(0)]));
    invite_at(&bench, &server.origin, &[]).with(0);
    assert_fates(&bench, &[("already_there", 260), ("invited", 1)]);
    assert_eq!(posts.load(Ordering::SeqCst), 1);
}

// ---- plan, question and run ----

/// What `plan --json` says.
fn planned(bench: &Bench, origin: &str, more: &[&str]) -> serde_json::Value {
    let ended =
        bench.onboard(&[&["plan", "users.csv", "--json", "--portal", origin, "--ledger", "l.db"], more].concat());
    serde_json::from_str(&ended.with(0).out).expect("JSON")
}

#[test]
fn the_days_writes_are_those_of_the_account_whose_key_is_given() {
    let bench = Bench::new();
    let users = active(9);
    bench.roster(&users[..5]);
    let portal = portal(&users);
    let day = ["--ledger", "l.db", "--daily-writes", "5"];
    bench.run(&portal, &day).with(0);
    bench.roster(&users[5..]);
    bench.write("token", portal.token());
    let origin = portal.origin();
    let today = |more: &[&str]| {
        let plan = planned(&bench, &origin, &[&["--daily-writes", "5"], more].concat());
        let from: jiff::Timestamp = plan["calendar"][0]["from"].as_str().expect("a day").parse().expect("a time");
        #[expect(clippy::disallowed_methods, reason = "the day's writes are free again a day later")]
        let is_today = from < jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
        (plan["rows"]["due"].as_u64(), is_today)
    };
    // The day of this key's account is used up, and so is that of all together; another account's is not.
    assert_eq!(today(&["--api-key-file", "key"]), (Some(4), false));
    assert_eq!(today(&[]), (Some(4), false));
    assert_eq!(today(&["--api-key-file", "token"]), (Some(4), true));
    let text = bench.onboard(&["plan", "users.csv", "--portal", &origin, "--ledger", "l.db", "--daily-writes", "5"]);
    let text = text.with(0).out;
    assert!(text.contains("none of the day's 5 writes is left") && !text.contains("fit into one window"), "{text}");
    bench.run(&portal, &day).with(4);
    assert_eq!(messages(&portal), 5);
    let run = ["run", "users.csv", "--portal", &origin, "--api-key-file", "token"];
    bench.onboard(&[&run[..], &day].concat()).with(0);
    assert_eq!(messages(&portal), 9);
}

/// Somebody at a terminal is asked about what the run will do, and about nothing else.
#[cfg(unix)]
#[test]
fn plan_question_and_run_agree() {
    let bench = Bench::new();
    let users = active(40);
    // Ten were congratulated, four of them are in doubt.
    bench.roster(&users[..10]);
    let faults = (1..=4).map(|number| format!("congratulation:garbage:#{number}"));
    let faults: Vec<String> = faults.collect();
    let portal = faulty(&users, &faults.iter().map(String::as_str).collect::<Vec<_>>());
    bench.run(&portal, &["--ledger", "l.db", "--max-writes", "1"]).with(1);
    bench.roster(&users);
    let more = ["--daily-writes", "25", "--api-key-file", "key"];
    let plan = planned(&bench, &portal.origin(), &more);
    let counts = ["due", "already_sent", "unknown"].map(|name| plan["rows"][name].as_u64());
    assert_eq!(counts, [Some(30), Some(6), Some(4)]);
    assert_eq!(plan["calendar"][0]["messages"], 15);
    let mut command = bench.run_command(&portal, &["--ledger", "l.db", "--daily-writes", "25"]);
    command.env("TERM", "dumb").stdin(Stdio::inherit());
    let mut session = rexpect::session::spawn_command(command, Some(20_000)).expect("a terminal");
    for says in ["30 people on http://127.0.0.1", "6 were congratulated before, 4 may have been", "leaves 15 of these"]
    {
        session.exp_string(says).expect(says);
    }
    // Some of them become administrators, so the number is typed.
    session.send_line("30").expect("answered");
    session.exp_eof().expect("the end");
    let outcomes = bench.outcomes();
    assert_eq!((outcomes["sent"], outcomes["already_sent"], outcomes["unknown"]), (15, 6, 4), "{outcomes:?}");
    assert_eq!(messages(&portal), 25);
}

#[test]
fn plan_takes_just_the_rows_that_the_run_takes() {
    let bench = Bench::new();
    let users = active(6);
    bench.roster(&users);
    let portal = faulty(&users, &["congratulation:forbid:#1", "congratulation:error:#2"]);
    bench.run(&portal, &["--ledger", "l.db", "--max-writes", "1"]).with(1);
    std::fs::rename(bench.path("users.results.csv"), bench.path("users.csv")).expect("renamed");
    let origin = portal.origin();
    let rows = |only: &str| planned(&bench, &origin, &["--only", only])["rows"].clone();
    for (only, due, unknown, carried) in [("rejected", 1, 0, 5), ("unknown", 0, 1, 5), ("rejected,unknown", 1, 1, 4)] {
        let rows = rows(only);
        let told = ["due", "unknown", "carried_over"].map(|name| rows[name].as_u64());
        assert_eq!(told, [Some(due), Some(unknown), Some(carried)], "{only}: {rows}");
    }
    bench.run(&portal, &["--ledger", "l.db", "--only", "rejected"]).with(0);
    assert_eq!(messages(&portal), 5);
}

// ---- signals and kills ----

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().expect("kill");
    assert!(status.success());
}

#[cfg(unix)]
#[test]
fn a_second_signal_stops_at_once_while_a_request_hangs() {
    use std::io::Read;
    for (name, status) in [("INT", 130), ("TERM", 143)] {
        let bench = Bench::new();
        newcomers(&bench, 60);
        // From the tenth invitation on there is no answer, though it has its effect.
        let faults = (10..=60).map(|number| format!("invitation:stall-after:#{number}").parse().expect("a fault"));
        let portal = Sandbox::start(Config { faults: faults.collect(), ..config(&active(1)) }).expect("a portal");
        bench.key_of(&portal);
        let mut command = command(&bench, &portal.origin(), &["--timeout", "10min"]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("started");
        while portal.stats().invitations.len() < 20 {
            std::thread::yield_now();
        }
        signal(&child, name);
        let (mut err, mut said, mut byte) = (child.stderr.take().expect("piped"), Vec::new(), [0]);
        while !String::from_utf8_lossy(&said).contains("a second signal stops at once") {
            assert_eq!(err.read(&mut byte).expect("read"), 1, "{}", String::from_utf8_lossy(&said));
            said.extend(byte);
        }
        signal(&child, name);
        assert_eq!(child.wait().expect("ended").code(), Some(status), "{name}");
        let fates = fates(&bench.path("people.results.csv"));
        assert!((11..=15).contains(&fates["unknown"]), "{fates:?}");
        assert_eq!(fates["invited"] + fates["unknown"] + fates["not_attempted"], 60);
        mails(&portal);
    }
}

/// Five requests in a quarter of an hour: five people first, then four times a hundred.
#[cfg(unix)]
#[test]
fn what_second_mails_wait_for_is_told_and_a_signal_ends_it() {
    let bench = Bench::new();
    let portal = portal(&pending(&bench, 600));
    bench.key_of(&portal);
    let more = ["--resend", "--yes", "--events", "events.jsonl", "--progress", "plain"];
    let mut command = command(&bench, &portal.origin(), &more);
    let mut child = command.stderr(Stdio::null()).spawn().expect("started");
    let told = || std::fs::read_to_string(bench.path("events.jsonl")).unwrap_or_default();
    while !told().contains("second_mails") {
        assert!(child.try_wait().expect("asked").is_none(), "it ended without a word");
        std::thread::yield_now();
    }
    signal(&child, "INT");
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert_eq!((mails(&portal), portal.stats().requests["invitation"]), (405, 5));
    assert_fates(&bench, &[("invited", 405), ("not_attempted", 195)]);
}

#[cfg(unix)]
#[test]
fn a_kill_in_the_middle_invites_nobody_twice_and_the_next_one_goes_on() {
    let bench = Bench::new();
    newcomers(&bench, 90);
    let latency = (Duration::from_millis(2), Duration::from_millis(20));
    let portal = Sandbox::start(Config { latency, ..config(&active(1)) }).expect("a portal");
    bench.key_of(&portal);
    for kills in 1..=3 {
        let mut child = command(&bench, &portal.origin(), &[]).stderr(Stdio::null()).spawn().expect("started");
        while portal.stats().invitations.len() < kills * 20 {
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    let ended = invite(&bench, &portal, &[]);
    let fates = fates(&bench.path("people.results.csv"));
    let told = |fate: &str| fates.get(fate).copied().unwrap_or(0);
    assert_eq!(ended.status, i32::from(told("unknown") > 0), "{}", ended.err);
    assert_eq!(told("invited") + told("already_invited") + told("unknown"), 90, "{fates:?}");
    assert!(told("unknown") <= 3 * 15, "{fates:?}");
    let had = mails(&portal);
    assert!(had <= 90 && had >= told("invited") + told("already_invited"), "{had}: {fates:?}");
}

/// The command that a run's end shows is pasted into a shell.
#[cfg(unix)]
#[test]
fn the_line_that_goes_on_goes_on() {
    let bench = Bench::new();
    newcomers(&bench, 5);
    std::fs::rename(bench.path("people.csv"), bench.path("new people.csv")).expect("renamed");
    let portal = portal(&active(1));
    bench.key_of(&portal);
    let origin = portal.origin();
    let words = [
        "invite",
        "new people.csv",
        "--portal",
        &origin,
        "--api-key-file",
        "key",
        "--ledger",
        "l.db",
        "--limit",
        "2",
        "--culture",
        "de",
        "--rate",
        "150/6s",
        "-o",
        "it's.csv",
        "--summary-json",
        "summary.json",
    ];
    let mut status = bench.onboard(&words).with(4).status;
    let folder = Path::new(env!("CARGO_BIN_EXE_onboard")).parent().expect("a folder").to_owned();
    for _ in 0..2 {
        assert_eq!(status, 4);
        let summary: serde_json::Value = serde_json::from_str(&bench.read("summary.json")).expect("JSON");
        let go_on = summary["go_on"].as_str().expect("a command").to_owned();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &go_on]).current_dir(bench.path("")).env_clear();
        shell.env("HOME", bench.path("")).env("PATH", &folder).stdin(Stdio::null());
        status = Ended::from(shell.output().expect("a shell")).status;
    }
    assert_eq!((status, mails(&portal)), (0, 5));
    assert_eq!(fates(&bench.path("it's.csv")).values().sum::<usize>(), 5);
}
