//! Who runs this, for the record: the user's name and the machine's.

/// `anna@workstation`.
#[expect(clippy::disallowed_methods, reason = "the environment knows the user's name")]
pub fn who() -> String {
    let set = |name| std::env::var(name).ok().filter(|name| !name.is_empty());
    let name = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(set).unwrap_or_else(|| "somebody".to_owned());
    match machine() {
        Some(machine) => format!("{name}@{machine}"),
        None => name,
    }
}

#[cfg(unix)]
fn machine() -> Option<String> {
    let system = rustix::system::uname();
    system.nodename().to_str().ok().filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "the environment knows the machine's name")]
fn machine() -> Option<String> {
    std::env::var("COMPUTERNAME").ok()
}
