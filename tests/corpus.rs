//! The fuzz targets without a fuzzer: the kept corpus, and seeded mutations of it. Whatever was once found stays in the
//! corpus, by `cargo fuzz` (`tests/fuzz`) or by a person.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so by failing")]

#[path = "fuzz/targets.rs"]
pub mod targets;

use std::{
    collections::BTreeSet,
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// The largest mutation, in bytes: debug builds are slow.
const LARGEST: usize = 4096;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

fn files(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = corpus().join(target);
    let entries = fs::read_dir(&folder).expect("each target has a corpus");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("a file"))).collect()
}

/// Cuts, doublings, splices, and bytes changed one by one.
fn mutated(files: &[(PathBuf, Vec<u8>)], random: &mut StdRng) -> Vec<u8> {
    let any = |random: &mut StdRng| files.get(random.random_range(0..files.len())).map(|(_, bytes)| bytes.clone());
    let mut bytes = any(random).unwrap_or_default();
    for _ in 0..random.random_range(1..5) {
        let from = random.random_range(0..=bytes.len());
        let upto = random.random_range(from..=bytes.len()).min(from + 64);
        match random.random_range(0..6) {
            0 => bytes.truncate(from),
            1 => drop(bytes.drain(from..upto)),
            2 => {
                let piece: Vec<u8> = bytes.get(from..upto).unwrap_or_default().to_vec();
                bytes.splice(upto..upto, piece);
            }
            3 => {
                let other = any(random).unwrap_or_default();
                let start = random.random_range(0..=other.len());
                bytes.splice(from.., other.into_iter().skip(start));
            }
            4 => bytes.insert(from, random.random()),
            _ => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte ^= 1 << random.random_range(0..8);
                }
            }
        }
    }
    bytes.truncate(LARGEST);
    bytes
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let folders = fs::read_dir(corpus()).expect("a corpus").map(|entry| entry.expect("an entry").file_name());
    let folders: BTreeSet<String> = folders.map(|name| name.to_string_lossy().into_owned()).collect();
    let targets: BTreeSet<String> = targets::TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(folders, targets);
    for target in targets {
        let path = format!("tests/fuzz/fuzz_targets/{target}.rs");
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a program");
        assert!(text.contains(&format!("targets::{target}(")), "{target}");
    }
}

/// Feeds a target its corpus, then so many mutations of it.
fn feed(name: &str, mutations: u64) {
    let (_, target) = targets::TARGETS.iter().find(|(other, _)| *other == name).expect("a target");
    let files = files(name);
    let holds = |bytes: &[u8]| panic::catch_unwind(AssertUnwindSafe(|| target(bytes))).is_ok();
    for (path, bytes) in &files {
        assert!(holds(bytes), "{name} does not hold for {}", path.display());
    }
    for seed in 0..mutations {
        let bytes = mutated(&files, &mut StdRng::seed_from_u64(seed));
        if !holds(&bytes) {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{seed}"));
            fs::write(&kept, &bytes).expect("written");
            let kept = kept.display();
            panic!("{name} does not hold for seed {seed}; copy {kept} into tests/fuzz/corpus/{name} to keep it");
        }
    }
}

macro_rules! each {
    ($($target:ident: $mutations:literal)*) => {
        $(#[test] fn $target() { feed(stringify!($target), $mutations); })*
    };
}

// Those that write files, or set up the whole command line, get fewer.
each! {
    address: 5000
    display: 5000
    envelope: 5000
    header: 2000
    headers: 5000
    ledger: 400
    letter: 2000
    results: 1000
    roster: 1500
    settings: 500
    workbook: 600
}
