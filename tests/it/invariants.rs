//! House rules that no type can hold: what is absent where.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The code of a file, without its tests and comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("read");
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn absent(place: &str, words: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(place);
    let files = if root.is_dir() { sources(&root) } else { vec![root] };
    assert!(!files.is_empty());
    for file in files {
        let code = code(&file);
        for word in words {
            assert!(!code.contains(word), "{} has no business with {word}", file.display());
        }
    }
}

#[test]
fn decisions_know_no_file_socket_clock_or_task() {
    let io = [
        "tokio",
        "reqwest",
        "std::fs",
        "std::net",
        "Instant::now",
        "SystemTime",
        "async ",
        ".await",
        "rusqlite",
        "thread::",
    ];
    for place in ["workflow", "pace", "plan.rs", "outcome.rs", "user.rs", "display.rs"] {
        absent(place, &io);
    }
}

#[test]
fn each_module_knows_only_what_is_below_it() {
    absent("portal", &["crate::workflow", "crate::ledger", "crate::run", "crate::roster", "crate::results"]);
    absent("workflow", &["crate::ledger", "crate::run", "crate::results", "crate::cli", "crate::report"]);
    absent("pace", &["crate::portal", "crate::workflow", "crate::ledger", "crate::roster"]);
    absent("ledger", &["crate::portal", "crate::workflow", "crate::run", "crate::roster"]);
    absent("roster", &["crate::portal", "crate::workflow", "crate::ledger", "crate::run", "crate::cli"]);
    absent("sandbox", &["crate::portal", "crate::workflow", "crate::ledger", "crate::signing"]);
}

#[test]
fn what_is_wrapped_has_one_home() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (word, home) in [("governor::", "pace/spread.rs"), ("console::", "progress.rs"), ("rusqlite::", "ledger")] {
        for file in sources(&root) {
            let at_home = file.strip_prefix(&root).is_ok_and(|path| path.starts_with(home));
            assert!(at_home || !code(&file).contains(word), "{} uses {word}", file.display());
        }
    }
}
