//! Portals and rosters that mean harm, or are merely broken: nothing crashes, leaks, or congratulates anybody who is not
//! known to be active.

use std::thread;

use crate::bench::{Bench, Bytes, active, portal, serving};

fn ok(body: &str) -> Vec<u8> {
    // The server closes after each answer: unsaid, a further request might race with that.
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// `run users.csv` of three users against it: exit status, what was said, results.
fn run(server: &Bytes, more: &[&str]) -> (crate::bench::Ended, Bench) {
    let bench = Bench::new();
    bench.roster(&active(3));
    bench.write("key", "sk-0123456789abcdef0123456789abcdef");
    let mut args = vec!["run", "users.csv", "--portal", &server.origin, "--api-key-file", "key", "--retries", "0"];
    if !more.contains(&"--timeout") {
        args.extend(["--timeout", "2s"]);
    }
    args.extend(more);
    let ended = bench.onboard(&args);
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    assert!(!ended.err.contains("0123456789abcdef"), "{}", ended.err);
    (ended, bench)
}

#[test]
fn bytes_that_are_no_answer_never_congratulate_anybody() {
    let endless_head = || {
        let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
        for number in 0..200_000 {
            bytes.extend(format!("X-Header-{number}: {number}\r\n").bytes());
        }
        bytes
    };
    let deep = format!("{{\"response\":{}1{},\"status\":0}}", "[".repeat(20_000), "]".repeat(20_000));
    let answers: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("noise", vec![0xff; 5000]),
        ("a status line cut short", b"HTTP/1.1 20".to_vec()),
        ("a head without end", endless_head()),
        ("a body shorter than it says", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{".to_vec()),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n{\"a\":1}".to_vec()),
        ("two answers", [ok("{}"), ok("{}")].concat()),
        ("deep nesting", ok(&deep)),
        ("isActive as text", ok(r#"{"response":{"id":"x","isActive":"true","status":1},"status":0,"statusCode":200}"#)),
        ("escape sequences", ok("\u{1b}]8;;http://x\u{7}{\u{202e}}")),
        (
            "a redirect to itself",
            b"HTTP/1.1 302 Found\r\nLocation: /api/2.0/portal\r\nContent-Length: 0\r\n\r\n".to_vec(),
        ),
    ];
    for (what, bytes) in answers {
        let posts = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let seen = std::sync::Arc::clone(&posts);
        let server = serving(
            move |head| {
                if head.starts_with("POST") {
                    seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
                bytes.clone()
            },
            false,
        );
        let (ended, bench) = run(&server, &[]);
        assert!(matches!(ended.status, 1 | 3), "{what}: {}\n{}", ended.status, ended.err);
        assert_eq!(posts.load(std::sync::atomic::Ordering::SeqCst), 0, "{what}");
        assert!(!ended.err.contains('\u{1b}') && !ended.err.contains('\u{202e}'), "{what}");
        let results = bench.read("users.results.csv");
        assert!(!results.contains('\u{1b}'), "{what}");
        assert_eq!(results.lines().count(), 4, "{what}");
    }
}

#[test]
fn an_answer_that_trickles_ends_at_the_time_limit() {
    // The head comes at once, the body never.
    let server = serving(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{".to_vec(), true);
    let (ended, _) = run(&server, &["--timeout", "300ms"]);
    assert!(matches!(ended.status, 1 | 3), "{}", ended.err);
}

#[test]
fn a_congratulation_is_read_whole_or_is_unknown() {
    for body in
        ["", "{}", r#"{"status":1,"statusCode":200}"#, r#"{"count":0,"links":[],"status":0"#, "[]", "null", "\"ok\""]
    {
        let body = body.to_owned();
        let server = serving(
            move |head| {
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                if head.starts_with("POST") {
                    return ok(&body);
                }
                if path.contains("/invite/") {
                    return ok(r#"{"response":"https://x.example/s/a","count":1,"status":0,"statusCode":200}"#);
                }
                match path.rsplit('/').next() {
                    Some(id) if path.contains("/portal/users/") => ok(&format!(
                        "{{\"response\":{{\"id\":\"{id}\",\"isActive\":true,\"status\":1}},\"count\":1,\"status\":0,\"statusCode\":200}}"
                    )),
                    _ => b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec(),
                }
            },
            false,
        );
        let (ended, bench) = run(&server, &[]);
        assert_eq!(ended.status, 1, "{}", ended.err);
        assert_eq!(bench.outcomes().get("unknown"), Some(&3), "{:?}", bench.outcomes());
    }
}

#[test]
fn an_account_that_cannot_be_read_hides_nobody_else_from_an_export() {
    let server = serving(
        |head| {
            let entry = |number: u32| {
                format!(
                    r#"{{"id":"66faa6e4-f133-11ea-b126-{number:012}","email":"{}{number}@x.org","status":1,"activationStatus":1}}"#,
                    if number == 7 { "=cmd" } else { "ann" }
                )
            };
            let entries: Vec<String> = if head.contains("startIndex=0&") {
                (0..99).map(entry).chain([r#"{"id":17}"#.to_owned()]).collect()
            } else {
                vec![entry(100)]
            };
            ok(&format!(r#"{{"response":[{}],"total":101,"status":0,"statusCode":200}}"#, entries.join(",")))
        },
        false,
    );
    let bench = Bench::new();
    bench.write("key", "sk-0123456789abcdef0123456789abcdef");
    let ended = bench.onboard(&["export", "--portal", &server.origin, "--api-key-file", "key"]).with(0);
    assert_eq!(ended.out.lines().count(), 1 + 99 + 1);
    assert!(ended.said().contains("1 account of the listing cannot be read"), "{}", ended.err);
    assert!(!ended.out.contains("=cmd"), "it is known by the id, and runs nowhere");
}

#[test]
fn a_key_that_is_echoed_back_is_masked() {
    let server = serving(
        |head| {
            let key =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("authorization: ").map(str::to_owned));
            let key = key.unwrap_or_default();
            let body = format!("{{\"error\":{{\"message\":\"no: {key}\"}},\"status\":1,\"statusCode\":403}}");
            format!(
                "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .into_bytes()
        },
        false,
    );
    let (ended, bench) = run(&server, &["-vv"]);
    assert!(matches!(ended.status, 1 | 3), "{}", ended.err);
    assert!(!bench.read("users.results.csv").contains("0123456789abcdef"));
}

#[test]
fn rosters_that_mean_harm_cost_bounded_memory_and_get_an_exact_error() {
    let bench = Bench::new();
    let portal = portal(&active(1));
    let user = active(1)[0].id;
    let wide = format!("user_id,type\n{user},User{}\n{user},User\n", ",".repeat(1_000_000));
    let long = format!("user_id,type,x\n{user},User,{}\n{user},User,\n", "y".repeat(30 << 20));
    let nul = format!("user_id,type\n{user}\0,User\n{user},User\n");
    let path = format!("user_id,type\n../../people/@self,User\nhttp://x.example/{user},User\n{user},User\n");
    for (what, roster, invalid) in
        [("a million cells", wide, 1), ("a cell of 30 MiB", long, 1), ("NUL", nul, 1), ("paths", path, 2)]
    {
        bench.write("users.csv", roster);
        let ended = bench.run(&portal, &["--resend", "--yes"]);
        if what == "NUL" {
            assert!(matches!(ended.status, 1 | 2), "{what}: {}", ended.err);
            continue;
        }
        assert_eq!(ended.status, 1, "{what}: {}", ended.err);
        assert_eq!(bench.outcomes()["invalid"], invalid, "{what}");
        assert_eq!(bench.outcomes()["sent"], 1, "{what}");
    }
}

#[cfg(unix)]
#[test]
fn a_roster_may_be_a_pipe_and_results_a_link() {
    let bench = Bench::new();
    let users = active(2);
    bench.roster(&users);
    let portal = portal(&users);
    let fifo = bench.path("pipe.csv");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("made").success());
    let roster = bench.read("users.csv");
    let writer = thread::spawn({
        let fifo = fifo.clone();
        move || std::fs::write(fifo, roster).expect("written")
    });
    std::os::unix::fs::symlink(bench.path("real.csv"), bench.path("link.csv")).expect("linked");
    bench.write("real.csv", "");
    bench.key_of(&portal);
    let origin = portal.origin();
    let args = ["run", "pipe.csv", "--portal", &origin, "--api-key-file", "key", "-o", "link.csv"];
    bench.onboard(&args).with(0);
    writer.join().expect("written");
    assert!(bench.path("link.csv").is_symlink());
    assert_eq!(bench.read("real.csv").lines().count(), 3);
}
