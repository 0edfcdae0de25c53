//! House rules that no type can hold: what is absent where, and which way the arrows between modules point.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

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
    found.sort();
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
    let root = src().join(place);
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
    let pure = ["workflow", "pace", "plan", "mail", "letter", "help"];
    let values = ["outcome.rs", "reason.rs", "attempt.rs", "user.rs", "display.rs"];
    for place in pure.into_iter().chain(values) {
        absent(place, &io);
    }
    for file in ["brake", "fault", "letter", "offers", "opening", "reply", "transaction"] {
        absent(&format!("smtp/{file}.rs"), &io);
    }
}

#[test]
fn the_core_knows_no_terminal_no_environment_and_no_flag() {
    let outside = ["env::var", "is_terminal", "crate::terminal", "crate::cli", "clap::"];
    for place in ["run", "workflow", "plan", "mail", "letter", "help", "ledger", "results", "report"] {
        absent(place, &outside);
    }
}

#[test]
fn what_is_wrapped_has_its_home() {
    let homes: [(&str, &[&str]); 8] = [
        ("governor::", &["pace/spread.rs"]),
        ("console::", &["terminal"]),
        ("indicatif::", &["terminal/progress.rs"]),
        ("rusqlite::", &["ledger"]),
        // A mail's Markdown and a page's have nothing in common but the language.
        ("pulldown_cmark::", &["letter/markdown.rs", "help/page.rs"]),
        ("clap::", &["cli"]),
        ("clap_complete::", &["cli"]),
        ("clap_mangen::", &["cli"]),
    ];
    for (word, homes) in homes {
        for file in sources(&src()) {
            let at_home = file.strip_prefix(src()).is_ok_and(|path| homes.iter().any(|home| path.starts_with(home)));
            assert!(at_home || !code(&file).contains(word), "{} uses {word}", file.display());
        }
    }
}

/// Which unit (a folder or a single file of `src`) may use which.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "command",
        &[
            "access",
            "attempt",
            "cli",
            "code",
            "display",
            "environment",
            "exit",
            "file",
            "files",
            "help",
            "inquiry",
            "ledger",
            "mail",
            "notify",
            "origin",
            "outcome",
            "place",
            "plan",
            "portal",
            "report",
            "roster",
            "run",
            "sandbox",
            "secret",
            "settings",
            "sheet",
            "signals",
            "smtp",
            "split",
            "terminal",
            "user",
            "who",
        ],
    ),
    (
        "cli",
        &[
            "attempt",
            "display",
            "environment",
            "file",
            "help",
            "home",
            "notify",
            "origin",
            "outcome",
            "pace",
            "place",
            "roster",
            "sandbox",
            "secret",
            "settings",
            "smtp",
            "split",
            "terminal",
            "user",
        ],
    ),
    (
        "run",
        &[
            "access",
            "attempt",
            "audience",
            "code",
            "display",
            "environment",
            "exit",
            "file",
            "ledger",
            "letter",
            "mail",
            "origin",
            "outcome",
            "pace",
            "place",
            "plan",
            "portal",
            "reason",
            "report",
            "results",
            "roster",
            "sandbox",
            "seal",
            "secret",
            "settings",
            "signals",
            "signing",
            "smtp",
            "split",
            "user",
            "who",
            "workflow",
        ],
    ),
    ("report", &["attempt", "code", "display", "exit", "mail", "outcome", "roster", "seal", "sheet"]),
    ("results", &["attempt", "display", "file", "mail", "outcome", "roster", "sheet"]),
    ("split", &["display", "file", "origin", "roster"]),
    (
        "notify",
        &["access", "display", "environment", "http", "origin", "portal", "secret", "signals", "smtp", "trust", "user"],
    ),
    ("inquiry", &["pace", "portal"]),
    ("access", &["display", "origin", "portal", "secret", "settings"]),
    ("settings", &["attempt", "environment", "file", "origin", "outcome", "pace", "roster", "smtp"]),
    (
        "workflow",
        &["attempt", "code", "letter", "mail", "outcome", "pace", "plan", "portal", "reason", "roster", "smtp", "user"],
    ),
    ("plan", &["attempt", "display", "mail", "outcome", "pace", "portal", "reason", "roster", "user"]),
    ("pace", &["display"]),
    ("mail", &["attempt", "outcome", "portal", "reason", "user"]),
    ("smtp", &["display", "environment", "lease", "pace", "portal", "secret", "trust", "user"]),
    ("portal", &["display", "http", "lease", "origin", "pace", "secret", "trust", "user"]),
    (
        "ledger",
        &[
            "attempt",
            "display",
            "environment",
            "file",
            "home",
            "http",
            "lease",
            "origin",
            "pace",
            "place",
            "seal",
            "secret",
            "trust",
            "user",
        ],
    ),
    ("letter", &["display", "roster", "sheet", "user"]),
    ("sandbox", &["roster", "user"]),
    ("roster", &["display", "outcome", "sheet", "user"]),
    ("terminal", &["audience", "display"]),
    ("files", &["display", "file", "sheet"]),
    ("http", &[]),
    ("trust", &["display", "file"]),
    ("file", &["display"]),
    ("secret", &["display", "file"]),
    ("signing", &["secret", "user"]),
    ("outcome", &["code", "reason", "user"]),
    ("reason", &["attempt", "code", "display", "user"]),
    ("origin", &["display"]),
    ("home", &["display"]),
    ("place", &["display", "home", "origin"]),
];

/// The units in their order, from the top: the list in `lib.rs`, under "The order".
fn order() -> Vec<String> {
    let text = fs::read_to_string(src().join("lib.rs")).expect("read");
    let list = text.split("# The order").nth(1).and_then(|rest| rest.split("```").nth(1)).expect("a list");
    list.lines()
        .skip(1)
        .filter_map(|line| line.strip_prefix("//!")?.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn units_use_only_what_the_table_allows() {
    let used: BTreeSet<(String, String)> =
        Code::read().unit_arrows().into_iter().map(|(from, to)| (from.to_string(), to.to_string())).collect();
    let allowed: BTreeSet<(String, String)> =
        ALLOWED.iter().flat_map(|(from, all)| all.iter().map(|to| ((*from).to_owned(), (*to).to_owned()))).collect();
    let wrong: Vec<_> = used.difference(&allowed).collect();
    assert!(wrong.is_empty(), "these arrows are not in the table: {wrong:?}");
    let unused: Vec<_> = allowed.difference(&used).collect();
    assert!(unused.is_empty(), "these arrows of the table are nobody's: {unused:?}");
}

#[test]
fn the_order_names_every_unit_and_every_arrow_points_down_it() {
    let code = Code::read();
    let order = order();
    let units: BTreeSet<&str> =
        (0..code.files.len()).map(|file| code.unit(file)).filter(|unit| !unit.is_empty()).collect();
    assert_eq!(order.iter().map(String::as_str).collect::<BTreeSet<_>>(), units);
    assert_eq!(order.len(), units.len(), "each unit stands in the list once");
    let place = |unit: &str| order.iter().position(|other| other == unit);
    for (from, tos) in ALLOWED {
        for to in *tos {
            assert!(place(from) < place(to), "{from} uses {to}, which stands above it");
        }
    }
}

#[test]
fn no_files_import_each_other_by_whatever_way_round() {
    assert_eq!(Code::read().circles(), Vec::<String>::new());
}

// ---- which file uses which ----

/// A path as it is written, from the crate's root: `["ledger", "Recorder"]`.
type Name = Vec<String>;

struct Source {
    /// Below `src`.
    path: String,
    /// Its module, from the crate's root.
    module: Name,
    /// What it names.
    names: Vec<Name>,
    /// What it lends the names of: the name here, and the name that it stands for.
    lent: BTreeMap<String, Name>,
}

/// Every file but those of tests, with the names that it uses.
///
/// A file uses the one that *defines* what it names: a name that `mod.rs` only passes on (`pub use`) is its child's, and
/// neither `mod child;` nor passing on makes an arrow. So a parent and its child are looked at like any two files.
struct Code {
    files: Vec<Source>,
    by_module: BTreeMap<Name, usize>,
}

impl Code {
    fn read() -> Self {
        let mut files = Vec::new();
        for path in sources(&src()) {
            let path = path.strip_prefix(src()).expect("below src").to_string_lossy().into_owned();
            let module: Name = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            if path == "main.rs" || module.iter().any(|part| part == "tests") {
                continue;
            }
            let module: Name = module.into_iter().filter(|part| part != "mod" && part != "lib").collect();
            files.push(Source { path, module, names: Vec::new(), lent: BTreeMap::new() });
        }
        let by_module: BTreeMap<Name, usize> =
            files.iter().enumerate().map(|(number, file)| (file.module.clone(), number)).collect();
        for file in &mut files {
            let text = without_strings(&code(&src().join(&file.path)));
            for (lends, name) in names(&text, &file.module, &by_module) {
                match name.last() {
                    Some(last) if lends => drop(file.lent.insert(last.clone(), name)),
                    _ => file.names.push(name),
                }
            }
        }
        Self { files, by_module }
    }

    /// The top-level folder or file; nothing for `lib.rs`.
    fn unit(&self, file: usize) -> &str {
        self.files[file].module.first().map_or("", String::as_str)
    }

    /// The file that defines what this names.
    fn home(&self, name: &[String]) -> usize {
        let known = (0..=name.len()).rev().find_map(|length| Some((length, *self.by_module.get(&name[..length])?)));
        let (length, file) = known.expect("lib.rs at least");
        match name.get(length).and_then(|next| self.files[file].lent.get(next)) {
            Some(lent) => self.home(&[lent, &name[length + 1..]].concat()),
            None => file,
        }
    }

    fn arrows(&self) -> BTreeSet<(usize, usize)> {
        let mut arrows = BTreeSet::new();
        for (from, file) in self.files.iter().enumerate() {
            arrows.extend(file.names.iter().map(|name| (from, self.home(name))).filter(|(from, to)| from != to));
        }
        arrows
    }

    /// Which unit uses which. The version in `lib.rs` is everybody's.
    fn unit_arrows(&self) -> BTreeSet<(&str, &str)> {
        let units = self.arrows().into_iter().map(|(from, to)| (self.unit(from), self.unit(to)));
        units.filter(|(from, to)| from != to && !from.is_empty() && !to.is_empty()).collect()
    }

    /// Files that reach each other, each group in one text.
    fn circles(&self) -> Vec<String> {
        let arrows = self.arrows();
        let reach = |start: usize| {
            let mut reached = BTreeSet::new();
            let mut open = vec![start];
            while let Some(from) = open.pop() {
                open.extend(
                    arrows.iter().filter(|arrow| arrow.0 == from && reached.insert(arrow.1)).map(|arrow| arrow.1),
                );
            }
            reached
        };
        let reached: Vec<BTreeSet<usize>> = (0..self.files.len()).map(reach).collect();
        let mut groups = BTreeSet::new();
        for (file, others) in reached.iter().enumerate() {
            if others.contains(&file) {
                let group = others.iter().filter(|other| reached[**other].contains(&file));
                groups.insert(group.map(|other| self.files[*other].path.as_str()).collect::<Vec<_>>().join(" "));
            }
        }
        groups.into_iter().collect()
    }
}

fn without_strings(text: &str) -> String {
    let string = regex::Regex::new(r#"(?s)"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)'"#).expect("a pattern");
    string.replace_all(text, "\"\"").into_owned()
}

/// Every name of ours in a text, from the crate's root, and whether it is passed on (`pub use`) there.
fn names(text: &str, module: &Name, modules: &BTreeMap<Name, usize>) -> Vec<(bool, Name)> {
    let start = regex::Regex::new(r"(^|[^:\w])(crate|self|super|[a-z_0-9]+)::").expect("a pattern");
    let (mut found, mut read_to) = (Vec::new(), 0);
    for start in start.captures_iter(text) {
        let (whole, word) = (start.get(0).expect("whole"), start.get(2).expect("a word"));
        // Inside a list that was read whole, such as `use self::{child::Name}`.
        if word.start() < read_to {
            continue;
        }
        let base = match word.as_str() {
            "crate" => Vec::new(),
            "self" => module.clone(),
            "super" => module[..module.len() - 1].to_vec(),
            child => {
                let child = [module.as_slice(), &[child.to_owned()]].concat();
                if !modules.contains_key(&child) {
                    continue;
                }
                child
            }
        };
        let statement = text[..word.start()].rsplit([';', '}', ')']).next().unwrap_or_default();
        let lends = text[..word.start()].trim_end().ends_with("use")
            && (statement.contains("pub use") || text[..word.start()].trim_end().ends_with("pub(crate) use"));
        let mut rest = &text[whole.end()..];
        let mut names = Vec::new();
        tree(&mut rest, &base, &mut names);
        read_to = text.len() - rest.len();
        found.extend(names.into_iter().map(|name| (lends, name)));
    }
    found
}

/// Reads what may follow `::`: a name, names in braces, or a path to them.
fn tree(rest: &mut &str, base: &[String], found: &mut Vec<Name>) {
    *rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        *rest = inside;
        loop {
            *rest = rest.trim_start().trim_start_matches(',').trim_start();
            if let Some(after) = rest.strip_prefix('}') {
                *rest = after;
                return;
            }
            let before = rest.len();
            tree(rest, base, found);
            assert!(rest.len() < before, "this is no list of names: {}", &rest[..rest.len().min(40)]);
        }
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    let name = match word {
        "self" | "" => base.to_vec(),
        "super" => base[..base.len().saturating_sub(1)].to_vec(),
        word => [base, &[word.to_owned()]].concat(),
    };
    match rest.strip_prefix("::") {
        Some(after) => {
            *rest = after;
            tree(rest, &name, found);
        }
        None => found.push(name),
    }
}
