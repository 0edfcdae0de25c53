//! One suite over every store of a log. Memory and folder always; S3, Azure and PostgreSQL where a variable names a
//! server, such as `ONBOARD_TEST_S3=http://127.0.0.1:5000 cargo test --test stores`. What was left out is told on the
//! terminal, past what the test harness captures.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on says so by failing"
)]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Barrier},
    thread,
};

use onboard::{
    ledger::store::{
        Created, NOTHING_BEFORE, Object, Store, StoreFault, hash,
        memory::Memory,
        objects::{Objects, Variables},
    },
    place::{Place, place},
};

/// What must stand in no text.
const SECRET: &str = "SECRETKEY0123456789";

#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says where servers are")]
fn server(name: &str) -> Option<String> {
    let found = std::env::var(name).ok().filter(|value| !value.is_empty());
    if found.is_none() {
        // The harness captures what is printed by macros only.
        let _shown = writeln!(std::io::stderr(), "left out: no {name} names a server");
    }
    found
}

fn a_place(text: &str) -> Place {
    place(Some(Path::new(text)), None).expect("a place")
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn s3(endpoint: &str) -> Variables {
    variables(&[
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
        // The environment cannot switch off what a ledger needs.
        ("AWS_CONDITIONAL_PUT", "disabled"),
    ])
}

/// The account that everybody's emulator has.
const AZURITE: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn azure(endpoint: &str, key: &str) -> Variables {
    let endpoint = format!("{endpoint}/devstoreaccount1");
    variables(&[
        ("AZURE_STORAGE_ACCOUNT_NAME", "devstoreaccount1"),
        ("AZURE_STORAGE_ACCOUNT_KEY", key),
        ("AZURE_STORAGE_ENDPOINT", &endpoint),
    ])
}

/// Makes the container that the tests are in; it may be there.
fn make_container(endpoint: &str) {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let host = endpoint.trim_start_matches("http://");
    #[expect(clippy::disallowed_methods, reason = "the server compares clocks")]
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let path = "/devstoreaccount1/onboard-test";
    let headers = format!("x-ms-date:{date}\nx-ms-version:2021-08-06");
    let signed = format!("PUT{}{headers}\n/devstoreaccount1{path}\nrestype:container", "\n".repeat(12));
    let signature = STANDARD.encode(hmac(&STANDARD.decode(AZURITE).expect("a key"), signed.as_bytes()));
    let answer = exchange(
        host,
        &format!(
            "PUT {path}?restype=container HTTP/1.1\r\nHost: {host}\r\nx-ms-date: {date}\r\nx-ms-version: 2021-08-06\r\n\
             Authorization: SharedKey devstoreaccount1:{signature}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
    );
    assert!(answer.contains(" 201 ") || answer.contains(" 409 "), "{answer}");
}

/// HMAC-SHA-256 (RFC 2104), of a key of up to 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let padded = |with: u8| {
        let mut key = key.to_vec();
        key.resize(64, 0);
        key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>()
    };
    let inner = hash(&[padded(0x36), text.to_vec()].concat());
    hash(&[padded(0x5c), inner.to_vec()].concat())
}

fn new_name() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}

fn object(number: u64, text: &str) -> Object {
    Object { number, before: NOTHING_BEFORE, bytes: text.as_bytes().to_vec() }
}

/// Everything that a log asks of a store. Each call of `open` is another machine.
fn conforms(open: &dyn Fn() -> Box<dyn Store>) {
    let mut store = open();
    assert_eq!(store.read(1), Ok(None));
    assert_eq!(store.list(), Ok(Vec::new()));
    assert_eq!(store.read_many(1, 10), Ok(Vec::new()));
    assert_eq!(store.snapshot("5-3.db"), Ok(None));
    store.probe(2).expect("the promise is kept");
    store.probe(0).expect("the promise is kept");
    store.probe(0).expect("the promise is kept, again");

    assert_eq!(store.create(&object(1, "one\n")), Ok(Created::Made));
    let (bytes, _mark) = store.read(1).expect("read").expect("there");
    assert_eq!(bytes, b"one\n");
    // Another machine sees it, and what it would write is refused and changes nothing.
    let mut other = open();
    assert_eq!(other.create(&object(1, "two\n")), Ok(Created::Refused));
    assert_eq!(other.read(1).expect("read").expect("there").0, b"one\n");

    let first = object(1, "one\n");
    let mut before = first.hash();
    for number in 2..=70_u64 {
        let next = Object { number, before, bytes: format!("object {number}\n").into_bytes() };
        assert_eq!(store.create(&next), Ok(Created::Made));
        before = next.hash();
    }
    let listed = other.list().expect("listed");
    assert_eq!(listed.iter().map(|object| object.number).collect::<Vec<_>>(), (1..=70).collect::<Vec<_>>());
    let read = other.read_many(1, 1000).expect("read");
    assert_eq!(read.len(), 70);
    for (listed, (bytes, mark)) in listed.iter().zip(&read) {
        assert_eq!(listed.mark, *mark);
        assert!(listed.number == 1 || *bytes == format!("object {}\n", listed.number).into_bytes());
        assert_eq!(other.read(listed.number).expect("read").expect("there").1, listed.mark);
    }
    assert_eq!(other.read_many(60, 5).expect("read").len(), 5);
    assert_eq!(other.read_many(71, 5), Ok(Vec::new()));

    if store.keep_snapshot("70-3.db", vec![7; 300_000]).expect("kept") {
        assert_eq!(other.snapshot("70-3.db"), Ok(Some(vec![7; 300_000])));
        assert_eq!(other.list().expect("listed").len(), 70, "a snapshot is no object of the log");
    }
}

/// Of many that create one name at once, one does.
fn one_wins(open: &(dyn Fn() -> Box<dyn Store> + Sync)) {
    let racers = 8_u64;
    for number in 71..=80 {
        let start = Barrier::new(usize::try_from(racers).expect("few"));
        let made: Vec<u64> = thread::scope(|scope| {
            let race = |racer: u64| {
                let start = &start;
                scope.spawn(move || {
                    let mut store = open();
                    let before = store.read(70).ok().flatten().map_or(NOTHING_BEFORE, |(bytes, _)| {
                        Object { number: 70, before: NOTHING_BEFORE, bytes }.hash()
                    });
                    let before =
                        match number {
                            71 => before,
                            _ => store.read(number - 1).ok().flatten().map_or(before, |(bytes, _)| {
                                object(0, std::str::from_utf8(&bytes).expect("text")).hash()
                            }),
                        };
                    let mine = Object { number, before, bytes: format!("racer {racer}\n").into_bytes() };
                    start.wait();
                    (store.create(&mine) == Ok(Created::Made)).then_some(racer)
                })
            };
            let racing: Vec<_> = (0..racers).map(race).collect();
            racing.into_iter().filter_map(|racer| racer.join().expect("no panic")).collect()
        });
        assert_eq!(made.len(), 1, "{made:?}");
        let kept = open().read(number).expect("read").expect("there").0;
        assert_eq!(kept, format!("racer {}\n", made[0]).into_bytes());
    }
}

#[track_caller]
fn unusable<T: std::fmt::Debug>(result: Result<T, StoreFault>, told: &str) {
    match result {
        Err(StoreFault::Unusable(text)) => assert!(text.contains(told) && !text.contains(SECRET), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn passing<T: std::fmt::Debug>(result: Result<T, StoreFault>, told: &str) {
    match result {
        Err(StoreFault::Passing(text)) => assert!(text.contains(told) && !text.contains(SECRET), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn memory_keeps_a_log() {
    let store = Memory::default();
    let open = || Box::new(store.clone()) as Box<dyn Store>;
    conforms(&open);
    one_wins(&|| Box::new(store.clone()));
}

#[test]
fn a_folder_keeps_a_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| Place::Folder(folder.path().join(name));
    let open =
        || Box::new(Objects::open(&at("made by the first"), &Variables::new()).expect("opened")) as Box<dyn Store>;
    conforms(&open);
    one_wins(&open);
    std::fs::create_dir(folder.path().join("empty")).expect("made");
    let above = &Place::Folder(folder.path().to_owned());
    let below = Objects::open(above, &Variables::new()).expect("opened").below(above);
    assert_eq!(below, Ok(vec![at("made by the first")]));
    std::fs::write(folder.path().join("file"), "x").expect("written");
    let mut in_the_way = Objects::open(&at("file"), &Variables::new()).expect("opened");
    assert!(in_the_way.create(&object(1, "x")).is_err());
}

#[test]
fn s3_keeps_a_log() {
    let Some(endpoint) = server("ONBOARD_TEST_S3") else { return };
    let bucket = "onboard-test";
    // A bucket is made by a plain request; the emulator takes anybody's signature.
    let host = endpoint.trim_start_matches("http://").to_owned();
    let made = exchange(
        &host,
        &format!(
            "PUT /{bucket} HTTP/1.1\r\nHost: {host}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
    );
    assert!(made.contains(" 200 ") || made.contains(" 409 "), "{made}");
    let name = new_name();
    let here = format!("s3://{bucket}/{name}/a-portal");
    let open = || Box::new(Objects::open(&a_place(&here), &s3(&endpoint)).expect("opened")) as Box<dyn Store>;
    conforms(&open);
    one_wins(&open);
    let mut store = open();
    store.read(1).expect("read");
    assert!(store.told_time().is_some());
    assert_eq!(store.name(), here);
    assert!(!format!("{store:?}").contains(SECRET));
    let above = &a_place(&format!("s3://{bucket}/{name}"));
    let below = Objects::open(above, &s3(&endpoint)).expect("opened").below(above);
    assert_eq!(below, Ok(vec![a_place(&here)]));

    let mut missing = Objects::open(&a_place("s3://no-such-bucket-here/x"), &s3(&endpoint)).expect("opened");
    unusable(missing.read(1), "no such bucket");
    unusable(missing.create(&object(1, "x")), "no such bucket");
    unusable(missing.list(), "no such bucket");
    unusable(missing.read_many(1, 5), "no such bucket");
    unusable(missing.probe(0), "no such bucket");
}

#[test]
fn azure_keeps_a_log() {
    let Some(endpoint) = server("ONBOARD_TEST_AZURE") else { return };
    make_container(&endpoint);
    let name = new_name();
    let here = format!("az://onboard-test/{name}/a-portal");
    let open =
        || Box::new(Objects::open(&a_place(&here), &azure(&endpoint, AZURITE)).expect("opened")) as Box<dyn Store>;
    conforms(&open);
    one_wins(&open);
    let mut store = open();
    store.read(1).expect("read");
    assert!(store.told_time().is_some());
    let above = &a_place(&format!("az://onboard-test/{name}"));
    let below = Objects::open(above, &azure(&endpoint, AZURITE)).expect("opened").below(above);
    assert_eq!(below, Ok(vec![a_place(&here)]));
    let mut missing = Objects::open(&a_place("az://no-such-container/x"), &azure(&endpoint, AZURITE)).expect("opened");
    unusable(missing.read(1), "no such bucket");
    unusable(missing.create(&object(1, "x")), "no such bucket");
    let wrong = azure(&endpoint, "U0VDUkVUS0VZMDEyMzQ1Njc4OQ==");
    let mut refused = Objects::open(&a_place(&here), &wrong).expect("opened");
    unusable(refused.read(1), "credentials");
    unusable(refused.create(&object(99, "x")), "credentials");
}

// ---- servers that are not as they should be ----

fn exchange(host: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(host).expect("connected");
    stream.write_all(request.as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    answer
}

/// A server on loopback that answers everything alike, by its method; its address.
fn answering(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || serve(stream, &*answer));
        }
    });
    address
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&str) -> (u16, String)) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    if stream.read_exact(&mut body).is_err() {
        return;
    }
    let (status, text) = answer(&head);
    let reply = format!(
        "HTTP/1.1 {status} X\r\nETag: \"1\"\r\nLast-Modified: Wed, 25 Nov 2026 12:00:00 GMT\r\nDate: Wed, 25 Nov 2026 12:00:00 GMT\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    drop(stream.write_all(reply.as_bytes()));
}

fn at(endpoint: &str) -> Objects {
    Objects::open(&a_place("s3://bucket/prefix"), &s3(endpoint)).expect("opened")
}

#[test]
fn a_store_that_ignores_the_condition_is_refused() {
    let endpoint = answering(|head| (if head.starts_with("DELETE") { 204 } else { 200 }, "racer 0\n".to_owned()));
    unusable(at(&endpoint).probe(0), "already");
    unusable(at(&endpoint).probe(20), "of 16");
    // One that refuses everything lets nothing be created.
    let endpoint = answering(|head| if head.starts_with("PUT") { (412, String::new()) } else { (404, String::new()) });
    unusable(at(&endpoint).probe(20), "none of 16");
    let endpoint = answering(|_| (501, "<Error><Code>NotImplemented</Code></Error>".to_owned()));
    unusable(at(&endpoint).probe(0), "501 NotImplemented");
}

#[test]
fn failures_are_told_apart_and_without_secrets() {
    let error = |status: u16, code: &'static str| {
        let text = format!("<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>");
        at(&answering(move |_| (status, text.clone())))
    };
    unusable(error(403, "AccessDenied").create(&object(1, "x")), "have no right");
    unusable(error(403, "AccessDenied").read(1), "have no right");
    unusable(error(403, "InvalidAccessKeyId").read(1), "credentials are wrong");
    unusable(error(404, "NoSuchBucket").list(), "no such bucket");
    passing(error(400, "ExpiredToken").create(&object(1, "x")), "expired");
    passing(error(429, "").create(&object(1, "x")), "429");
    passing(error(503, "SlowDown").create(&object(1, "x")), "503 SlowDown");
    passing(error(500, "InternalError").read(1), "500 InternalError");
    assert_eq!(error(409, "ConditionalRequestConflict").create(&object(1, "x")), Ok(Created::Refused));
    assert_eq!(error(412, "PreconditionFailed").create(&object(1, "x")), Ok(Created::Refused));
    assert_eq!(error(404, "NoSuchKey").read(1), Ok(None));
    let mut store = at(&answering(|_| (200, String::new())));
    store.read(1).expect("read");
    assert_eq!(store.told_time().map(|(told, _)| told.to_string()), Some("2026-11-25T12:00:00Z".to_owned()));
}

#[test]
fn an_append_is_made_once_and_a_server_that_is_gone_may_come_back() {
    let tries = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let endpoint = answering(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        (503, String::new())
    });
    passing(at(&endpoint).create(&object(1, "x")), "503");
    assert_eq!(tries.load(std::sync::atomic::Ordering::SeqCst), 1);

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    passing(at(&endpoint).create(&object(1, "x")), "cannot be reached");
    passing(at(&endpoint).read(1), "cannot be reached");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || listener.incoming().for_each(drop));
    passing(at(&endpoint).create(&object(1, "x")), "broke");
}

#[test]
fn plain_http_is_for_loopback_and_settings_are_looked_at_first() {
    let open = |pairs: &[(&str, &str)], place: &str| Objects::open(&a_place(place), &variables(pairs)).map(|_| ());
    let key = ("AWS_ACCESS_KEY_ID", "test");
    let secret = ("AWS_SECRET_ACCESS_KEY", SECRET);
    let plain = ("AWS_ENDPOINT_URL", "http://store.example.com");
    unusable(open(&[plain, key, secret], "s3://bucket/x"), "in the clear");
    assert_eq!(open(&[plain, key, secret, ("AWS_ALLOW_HTTP", "true")], "s3://bucket/x"), Ok(()));
    unusable(open(&[key], "s3://bucket/x"), "AWS_SECRET_ACCESS_KEY is not");
    unusable(open(&[secret], "s3://bucket/x"), "AWS_ACCESS_KEY_ID is not");
    unusable(open(&[], "az://container/x"), "AZURE_STORAGE_ACCOUNT_NAME");
    unusable(open(&[("GOOGLE_SERVICE_ACCOUNT_KEY", SECRET)], "gs://bucket/x"), "credentials cannot be used");
}
