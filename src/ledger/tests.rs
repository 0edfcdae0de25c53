use super::*;
use crate::user::UserId;

const ANN: [u8; 16] = [1; 16];
const BEN: [u8; 16] = [2; 16];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).expect("a time")
}

fn origin(text: &str) -> Origin {
    text.parse().expect("an origin")
}

fn open(path: &Path) -> Ledger {
    let lock = Lock::try_acquire(path, "a test", at(0)).expect("a lock").expect("free");
    let mut ledger = Ledger::open(&lock, false).expect("a ledger");
    ledger.turn_to(&origin("https://p.example"), &[]).expect("turned");
    begin(&mut ledger, at(0));
    ledger
}

fn begin(ledger: &mut Ledger, now: Timestamp) {
    ledger.recover(now).expect("recovered");
    let start = RunStart {
        id: uuid::Uuid::now_v7(),
        account: [7; 8],
        command: "run",
        roster: "users.csv".into(),
        roster_hash: [0; 32],
        rows: 2,
        who: "anna@host".into(),
        at: now,
    };
    ledger.begin_run(&start).expect("begun");
}

fn intent(subject: Subject) -> Intent {
    Intent { mail: Mail::Congratulation, subject, email: None, at: at(1), supersedes: Supersedes::default() }
}

/// Records as a run does, and gives the ledger back.
async fn record(ledger: Ledger, subject: Subject, ending: Option<Ending>) -> (Ledger, Intended) {
    record_as(ledger, intent(subject), ending).await
}

async fn record_as(ledger: Ledger, intent: Intent, ending: Option<Ending>) -> (Ledger, Intended) {
    let recorder = Recorder::start(ledger).expect("a thread");
    let intended = recorder.intend(vec![intent]).await.expect("recorded").remove(0);
    if let (Intended::Open(attempt), Some(ending)) = (&intended, ending) {
        recorder.conclude(*attempt, ending, Some(200), at(2));
    }
    let (ledger, result) = recorder.finish().await;
    result.expect("written");
    (ledger.expect("given back"), intended)
}

#[tokio::test]
async fn what_was_sent_or_may_have_been_is_never_sent_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&folder.path().join("ledger.db"));
    let (ledger, first) = record(ledger, ANN, Some(Ending::Sent)).await;
    assert!(matches!(first, Intended::Open(_)));
    let (ledger, second) = record(ledger, ANN, None).await;
    assert!(matches!(second, Intended::Held(Held::Sent { .. })));
    let (ledger, third) = record(ledger, BEN, Some(Ending::Unknown { reason: "lost".into() })).await;
    assert!(matches!(third, Intended::Open(_)));
    let (_, fourth) = record(ledger, BEN, None).await;
    assert!(matches!(fourth, Intended::Held(Held::Unknown { reason, .. }) if reason == "lost"));
}

#[tokio::test]
async fn what_certainly_had_no_effect_is_tried_afresh() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&folder.path().join("ledger.db"));
    let no_effect = Ending::NoEffect { counted: false, reason: "429".into() };
    let (ledger, _) = record(ledger, ANN, Some(no_effect)).await;
    let (_, again) = record(ledger, ANN, Some(Ending::Sent)).await;
    assert!(matches!(again, Intended::Open(_)));
}

#[tokio::test]
async fn an_intent_of_a_dead_run_is_unknown_until_a_person_settles_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let (ledger, _) = record(open(&path), ANN, None).await;
    drop(ledger);
    let ledger = open(&path);
    assert!(matches!(ledger.held(Mail::Congratulation, ANN), Ok(Some(Held::Unknown { .. }))));
    let mut ledger = ledger;
    let settle =
        |ledger: &mut Ledger, sent| ledger.settle(Mail::Congratulation, ANN, sent, "ben", at(5)).expect("settled");
    assert_eq!(settle(&mut ledger, false), Settlement::Done);
    assert_eq!(settle(&mut ledger, false), Settlement::NotUnknown("unknown".into()));
    let (mut ledger, again) = record(ledger, ANN, Some(Ending::Unknown { reason: "lost".into() })).await;
    assert!(matches!(again, Intended::Open(_)));
    assert_eq!(settle(&mut ledger, true), Settlement::Done);
    assert!(matches!(ledger.held(Mail::Congratulation, ANN), Ok(Some(Held::Sent { .. }))));
    assert_eq!(ledger.settle(Mail::Congratulation, BEN, true, "ben", at(5)).expect("asked"), Settlement::NoRecord);
    let story = ledger.story(UserId::from_bytes(ANN)).expect("a story");
    assert_eq!(story.iter().map(|one| one.decided_by.as_deref()).collect::<Vec<_>>(), [Some("ben"), Some("ben")]);
}

#[tokio::test]
async fn a_person_may_ask_to_send_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, _) = record(open(&folder.path().join("ledger.db")), ANN, Some(Ending::Sent)).await;
    let unknown_only = Intent { supersedes: Supersedes { sent: false, unknown: true }, ..intent(ANN) };
    let (ledger, held) = record_as(ledger, unknown_only, None).await;
    assert!(matches!(held, Intended::Held(_)));
    let resend = Intent { supersedes: Supersedes { sent: true, unknown: false }, ..intent(ANN) };
    let (ledger, open) = record_as(ledger, resend, Some(Ending::Sent)).await;
    assert!(matches!(open, Intended::Open(_)));
    assert_eq!(ledger.story(UserId::from_bytes(ANN)).expect("a story").len(), 2);
}

#[tokio::test]
async fn records_under_another_origin_are_found_and_joined() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut ledger, _) = record(open(&folder.path().join("ledger.db")), ANN, Some(Ending::Sent)).await;
    let (new, old) = (origin("https://new.example"), origin("https://p.example"));
    ledger.turn_to(&new, &[]).expect("turned");
    assert_eq!(ledger.held(Mail::Congratulation, ANN).expect("asked"), None);
    let found = ledger.elsewhere([UserId::from_bytes(BEN), UserId::from_bytes(ANN)].into_iter()).expect("asked");
    assert_eq!(found, Some(("https://p.example".into(), UserId::from_bytes(ANN))));
    ledger.turn_to(&new, &[old]).expect("turned");
    assert_eq!(ledger.elsewhere([UserId::from_bytes(ANN)].into_iter()).expect("asked"), None);
    let (_, held) = record(ledger, ANN, None).await;
    assert!(matches!(held, Intended::Held(Held::Sent { .. })));
}

#[tokio::test]
async fn the_days_writes_are_counted_over_a_rolling_day() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = open(&folder.path().join("ledger.db"));
    let endings = [
        Some(Ending::Sent),
        Some(Ending::NoEffect { counted: true, reason: "403".into() }),
        Some(Ending::NoEffect { counted: false, reason: "429".into() }),
        Some(Ending::Unknown { reason: "lost".into() }),
        None,
    ];
    for (number, ending) in (10..).zip(endings) {
        (ledger, _) = record(ledger, [number; 16], ending).await;
    }
    let daily = ledger.daily_use(Some([7; 8]), at(10)).expect("counted");
    assert_eq!(daily, DailyUse { count: 4, frees_at: Some(at(86_401)) });
    assert_eq!(ledger.daily_use(Some([8; 8]), at(10)).expect("counted").count, 0, "another account");
    assert_eq!(ledger.daily_use(Some([7; 8]), at(86_402)).expect("counted").count, 0, "a day later");
    assert_eq!(ledger.daily_use(Some([7; 8]), at(-1000)).expect("counted").count, 4, "a clock that was set back");
}

#[tokio::test]
async fn a_run_knows_what_an_earlier_one_used_of_the_window() {
    let folder = tempfile::tempdir().expect("a folder");
    let recorder = Recorder::start(open(&folder.path().join("ledger.db"))).expect("a thread");
    for (block, second) in [(64, 0), (128, 10), (192, 20), (256, 30)] {
        recorder.reserve(block, at(second)).await.expect("reserved");
    }
    let (ledger, _) = recorder.finish().await;
    let mut ledger = ledger.expect("given back");
    let used = |ledger: &Ledger, now| -> Vec<(u64, u32)> {
        let recent = ledger.recent_use(Duration::from_secs(60), now).expect("asked");
        recent.iter().map(|used| (used.age.as_secs(), used.count)).collect()
    };
    // Killed: the last blocks count as used just now.
    assert_eq!(used(&ledger, at(40)), [(20, 64), (10, 64), (0, 64), (0, 64)]);
    // Ended: no later than its end, and no more than left.
    ledger.end_run(at(35), 0, 200, &Tally::default()).expect("ended");
    assert_eq!(used(&ledger, at(40)), [(20, 64), (10, 64), (5, 64), (5, 8)]);
    assert_eq!(used(&ledger, at(500)), []);
}

#[test]
fn what_is_no_ledger_is_refused_untouched() {
    let folder = tempfile::tempdir().expect("a folder");
    let try_open = |path: &Path| -> LedgerError {
        match Lock::try_acquire(path, "a test", at(0)) {
            Ok(lock) => Ledger::open(&lock.expect("free"), false).map(drop).expect_err("refused"),
            Err(error) => error,
        }
    };
    let text = folder.path().join("text");
    fs::write(&text, "not a database at all").expect("written");
    assert!(matches!(try_open(&text), LedgerError::NotALedger(_)));
    let other = folder.path().join("other.db");
    Connection::open(&other).and_then(|db| db.execute_batch("CREATE TABLE x (y)")).expect("made");
    assert!(matches!(try_open(&other), LedgerError::NotALedger(_)));
    let newer = folder.path().join("newer.db");
    drop(open(&newer));
    Connection::open(&newer).and_then(|db| db.pragma_update(None, "user_version", 99)).expect("made");
    assert!(matches!(try_open(&newer), LedgerError::Newer { version: 99, .. }));
    assert!(matches!(try_open(folder.path()), LedgerError::Directory(_)));
    assert!(matches!(try_open(&text.join("below/a/file")), LedgerError::Unmakeable { .. }));
    let lock = Lock::try_acquire(&folder.path().join("new.db"), "a test", at(0)).expect("a lock").expect("free");
    assert!(matches!(Ledger::open(&lock, true), Err(LedgerError::Missing(_))));
    assert!(matches!(Ledger::look(&folder.path().join("none.db")), Err(LedgerError::Missing(_))));
}

#[test]
fn one_run_at_a_time_and_a_dead_one_blocks_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let lock = Lock::try_acquire(&path, "users.csv", at(0)).expect("a lock").expect("free");
    let holder = Lock::try_acquire(&path, "other.csv", at(1)).expect("asked").expect_err("held");
    assert!(holder.to_string().contains("users.csv"), "{holder}");
    drop(lock);
    assert!(Lock::try_acquire(&path, "other.csv", at(2)).expect("asked").is_ok());
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_reads_it_and_one_that_is_replaced_takes_no_more() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new/folder/ledger.db");
    let ledger = open(&path);
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
    let recorder = Recorder::start(ledger).expect("a thread");
    assert!(recorder.intend(vec![intent(ANN)]).await.is_ok());
    fs::rename(&path, folder.path().join("moved")).expect("moved");
    assert!(matches!(recorder.intend(vec![intent(BEN)]).await, Err(LedgerError::Replaced(_))));
    // Even if it comes back: a record may be missing from it.
    fs::rename(folder.path().join("moved"), &path).expect("moved back");
    assert!(matches!(recorder.intend(vec![intent(BEN)]).await, Err(LedgerError::Stopped(_))));
}

#[tokio::test]
async fn a_full_disk_stops_everything_before_anything_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&folder.path().join("ledger.db"));
    let pages: i64 = ledger.connection.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("counted");
    ledger.connection.pragma_update(None, "max_page_count", pages).expect("set");
    let recorder = Recorder::start(ledger).expect("a thread");
    let many = (0..200).map(|number| intent([number; 16])).collect();
    assert!(matches!(recorder.intend(many).await, Err(LedgerError::Broken { .. })));
    assert!(matches!(recorder.intend(vec![intent(ANN)]).await, Err(LedgerError::Stopped(_))));
}

#[test]
fn the_file_itself_refuses_a_second_attempt() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&folder.path().join("ledger.db"));
    let insert = "INSERT INTO attempt (portal, kind, subject, run, began_at, state, holds, counted) \
                  VALUES (1, 0, x'01010101010101010101010101010101', 1, 0, 'intent', 1, 1)";
    ledger.connection.execute(insert, []).expect("the first");
    assert!(ledger.connection.execute(insert, []).is_err());
}

/// Intents of many users at once; gives back how many may be sent.
async fn intend_all(recorder: &Recorder, users: std::ops::Range<u32>) -> Vec<AttemptId> {
    let subject = |user: u32| UserId::from_bytes(u128::from(user).to_be_bytes());
    let intents = users.map(|user| intent(*subject(user).as_bytes())).collect();
    let intended = recorder.intend(intents).await.expect("recorded");
    intended.iter().filter_map(|one| if let Intended::Open(attempt) = one { Some(*attempt) } else { None }).collect()
}

fn count(path: &Path, what: &str) -> i64 {
    let connection = Connection::open(path).expect("opened");
    connection.query_row(&format!("SELECT count(*) FROM attempt WHERE {what}"), [], |row| row.get(0)).expect("counted")
}

#[tokio::test]
async fn what_a_run_that_died_left_out_of_the_index_holds_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let recorder = Recorder::start(open(&path)).expect("a thread");
    let attempts = intend_all(&recorder, 0..3).await;
    recorder.conclude(attempts[0], Ending::Sent, Some(200), at(2));
    recorder.conclude(attempts[1], Ending::NoEffect { counted: true, reason: "400".into() }, Some(400), at(2));
    assert_eq!(intend_all(&recorder, 0..3).await.len(), 1, "only the second may be tried again");
    // The process is gone here: nobody finished.
    assert_eq!((count(&path, "holds = 1"), count(&path, "holds = 2")), (0, 3));
    let mut looking = Ledger::look(&path).expect("looked at");
    looking.look_at(&origin("https://p.example"), &[]).expect("turned");
    let held = |ledger: &Ledger, user: u128| ledger.held(Mail::Congratulation, user.to_be_bytes()).expect("looked up");
    assert!(matches!(held(&looking, 0), Some(Held::Sent { .. })));
    assert!(matches!(held(&looking, 1), Some(Held::Unknown { .. })));
    assert!(matches!(held(&looking, 2), Some(Held::Unknown { .. })));
    assert_eq!(held(&looking, 3), None);
    let ledger = open(&path);
    assert_eq!((count(&path, "holds = 1"), count(&path, "holds = 2")), (3, 0));
    let recorder = Recorder::start(ledger).expect("a thread");
    assert_eq!(intend_all(&recorder, 0..4).await.len(), 1, "only the fourth is held by nobody");
}

#[tokio::test]
async fn many_attempts_enter_the_index_together_and_the_rest_when_the_run_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let recorder = Recorder::start(open(&path)).expect("a thread");
    for block in 0..17 {
        assert_eq!(intend_all(&recorder, block * 1000..(block + 1) * 1000).await.len(), 1000);
    }
    assert!(count(&path, "holds = 1") >= 16_384, "a good many are known by heart, no more");
    assert_eq!(intend_all(&recorder, 0..17_000).await.len(), 0, "in the index or not, all hold");
    let (_, finished) = recorder.finish().await;
    finished.expect("written");
    assert_eq!((count(&path, "holds = 1"), count(&path, "holds = 2")), (17_000, 0));
}

#[test]
fn a_ledger_of_the_first_version_becomes_a_new_one_and_keeps_its_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let old = Connection::open(&path).expect("made");
    old.execute_batch(&format!(
        "{} PRAGMA application_id = 0x6f6e6264; PRAGMA user_version = 1;
         INSERT INTO portal VALUES (1, 'https://p.example');
         INSERT INTO run (id, uuid, portal, account, command, roster, roster_hash, rows, who, started_at)
            VALUES (1, 'one', 1, x'07', 'run', 'users.csv', x'00', 2, 'anna@host', 0);
         INSERT INTO attempt (portal, kind, subject, run, began_at, state, holds, counted)
            VALUES (1, 0, x'01010101010101010101010101010101', 1, 0, 'sent', 1, 1),
                   (1, 0, x'02020202020202020202020202020202', 1, 0, 'no_effect', 0, 1);",
        schema::STEPS[0]
    ))
    .expect("filled");
    drop(old);
    let looked = |mut ledger: Ledger| {
        ledger.look_at(&origin("https://p.example"), &[]).expect("turned");
        let held = |subject| ledger.held(Mail::Congratulation, subject).expect("looked up");
        (matches!(held(ANN), Some(Held::Sent { .. })), held(BEN))
    };
    assert_eq!(looked(Ledger::look(&path).expect("looked at, as it is")), (true, None));
    assert_eq!(looked(open(&path)), (true, None));
    let version: i64 =
        Connection::open(&path).and_then(|db| db.query_row("PRAGMA user_version", [], |row| row.get(0))).expect("read");
    assert_eq!(version, 2);
    assert_eq!(count(&path, "holds = 1"), 1);
}
