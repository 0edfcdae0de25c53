use std::{fs, iter};

use jiff::Timestamp;
use rusqlite::Connection;

use super::*;
use crate::user::UserId;

const ANN: [u8; 16] = [1; 16];
const BEN: [u8; 16] = [2; 16];
const NOTHING: [(&str, u64); 0] = [];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).expect("a time")
}

fn origin(text: &str) -> Origin {
    text.parse().expect("an origin")
}

fn open(path: &Path) -> Ledger {
    let lock = Lock::try_acquire(path, "a test", at(0)).expect("a lock").expect("free");
    let mut ledger = Ledger::open(&lock, false).expect("a ledger").with_clock(Clock::fixed(at(0)));
    ledger.turn_to(&origin("https://p.example"), &[]).expect("turned");
    begin(&mut ledger, at(0));
    ledger
}

/// The ledger at this time.
fn when(ledger: &mut Ledger, now: Timestamp) -> &mut Ledger {
    ledger.clock().set(now);
    ledger
}

fn held(ledger: &Ledger, mail: Mail, subject: Subject) -> Result<Option<Held>, LedgerError> {
    let mut found = None;
    ledger.held(mail, iter::once(subject), |_, held| found = Some(held)).map(|()| found)
}

fn elsewhere(ledger: &Ledger, users: &[UserId]) -> Option<(String, UserId)> {
    let subjects = users.iter().map(|user| *user.as_bytes());
    let found = ledger.elsewhere(Mail::Congratulation, subjects, iter::empty()).expect("asked")?;
    let Whom::Subject(user) = found.whom else { panic!("{found:?}") };
    assert_eq!(UserId::from_bytes(user), users[found.position]);
    Some((found.origin, UserId::from_bytes(user)))
}

/// The day's writes so far, with a stamp, so that a test says when it is.
#[derive(Debug, PartialEq, Eq)]
struct DailyUse {
    count: u64,
    frees_at: Option<Timestamp>,
}

fn daily_use(ledger: &Ledger, account: Option<[u8; 8]>, now: Timestamp) -> Result<DailyUse, LedgerError> {
    ledger.clock().set(now);
    let used = ledger.used(account, Duration::ZERO)?;
    Ok(DailyUse { count: used.daily, frees_at: used.frees_in.map(|frees_in| now + frees_in) })
}

fn recent_use(ledger: &Ledger, window: Duration, now: Timestamp) -> Result<Vec<RecentUse>, LedgerError> {
    ledger.clock().set(now);
    Ok(ledger.used(None, window)?.recent)
}

fn has_sent(ledger: &Ledger) -> Result<bool, LedgerError> {
    Ok(ledger.used(None, Duration::ZERO)?.ever_sent)
}

fn begin(ledger: &mut Ledger, now: Timestamp) {
    begin_as(ledger, "run", now);
}

fn begin_as(ledger: &mut Ledger, command: &str, now: Timestamp) {
    when(ledger, now).recover().expect("recovered");
    let start = RunStart {
        id: uuid::Uuid::now_v7(),
        account: [7; 8],
        command: command.to_owned(),
        plan: None,
        roster: "users.csv".into(),
        roster_hash: [0; 32],
        rows: 2,
        who: "anna@host".into(),
    };
    ledger.begin_run(start).expect("begun");
}

fn intent(subject: Subject) -> Intent {
    Intent { mail: Mail::Congratulation, subject, email: None, let_go: LetGo::default(), row: None }
}

/// Records as a run does, and gives the ledger back.
async fn record(ledger: Ledger, subject: Subject, ending: Option<Ending>) -> (Ledger, Intended) {
    record_as(ledger, intent(subject), ending).await
}

async fn record_as(ledger: Ledger, intent: Intent, ending: Option<Ending>) -> (Ledger, Intended) {
    let clock = ledger.clock().clone();
    clock.set(at(1));
    let recorder = Recorder::start(ledger).expect("a thread");
    let intended = recorder.intend(vec![intent]).await.expect("recorded").remove(0);
    if let (Intended::Open(attempt), Some(ending)) = (&intended, ending) {
        clock.set(at(2));
        recorder.conclude(*attempt, ending, Some(200));
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
    let (ledger, third) = record(ledger, BEN, Some(Ending::Unknown { why: "lost".into() })).await;
    assert!(matches!(third, Intended::Open(_)));
    let (_, fourth) = record(ledger, BEN, None).await;
    assert!(matches!(fourth, Intended::Held(Held::Unknown { why, .. }) if why == "lost"));
}

#[tokio::test]
async fn what_certainly_had_no_effect_is_tried_afresh() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&folder.path().join("ledger.db"));
    let no_effect = Ending::NoEffect { counted: false, why: "429".into() };
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
    assert!(matches!(held(&ledger, Mail::Congratulation, ANN), Ok(Some(Held::Unknown { .. }))));
    let mut ledger = ledger;
    let settle =
        |ledger: &mut Ledger, sent| ledger.settle(Mail::Congratulation, ANN, sent, "ben", None).expect("settled");
    assert_eq!(settle(&mut ledger, false), Settlement::Done);
    assert_eq!(settle(&mut ledger, false), Settlement::NotUnknown("unknown".into()));
    let (mut ledger, again) = record(ledger, ANN, Some(Ending::Unknown { why: "lost".into() })).await;
    assert!(matches!(again, Intended::Open(_)));
    assert_eq!(settle(&mut ledger, true), Settlement::Done);
    assert!(matches!(held(&ledger, Mail::Congratulation, ANN), Ok(Some(Held::Sent { .. }))));
    assert_eq!(ledger.settle(Mail::Congratulation, BEN, true, "ben", None).expect("asked"), Settlement::NoRecord);
    let story = ledger.story(UserId::from_bytes(ANN)).expect("a story");
    assert_eq!(story.iter().map(|one| one.decided_by.as_deref()).collect::<Vec<_>>(), [Some("ben"), Some("ben")]);
}

#[tokio::test]
async fn a_person_may_ask_to_send_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, _) = record(open(&folder.path().join("ledger.db")), ANN, Some(Ending::Sent)).await;
    let unknown_only = Intent { let_go: LetGo { sent: false, unknown: true }, ..intent(ANN) };
    let (ledger, held) = record_as(ledger, unknown_only, None).await;
    assert!(matches!(held, Intended::Held(_)));
    let resend = Intent { let_go: LetGo { sent: true, unknown: false }, ..intent(ANN) };
    let (ledger, open) = record_as(ledger, resend, Some(Ending::Sent)).await;
    assert!(matches!(open, Intended::Open(_)));
    assert_eq!(ledger.story(UserId::from_bytes(ANN)).expect("a story").len(), 2);
}

#[tokio::test]
async fn a_person_may_let_an_unknown_go_but_not_one_that_is_on_its_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let retry = Intent { let_go: LetGo { sent: false, unknown: true }, ..intent(ANN) };
    let (ledger, _) = record(open(&path), ANN, None).await;
    let (ledger, held) = record_as(ledger, retry, None).await;
    assert!(matches!(held, Intended::Held(Held::Unknown { why, .. }) if why == "it is on its way"));
    drop(ledger);
    // Its run is dead: now nobody knows.
    let (ledger, again) = record_as(open(&path), retry, Some(Ending::Unknown { why: "lost".into() })).await;
    assert!(matches!(again, Intended::Open(_)));
    let (_, once_more) = record_as(ledger, retry, None).await;
    assert!(matches!(once_more, Intended::Open(_)));
}

#[tokio::test]
async fn intents_of_a_dead_run_are_counted_and_the_others_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, _) = record(open(&folder.path().join("ledger.db")), ANN, Some(Ending::Sent)).await;
    let (ledger, _) = record(ledger, BEN, None).await;
    let (mut ledger, _) = record(ledger, [3; 16], None).await;
    assert_eq!(when(&mut ledger, at(3)).recover().expect("recovered"), 2);
    assert_eq!(when(&mut ledger, at(4)).recover().expect("recovered"), 0);
    assert!(matches!(held(&ledger, Mail::Congratulation, ANN), Ok(Some(Held::Sent { .. }))));
    assert!(
        matches!(held(&ledger, Mail::Congratulation, BEN), Ok(Some(Held::Unknown { at: when, .. })) if when == at(3))
    );
    assert_eq!(held(&ledger, Mail::Invitation, BEN).expect("asked"), None, "another kind of mail");
}

#[tokio::test]
async fn whether_anything_was_ever_accepted_is_known_for_each_portal() {
    let folder = tempfile::tempdir().expect("a folder");
    let (ledger, _) = record(open(&folder.path().join("ledger.db")), ANN, None).await;
    assert!(!has_sent(&ledger).expect("asked"));
    let (mut ledger, _) = record(ledger, BEN, Some(Ending::Sent)).await;
    assert!(has_sent(&ledger).expect("asked"));
    ledger.turn_to(&origin("https://new.example"), &[]).expect("turned");
    assert!(!has_sent(&ledger).expect("asked"));
    ledger.turn_to(&origin("https://new.example"), &[origin("https://p.example")]).expect("turned");
    assert!(has_sent(&ledger).expect("asked"));
}

#[tokio::test]
async fn records_under_another_origin_are_found_and_joined() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut ledger, _) = record(open(&folder.path().join("ledger.db")), ANN, Some(Ending::Sent)).await;
    let (new, old) = (origin("https://new.example"), origin("https://p.example"));
    ledger.turn_to(&new, &[]).expect("turned");
    assert_eq!(held(&ledger, Mail::Congratulation, ANN).expect("asked"), None);
    let found = elsewhere(&ledger, &[UserId::from_bytes(BEN), UserId::from_bytes(ANN)]);
    assert_eq!(found, Some(("https://p.example".into(), UserId::from_bytes(ANN))));
    ledger.turn_to(&new, &[old]).expect("turned");
    assert_eq!(elsewhere(&ledger, &[UserId::from_bytes(ANN)]), None);
    let (_, held) = record(ledger, ANN, None).await;
    assert!(matches!(held, Intended::Held(Held::Sent { .. })));
}

#[tokio::test]
async fn what_was_tried_on_the_embedded_portal_says_nothing_about_a_real_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = open(&folder.path().join("ledger.db"));
    ledger.turn_to(&Origin::of_sandbox(), &[]).expect("turned");
    begin(&mut ledger, at(1));
    let (mut ledger, _) = record(ledger, ANN, Some(Ending::Sent)).await;
    ledger.turn_to(&origin("https://p.example"), &[]).expect("turned");
    assert_eq!(elsewhere(&ledger, &[UserId::from_bytes(ANN)]), None);
    begin(&mut ledger, at(2));
    let (mut ledger, _) = record(ledger, ANN, Some(Ending::Sent)).await;
    assert_eq!(elsewhere(&ledger, &[UserId::from_bytes(ANN)]), None, "this portal's own");
    ledger.turn_to(&origin("https://new.example"), &[]).expect("turned");
    let found = elsewhere(&ledger, &[UserId::from_bytes(ANN)]);
    assert_eq!(found.map(|(origin, _)| origin), Some("https://p.example".to_owned()));
}

#[tokio::test]
async fn a_ledger_can_be_looked_at_while_a_run_writes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let recorder = Recorder::start(open(&path)).expect("a thread");
    recorder.intend(vec![intent(ANN)]).await.expect("recorded");
    let mut seen = Ledger::look(&path).expect("a look");
    assert_eq!(seen.path(), path);
    assert_eq!(held(&seen, Mail::Congratulation, ANN).expect("asked"), None, "turned to no portal");
    seen.look_at(&origin("https://other.example"), &[]).expect("turned");
    assert_eq!(held(&seen, Mail::Congratulation, ANN).expect("asked"), None);
    seen.look_at(&origin("https://other.example"), &[origin("https://p.example")]).expect("turned");
    assert!(matches!(held(&seen, Mail::Congratulation, ANN), Ok(Some(Held::Unknown { .. }))));
    assert!(seen.recover().is_err(), "whoever looks writes nothing");
}

#[tokio::test]
async fn the_days_writes_are_counted_over_a_rolling_day() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = open(&folder.path().join("ledger.db"));
    let endings = [
        Some(Ending::Sent),
        Some(Ending::NoEffect { counted: true, why: "403".into() }),
        Some(Ending::NoEffect { counted: false, why: "429".into() }),
        Some(Ending::Unknown { why: "lost".into() }),
        None,
    ];
    for (number, ending) in (10..).zip(endings) {
        (ledger, _) = record(ledger, [number; 16], ending).await;
    }
    let daily = daily_use(&ledger, Some([7; 8]), at(10)).expect("counted");
    assert_eq!(daily, DailyUse { count: 4, frees_at: Some(at(86_401)) });
    assert_eq!(daily_use(&ledger, Some([8; 8]), at(10)).expect("counted").count, 0, "another account");
    assert_eq!(daily_use(&ledger, None, at(10)).expect("counted").count, 4, "whosever account");
    assert_eq!(daily_use(&ledger, Some([7; 8]), at(86_400)).expect("counted").count, 4);
    let freed = daily_use(&ledger, Some([7; 8]), at(86_401)).expect("counted");
    assert_eq!(freed, DailyUse { count: 0, frees_at: None }, "free when it was said to be");
    assert_eq!(daily_use(&ledger, Some([7; 8]), at(86_402)).expect("counted").count, 0, "a day later");
    assert_eq!(daily_use(&ledger, Some([7; 8]), at(-1000)).expect("counted").count, 4, "a clock that was set back");
    ledger.turn_to(&origin("https://other.example"), &[]).expect("turned");
    assert_eq!(daily_use(&ledger, None, at(10)).expect("counted").count, 0, "another portal");
}

#[tokio::test]
async fn mails_are_none_of_the_days_writes_and_are_remembered_for_their_own_windows() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ledger = open(&folder.path().join("ledger.db"));
    (ledger, _) = record(ledger, [9; 16], Some(Ending::Sent)).await;
    begin_as(&mut ledger, BY_MAIL, at(0));
    let endings = [
        Some(Ending::Sent),
        Some(Ending::NoEffect { counted: false, why: "450".into() }),
        Some(Ending::Unknown { why: "lost".into() }),
        None,
    ];
    for (number, ending) in (10..).zip(endings) {
        (ledger, _) = record(ledger, [number; 16], ending).await;
    }
    assert_eq!(daily_use(&ledger, None, at(10)).expect("counted").count, 1, "what the portal carried");
    let mails = |now, window| {
        ledger.clock().set(at(now));
        let recent = ledger.mails_within(Duration::from_secs(window)).expect("looked up");
        let mut ages: Vec<u64> = recent.iter().map(|used| used.age.as_secs()).collect();
        ages.sort_unstable();
        ages
    };
    // Those that began at 1 and ended at 2, but for the one that is open, and those that had no effect.
    assert_eq!(mails(10, 60), [8, 8, 9]);
    assert_eq!(mails(61, 60), [59, 59]);
    assert_eq!(mails(62, 60), [0u64; 0]);
    assert_eq!(mails(-5, 60), [0, 0, 0], "a clock that was set back");
    ledger.turn_to(&origin("https://other.example"), &[]).expect("turned");
    ledger.clock().set(at(10));
    assert_eq!(ledger.mails_within(Duration::from_secs(60)).expect("looked up").len(), 3, "it is the same mail server");
}

#[tokio::test]
async fn a_run_knows_what_an_earlier_one_used_of_the_window() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&folder.path().join("ledger.db"));
    let clock = ledger.clock().clone();
    let recorder = Recorder::start(ledger).expect("a thread");
    for (block, second) in [(64, 0), (128, 10), (192, 20), (256, 30)] {
        {
            clock.set(at(second));
            recorder.reserve(block)
        }
        .await
        .expect("reserved");
    }
    let (ledger, _) = recorder.finish().await;
    let mut ledger = ledger.expect("given back");
    let used = |ledger: &Ledger, now| -> Vec<(u64, u32)> {
        let recent = recent_use(ledger, Duration::from_secs(60), now).expect("asked");
        recent.iter().map(|used| (used.age.as_secs(), used.count)).collect()
    };
    // Killed: the last blocks count as used just now.
    assert_eq!(used(&ledger, at(40)), [(20, 64), (10, 64), (0, 64), (0, 64)]);
    // Ended: no later than its end, and no more than left.
    when(&mut ledger, at(35)).end_run(0, 200, NOTHING).expect("ended");
    assert_eq!(used(&ledger, at(40)), [(20, 64), (10, 64), (5, 64), (5, 8)]);
    assert_eq!(used(&ledger, at(500)), []);
}

#[tokio::test]
async fn what_each_of_several_runs_used_of_the_window_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let reserve = async |ledger: Ledger, blocks: &[(u64, i64)]| -> Ledger {
        let clock = ledger.clock().clone();
        let recorder = Recorder::start(ledger).expect("a thread");
        for (upto, second) in blocks {
            clock.set(at(*second));
            recorder.reserve(*upto).await.expect("reserved");
        }
        recorder.finish().await.0.expect("given back")
    };
    let used = |ledger: &Ledger, now| -> Vec<(u64, u32)> {
        let recent = recent_use(ledger, Duration::from_secs(60), now).expect("asked");
        recent.iter().map(|used| (used.age.as_secs(), used.count)).collect()
    };
    let ledger = open(&folder.path().join("ledger.db"));
    let mut ledger = reserve(ledger, &[(64, 0), (128, 10), (192, 20)]).await;
    when(&mut ledger, at(30)).end_run(0, 70, NOTHING).expect("ended");
    // Beginning another forgets nothing of it.
    begin(&mut ledger, at(31));
    assert_eq!(used(&ledger, at(31)), [(11, 64), (1, 6)]);
    let ledger = reserve(ledger, &[(64, 32), (128, 33)]).await;
    assert_eq!(used(&ledger, at(40)), [(20, 64), (10, 6), (0, 64), (0, 64)]);
    // A second longer than the window, for clocks that disagree.
    assert_eq!(used(&ledger, at(80)), [(60, 64), (50, 6), (0, 64), (0, 64)]);
    assert_eq!(used(&ledger, at(81)), [(51, 6), (0, 64), (0, 64)]);
    // Killed: what it reserved last may have left just now, but not for ever.
    assert_eq!(used(&ledger, at(152)), [(0, 64)]);
    assert_eq!(used(&ledger, at(153)), []);
    // No portal's window is longer than a day, and what is older is not kept.
    let ever = |ledger: &Ledger| recent_use(ledger, Duration::from_secs(864_000), at(86_500)).expect("asked").len();
    let mut ledger = ledger;
    assert_eq!(ever(&ledger), 4);
    begin(&mut ledger, at(86_500));
    assert_eq!(ever(&ledger), 0);
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
fn an_empty_file_is_no_ledger_and_one_without_a_run_knows_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let try_open = |must_know| {
        let lock = Lock::try_acquire(&path, "a test", at(0)).expect("a lock").expect("free");
        Ledger::open(&lock, must_know).map(drop)
    };
    fs::write(&path, "").expect("written");
    for verdict in [try_open(false), try_open(true), Ledger::look(&path).map(drop)] {
        assert!(matches!(verdict, Err(LedgerError::Empty(_))), "{verdict:?}");
    }
    assert_eq!(fs::metadata(&path).expect("there").len(), 0, "untouched");
    // Nor is a database in which nothing is.
    Connection::open(&path).and_then(|db| db.execute_batch("VACUUM")).expect("made");
    assert!(fs::metadata(&path).expect("there").len() > 0);
    for verdict in [try_open(false), try_open(true), Ledger::look(&path).map(drop)] {
        assert!(matches!(verdict, Err(LedgerError::Empty(_))), "{verdict:?}");
    }
    fs::remove_file(&path).expect("removed");
    try_open(false).expect("made");
    assert!(matches!(try_open(true), Err(LedgerError::NoRuns(_))));
    assert!(matches!(Ledger::look(&path).expect("looked at").require_runs(), Err(LedgerError::NoRuns(_))));
    drop(open(&path));
    try_open(true).expect("a run is on record");
}

#[test]
fn a_ledger_comes_to_its_place_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let in_folder = || fs::read_dir(folder.path()).expect("read").flatten().map(|entry| entry.file_name()).collect();
    // What a run left that was killed while it made one.
    fs::write(folder.path().join("ledger.db.new"), "half a led").expect("written");
    drop(open(&path));
    let mut names: Vec<_> = in_folder();
    names.sort();
    assert_eq!(names, ["ledger.db", "ledger.db.lock"]);
    // A log without its ledger holds records: nothing new takes its place.
    let looking = Ledger::look(&path).expect("looked at");
    drop(open(&path));
    fs::remove_file(&path).expect("removed");
    let log = fs::metadata(folder.path().join("ledger.db-wal")).expect("there").len();
    assert!(log > 0);
    let lock = Lock::try_acquire(&path, "a test", at(0)).expect("a lock").expect("free");
    assert!(matches!(Ledger::open(&lock, false), Err(LedgerError::LogAlone { .. })));
    assert!(!path.exists());
    drop(looking);
}

#[cfg(unix)]
#[test]
fn a_file_with_two_names_is_looked_at_and_never_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = (folder.path().join("one.db"), folder.path().join("two.db"));
    drop(open(&one));
    fs::hard_link(&one, &two).expect("linked");
    for path in [&one, &two] {
        let refused = Lock::try_acquire(path, "a test", at(0)).map(drop).expect_err("refused");
        assert!(matches!(refused, LedgerError::Linked(_)), "{refused}");
        assert_eq!(Ledger::look(path).expect("looked at").runs().expect("read").len(), 1);
    }
    fs::remove_file(&two).expect("removed");
    // A symbolic link is another way to the one name.
    std::os::unix::fs::symlink(&one, &two).expect("linked");
    assert_eq!(
        Lock::try_acquire(&two, "a test", at(0)).expect("a lock").expect("free").path(),
        fs::canonicalize(&one).expect("there")
    );
}

/// Where the file that SQLite shares its log by cannot be made, as in a folder that is mounted read-only.
#[cfg(unix)]
#[test]
fn where_nothing_can_be_written_one_can_still_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("led?ger #1%.db");
    let mut ledger = open(&path);
    when(&mut ledger, at(3)).end_run(0, 0, NOTHING).expect("ended");
    drop(ledger);
    let shared = folder.path().join("led?ger #1%.db-shm");
    std::os::unix::fs::symlink("/nobody/can/make/this", &shared).expect("made");
    assert_eq!(Ledger::look(&path).expect("looked at").runs().expect("read").len(), 1);
    fs::write(folder.path().join("led?ger #1%.db-wal"), [1; 5000]).expect("written");
    let refused = Ledger::look(&path).map(drop).expect_err("refused");
    assert!(matches!(refused, LedgerError::LogUnreadable { .. }), "{refused}");
}

#[tokio::test]
async fn a_ledger_from_which_somebody_who_is_held_is_lost_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let (ledger, _) = record(open(&path), [0xab; 16], Some(Ending::Sent)).await;
    drop(ledger);
    let sound = fs::read(&path).expect("read");
    let verdicts = || {
        let lock = Lock::try_acquire(&path, "a test", at(0)).expect("a lock").expect("free");
        [Ledger::open(&lock, true).map(drop), Ledger::look(&path).map(drop)]
    };
    assert!(verdicts().iter().all(Result::is_ok));
    // The user stands in the table and in the index; in either, one wrong bit makes somebody else of them.
    let places: Vec<usize> = (0..sound.len() - 16).filter(|at| sound[*at..].starts_with(&[0xab; 16])).collect();
    let root: i64 = Connection::open(&path)
        .and_then(|db| {
            db.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'one_attempt_holds'", [], |row| row.get(0))
        })
        .expect("found");
    let root = usize::try_from(root).expect("a page");
    let (&[index], &[table]) = (
        &*places.iter().copied().filter(|place| place / 4096 + 1 == root).collect::<Vec<_>>(),
        &*places.iter().copied().filter(|place| place / 4096 + 1 != root).collect::<Vec<_>>(),
    ) else {
        panic!("{places:?}")
    };
    // In the index, two bytes before the user stands that it is a blob; one bit away is a text.
    for place in [table + 7, index + 7, index - 2] {
        let mut file = sound.clone();
        file[place] ^= 1;
        fs::write(&path, file).expect("written");
        for verdict in verdicts() {
            assert!(matches!(verdict, Err(LedgerError::Damaged { .. })), "{place}: {verdict:?}");
        }
    }
    // Two users that are in the index still, but not in the order in which they are looked for: a page begins with
    // eight bytes, then two for each entry.
    fs::write(&path, &sound).expect("written");
    drop(record(open(&path), [0xac; 16], Some(Ending::Sent)).await);
    let mut file = fs::read(&path).expect("read");
    let entries = index / 4096 * 4096 + 8;
    file[entries..entries + 4].rotate_left(2);
    fs::write(&path, &file).expect("written");
    assert!(verdicts().iter().all(|verdict| matches!(verdict, Err(LedgerError::Damaged { .. }))), "{:?}", verdicts());
    fs::write(&path, &sound).expect("written");
    let garble = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = sql || char(27) || '[2J'";
    Connection::open(&path).and_then(|db| db.execute_batch(garble)).expect("done");
    for verdict in verdicts() {
        let told = verdict.expect_err("refused").to_string();
        assert!(told.contains("\\u{1b}") && !told.contains('\u{1b}'), "{told}");
    }
    let meddling = [
        "DROP INDEX one_attempt_holds",
        "CREATE TRIGGER forget AFTER INSERT ON attempt BEGIN DELETE FROM attempt WHERE id = new.id; END",
        "ALTER TABLE attempt RENAME TO attempts",
    ];
    for statement in meddling {
        fs::write(&path, &sound).expect("written");
        Connection::open(&path).and_then(|db| db.execute_batch(statement)).expect("done");
        for verdict in verdicts() {
            assert!(matches!(verdict, Err(LedgerError::Damaged { .. })), "{statement}: {verdict:?}");
        }
    }
}

#[test]
fn numbers_that_no_run_writes_are_read_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&folder.path().join("ledger.db"));
    let now = at(5).as_millisecond();
    for (upto, stamp) in [(i64::MIN, now), (i64::MAX, i64::MAX), (i64::MIN, now + 1), (64, now)] {
        let insert = "INSERT INTO window_use (run, upto, at) VALUES (1, ?1, ?2)";
        ledger.connection.execute(insert, [upto, stamp]).expect("inserted");
    }
    ledger.connection.execute("UPDATE run SET ended_at = ?1", [i64::MIN]).expect("updated");
    assert!(recent_use(&ledger, Duration::from_secs(60), at(6)).is_ok());
    assert!(daily_use(&ledger, None, at(6)).is_ok());
}

#[test]
fn a_database_is_a_ledger_only_by_its_own_marks() {
    let folder = tempfile::tempdir().expect("a folder");
    let ours: i64 = {
        let path = folder.path().join("ours.db");
        drop(open(&path));
        let db = Connection::open(&path).expect("opened");
        db.query_row("PRAGMA application_id", [], |row| row.get(0)).expect("a mark")
    };
    for (number, (application, version, table)) in
        [(0, 3, false), (5, 0, false), (ours, 0, false), (ours, 0, true), (0, 1, true), (5, 1, true)]
            .into_iter()
            .enumerate()
    {
        let path = folder.path().join(format!("{number}.db"));
        let db = Connection::open(&path).expect("made");
        db.pragma_update(None, "application_id", application).expect("marked");
        db.pragma_update(None, "user_version", version).expect("marked");
        if table {
            db.execute_batch("CREATE TABLE x (y)").expect("made");
        }
        drop(db);
        let before = fs::read(&path).expect("read");
        let lock = Lock::try_acquire(&path, "a test", at(0)).expect("a lock").expect("free");
        let refused = Ledger::open(&lock, false).map(drop).expect_err("refused");
        assert!(matches!(refused, LedgerError::NotALedger(_)), "{application} {version} {table}: {refused}");
        assert!(matches!(Ledger::look(&path), Err(LedgerError::NotALedger(_))));
        assert_eq!(fs::read(&path).expect("read"), before, "untouched");
    }
    // Nor is one that only begins as a database does.
    let garbled = folder.path().join("garbled.db");
    fs::write(&garbled, [&b"SQLite format 3\0"[..], &[0xff; 4096]].concat()).expect("written");
    let refused = Ledger::look(&garbled).map(drop).expect_err("refused");
    assert!(matches!(refused, LedgerError::NotALedger(_)), "{refused}");
    assert!(refused.to_string().contains("garbled.db"), "{refused}");
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

#[test]
fn whoever_holds_the_lock_without_saying_who_is_another_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = fs::File::create(folder.path().join("ledger.db.lock")).expect("made");
    file.try_lock().expect("locked");
    let holder =
        Lock::try_acquire(&folder.path().join("ledger.db"), "a test", at(0)).expect("asked").expect_err("held");
    assert_eq!(holder.to_string(), "another run");
}

#[test]
fn another_run_is_waited_for_saying_so_once_and_not_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let mut held = Some(Lock::try_acquire(&path, "users.csv", at(0)).expect("a lock").expect("free"));
    let late = Lock::wait_for(&path, "other.csv", Duration::ZERO, |_| ()).expect_err("in use");
    assert!(matches!(&late, LedgerError::InUse { .. }) && late.to_string().contains("users.csv"), "{late}");
    let mut said = Vec::new();
    let lock = Lock::wait_for(&path, "other.csv", Duration::from_secs(10), |text| {
        said.push(text.to_owned());
        // Waited for; then the other one ends.
        drop(held.take());
    });
    assert_eq!(lock.expect("free").path(), fs::canonicalize(folder.path()).expect("a folder").join("ledger.db"));
    assert!(matches!(said.as_slice(), [once] if once.contains("users.csv")), "{said:?}");
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

/// What was handed in with it, before it and after it: nothing of it is on record, and nothing of it may be sent.
#[tokio::test]
async fn a_group_that_fails_is_taken_back_as_a_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let ledger = open(&path);
    let no_ben = "CREATE TEMP TRIGGER no_ben BEFORE INSERT ON attempt WHEN new.subject = x'02020202020202020202020202020202' \
                  BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    ledger.connection.execute_batch(no_ben).expect("made");
    let recorder = Recorder::start(ledger).expect("a thread");
    let Intended::Open(ann) = recorder.intend(vec![intent(ANN)]).await.expect("recorded").remove(0) else {
        panic!("nobody holds her")
    };
    // While somebody else writes, everything waits, and so forms groups.
    let other = Connection::open(&path).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("begun");
    let first = recorder.reserve(64);
    let with_ben = recorder.intend(vec![intent([3; 16]), intent(BEN), intent([4; 16])]);
    recorder.conclude(ann, Ending::Sent, Some(200));
    let last = recorder.reserve(128);
    other.execute_batch("ROLLBACK").expect("ended");
    drop(first.await);
    assert!(matches!(with_ben.await, Err(LedgerError::Broken { .. })));
    assert!(last.await.is_err());
    assert!(matches!(recorder.intend(vec![intent([5; 16])]).await, Err(LedgerError::Stopped(_))));
    let (ledger, result) = recorder.finish().await;
    assert!(matches!(result, Err(LedgerError::Stopped(_))));
    assert!(ledger.expect("given back").connection.is_autocommit(), "nothing of it is left open");
    let ledger = open(&path);
    for subject in [BEN, [3; 16], [4; 16], [5; 16]] {
        assert_eq!(held(&ledger, Mail::Congratulation, subject).expect("asked"), None);
    }
    assert!(matches!(held(&ledger, Mail::Congratulation, ANN), Ok(Some(Held::Unknown { .. }))), "not recorded as sent");
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
    recorder.conclude(attempts[0], Ending::Sent, Some(200));
    recorder.conclude(attempts[1], Ending::NoEffect { counted: true, why: "400".into() }, Some(400));
    assert_eq!(intend_all(&recorder, 0..3).await.len(), 1, "only the second may be tried again");
    // The process is gone here: nobody finished.
    assert_eq!((count(&path, "holds = 1"), count(&path, "holds = 2")), (0, 3));
    let mut looking = Ledger::look(&path).expect("looked at");
    looking.look_at(&origin("https://p.example"), &[]).expect("turned");
    let held = |ledger: &Ledger, user: u128| held(ledger, Mail::Congratulation, user.to_be_bytes()).expect("looked up");
    assert!(matches!(held(&looking, 0), Some(Held::Sent { .. })));
    assert!(matches!(held(&looking, 1), Some(Held::Unknown { .. })));
    assert!(matches!(held(&looking, 2), Some(Held::Unknown { .. })));
    assert_eq!(held(&looking, 3), None);
    let ledger = open(&path);
    assert_eq!((count(&path, "holds = 1"), count(&path, "holds = 2")), (3, 0));
    let recorder = Recorder::start(ledger).expect("a thread");
    assert_eq!(intend_all(&recorder, 0..4).await.len(), 1, "only the fourth is held by nobody");
}

#[test]
fn two_holds_of_one_user_that_no_run_would_leave_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let insert = "INSERT INTO attempt (portal, kind, subject, run, began_at, state, holds, counted) \
                  VALUES (1, 0, x'01010101010101010101010101010101', 1, 0, 'intent', 2, 1)";
    let ledger = open(&path);
    ledger.connection.execute(insert, []).expect("the first");
    ledger.connection.execute(insert, []).expect("the second");
    drop(ledger);
    let lock = Lock::try_acquire(&path, "a test", at(0)).expect("a lock").expect("free");
    for _ in 0..2 {
        let refused = Ledger::open(&lock, true).map(drop).expect_err("refused");
        assert!(matches!(refused, LedgerError::Damaged { what, .. } if what.contains("two")), "{refused}");
    }
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
        book::schema::STEPS[0]
    ))
    .expect("filled");
    drop(old);
    let looked = |mut ledger: Ledger| {
        ledger.look_at(&origin("https://p.example"), &[]).expect("turned");
        let held = |subject| held(&ledger, Mail::Congratulation, subject).expect("looked up");
        (matches!(held(ANN), Some(Held::Sent { .. })), held(BEN))
    };
    assert_eq!(looked(Ledger::look(&path).expect("looked at, as it is")), (true, None));
    assert_eq!(looked(open(&path)), (true, None));
    let version: i64 =
        Connection::open(&path).and_then(|db| db.query_row("PRAGMA user_version", [], |row| row.get(0))).expect("read");
    assert_eq!(version, 4);
    assert_eq!(count(&path, "holds = 1"), 1);
}

#[tokio::test]
async fn who_is_held_is_asked_of_all_at_once_and_told_by_position() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let recorder = Recorder::start(open(&path)).expect("a thread");
    for attempt in intend_all(&recorder, 0..1000).await.into_iter().skip(500) {
        recorder.conclude(attempt, Ending::Sent, Some(200));
    }
    let (ledger, finished) = recorder.finish().await;
    finished.expect("written");
    // Some of this run stand in the index, and some are known by heart.
    let recorder = Recorder::start(ledger.expect("given back")).expect("a thread");
    intend_all(&recorder, 1000..1010).await;
    let mut looking = Ledger::look(&path).expect("looked at");
    looking.look_at(&origin("https://p.example"), &[]).expect("turned");
    let subjects = (0..2000_u128).rev().map(u128::to_be_bytes);
    let mut found = Vec::new();
    looking.held(Mail::Congratulation, subjects, |position, held| found.push((position, held))).expect("asked");
    assert_eq!(found.iter().map(|(position, _)| *position).collect::<Vec<_>>(), (990..2000).collect::<Vec<_>>());
    let runs: Vec<_> = found
        .iter()
        .map(|(position, held)| match held {
            Held::Sent { run, .. } => {
                assert!((1000..1500).contains(position), "{position}");
                run
            }
            Held::Unknown { run, why, .. } => {
                assert_eq!(why, "it is on its way");
                run
            }
        })
        .collect();
    assert!(runs.iter().all(|run| std::sync::Arc::ptr_eq(run, runs[0])), "one text for one run");
}

#[tokio::test]
async fn who_is_known_elsewhere_is_found_by_address_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let email = |number| EmailDigest([number; 16]);
    let with_email = |subject, number| Intent { email: Some(email(number)), ..intent(subject) };
    let ledger = open(&folder.path().join("ledger.db"));
    let (ledger, _) = record_as(ledger, with_email(ANN, 7), Some(Ending::Sent)).await;
    let no_effect = Ending::NoEffect { counted: false, why: "429".into() };
    let (mut ledger, _) = record_as(ledger, with_email(BEN, 8), Some(no_effect)).await;
    let found = |ledger: &Ledger, mail, emails: &[u8]| {
        let emails = emails.iter().copied().map(email);
        ledger.elsewhere(mail, iter::empty(), emails).expect("asked").map(|found| (found.whom, found.position))
    };
    let ann = Some((Whom::Email(email(7)), 1));
    assert_eq!(found(&ledger, Mail::Congratulation, &[9, 7]), None, "this portal's own");
    ledger.turn_to(&origin("https://new.example"), &[]).expect("turned");
    assert_eq!(found(&ledger, Mail::Congratulation, &[9, 7]), ann);
    assert_eq!(found(&ledger, Mail::Congratulation, &[8, 9]), None, "nothing holds him");
    assert_eq!(found(&ledger, Mail::Invitation, &[7]), None, "another kind of mail");
    ledger.turn_to(&origin("https://new.example"), &[origin("https://p.example")]).expect("turned");
    assert_eq!(found(&ledger, Mail::Congratulation, &[9, 7]), None);
}

#[tokio::test]
async fn an_address_names_what_is_undecided_of_either_mail() {
    let folder = tempfile::tempdir().expect("a folder");
    let email = EmailDigest([7; 16]);
    let lost = || Some(Ending::Unknown { why: "lost".into() });
    let ledger = open(&folder.path().join("ledger.db"));
    let (ledger, _) = record_as(ledger, Intent { email: Some(email), ..intent(ANN) }, Some(Ending::Sent)).await;
    let invitation =
        Intent { mail: Mail::Invitation, subject: email.0, email: Some(email), let_go: LetGo::default(), row: None };
    let (mut ledger, _) = record_as(ledger, invitation, lost()).await;
    let named = |mail, subject, is_unknown| Named { mail, subject, is_unknown };
    let found = ledger.named_by(email).expect("asked");
    assert_eq!(found, [named(Mail::Congratulation, ANN, false), named(Mail::Invitation, email.0, true)]);
    let settled = ledger.settle(Mail::Invitation, email.0, true, "ben", None).expect("settled");
    assert_eq!(settled, Settlement::Done);
    assert!(matches!(held(&ledger, Mail::Invitation, email.0), Ok(Some(Held::Sent { .. }))));
    let mails = |story: Vec<AttemptRecord>| story.iter().map(|one| one.mail).collect::<Vec<_>>();
    let both = ["congratulation", "invitation"];
    assert_eq!(mails(ledger.story_by_email(email).expect("a story")), both);
    assert_eq!(mails(ledger.story(UserId::from_bytes(ANN)).expect("a story")), both);
    assert_eq!(ledger.users().expect("users").iter().map(|one| one.mail).collect::<Vec<_>>(), both);
}

#[tokio::test]
async fn a_record_bears_the_time_at_which_it_was_handed_in() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let ledger = open(&path);
    let clock = ledger.clock().clone();
    let recorder = Recorder::start(ledger).expect("a thread");
    // While somebody else writes, everything waits, and time goes on.
    let other = Connection::open(&path).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("begun");
    clock.set(at(10));
    let intended = recorder.intend(vec![intent(ANN)]);
    clock.advance(Duration::from_secs(600));
    other.execute_batch("ROLLBACK").expect("ended");
    assert!(matches!(intended.await.expect("recorded").as_slice(), [Intended::Open(_)]));
    let ledger = recorder.finish().await.0.expect("given back");
    assert!(
        matches!(held(&ledger, Mail::Congratulation, ANN), Ok(Some(Held::Unknown { at: when, .. })) if when == at(10))
    );
    assert_eq!(ledger.used(None, Duration::ZERO).expect("asked").frees_in, Some(Duration::from_secs(86_400 - 600)));
}

#[tokio::test]
async fn a_decision_is_kept_with_who_when_and_why_and_the_row_that_it_was_about() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = open(&folder.path().join("ledger.db"));
    let of_row = Intent { row: Some(12), ..intent(ANN) };
    let (mut ledger, _) = record_as(ledger, of_row, Some(Ending::Unknown { why: "lost".into() })).await;
    let undecided = ledger.undecided().expect("listed");
    assert_eq!(undecided.len(), 1);
    assert_eq!((undecided[0].row, undecided[0].roster.as_str()), (Some(12), "users.csv"));
    assert_eq!((undecided[0].who.as_str(), undecided[0].ended_at), ("anna@host", Some(at(2))));
    when(&mut ledger, at(9)).settle(Mail::Congratulation, ANN, true, "ben", Some("asked her")).expect("settled");
    assert!(ledger.undecided().expect("listed").is_empty());
    let story = ledger.story(UserId::from_bytes(ANN)).expect("a story");
    assert_eq!((story[0].decided_by.as_deref(), story[0].decision_reason.as_deref()), (Some("ben"), Some("asked her")));
    assert_eq!(story[0].decided_at, Some(at(9)));
    // What it is as the lines of a log says the same.
    let lines = ledger.as_lines(2).expect("lines").concat();
    let row = lines.iter().find_map(|line| if let log::Line::Intent { row, .. } = line { Some(*row) } else { None });
    assert_eq!(row, Some(Some(12)));
    assert!(lines.iter().any(|line| matches!(line, log::Line::Decided { why: Some(why), .. } if why == "asked her")));
}

#[tokio::test]
async fn where_many_stand_is_asked_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let (ledger, _) = record(open(&path), ANN, Some(Ending::Unknown { why: "lost".into() })).await;
    let no_effect = |why: &str| Ending::NoEffect { counted: false, why: why.into() };
    let (ledger, _) = record(ledger, BEN, Some(no_effect("429"))).await;
    let (mut ledger, _) = record(ledger, BEN, Some(no_effect("503"))).await;
    let asked = |ledger: &Ledger| ledger.standings(Mail::Congratulation, &[ANN, BEN, [3; 16]]).expect("asked");
    let stand = asked(&ledger);
    assert_eq!(stand.len(), 2);
    assert!(stand[&ANN].is_open() && stand[&ANN].at == at(2));
    assert_eq!((stand[&BEN].state.as_str(), stand[&BEN].holds), ("no_effect", false));
    assert!(stand[&BEN].attempt.number() > stand[&ANN].attempt.number() + 1, "the last one");
    assert!(ledger.standings(Mail::Invitation, &[ANN]).expect("asked").is_empty());
    let decided = Decided { attempt: stand[&ANN].attempt, was_sent: false };
    ledger.decide(&[decided], "ben", None).expect("decided");
    let ann = &asked(&ledger)[&ANN];
    assert!(!ann.is_open());
    assert_eq!(ann.decision.as_ref().map(|(what, by, _)| (what.as_str(), by.as_str())), Some(("not sent", "ben")));
    ledger.look_at(&origin("https://other.example"), &[]).expect("turned");
    assert!(asked(&ledger).is_empty(), "of another portal");
}

#[test]
fn whoever_only_looks_asks_a_ledger_of_any_version_in_the_same_words() {
    for version in 1..=3_usize {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ledger.db");
        let old = Connection::open(&path).expect("made");
        let steps = book::schema::STEPS[..version].concat();
        old.execute_batch(&format!(
            "{steps} PRAGMA application_id = 0x6f6e6264; PRAGMA user_version = {version};
             INSERT INTO portal VALUES (1, 'https://p.example');
             INSERT INTO run (id, uuid, portal, account, command, roster, roster_hash, rows, who, started_at)
                VALUES (1, 'one', 1, x'07', 'run', 'users.csv', x'00', 2, 'anna@host', 0);
             INSERT INTO attempt (portal, kind, subject, run, began_at, state, holds, counted)
                VALUES (1, 0, x'01010101010101010101010101010101', 1, 0, 'sent', 1, 1),
                       (1, 0, x'02020202020202020202020202020202', 1, 0, 'unknown', 1, 1);"
        ))
        .expect("filled");
        drop(old);
        let before = fs::read(&path).expect("read");
        let mut ledger = Ledger::look(&path).expect("looked at");
        ledger.look_at(&origin("https://p.example"), &[]).expect("turned");
        let undecided = ledger.undecided().expect("listed");
        assert_eq!((undecided.len(), undecided[0].row), (1, None), "{version}");
        assert_eq!(ledger.runs().expect("runs")[0].seal, None);
        assert_eq!(ledger.users().expect("users").len(), 2);
        assert_eq!(ledger.story(UserId::from_bytes(BEN)).expect("a story").len(), 1);
        assert_eq!(ledger.attempts_of("one").expect("attempts").len(), 2);
        let overview = ledger.overview().expect("figures");
        assert_eq!((overview.standing, overview.sent, overview.undecided), (None, 1, 1), "{version}");
        assert_eq!(ledger.seal().expect("where it stands").number, 0);
        assert!(ledger.holding_session().expect("asked").is_none());
        assert_eq!(ledger.standings(Mail::Congratulation, &[ANN, BEN]).expect("asked").len(), 2);
        drop(ledger);
        assert_eq!(fs::read(&path).expect("read"), before, "untouched");
    }
}
