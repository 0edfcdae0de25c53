//! Numbers and names of files that can be had on every system, and stay. Pure.

use std::net::IpAddr;

use crate::origin::Origin;

/// The longest name, in characters.
const LONGEST: usize = 40;
/// First parts of hosts that say nothing of whose portal it is.
const COMMON: [&str; 6] = ["www", "portal", "docspace", "docs", "office", "onlyoffice"];

/// How every file of a number begins.
pub(super) fn numbered(number: u32) -> String {
    format!("{number:04}-")
}

/// The file of a portal: `0007-acme.csv`. The number makes it unique, also where nobody tells case.
pub(super) fn file(number: u32, portal: &Origin) -> String {
    format!("{}{}.csv", numbered(number), name(portal))
}

/// What to call a portal: the part of its host that tells whose it is, and its port where it has one.
fn name(portal: &Origin) -> String {
    let (host, port) = portal.host_and_port();
    let labels: Vec<&str> = host.split('.').collect();
    let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let own = match labels.as_slice() {
        _ if is_address => host,
        [common, own, _, ..] if COMMON.contains(common) => own,
        [own, ..] => own,
        [] => host,
    };
    let text = port.map_or_else(|| own.to_owned(), |port| format!("{own}-{port}"));
    let mut name = String::new();
    for c in text.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(LONGEST);
    let name = name.trim_end_matches('-');
    if name.is_empty() { "portal".to_owned() } else { name.to_owned() }
}

/// What a file of this folder and all that is made of it begins with: `0007-acme` of `0007-acme.results.csv`.
pub(super) fn stem(file: &str) -> &str {
    file.split('.').next().unwrap_or(file)
}

/// Whether a name is one that [`file()`] may have given to this number.
pub(super) fn is_ours(file: &str, number: u32) -> bool {
    let name = file.strip_prefix(&numbered(number)).and_then(|rest| rest.strip_suffix(".csv"));
    name.is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    })
}

/// The next number, from this one on, that no other file of the folder has.
pub(super) fn free(mut number: u32, portal: &Origin, there: &[String]) -> u32 {
    let is_anothers = |number: u32| {
        let (begin, own) = (numbered(number), file(number, portal));
        there.iter().any(|other| {
            let other = other.to_lowercase();
            other.starts_with(&begin) && stem(&other) != stem(&own)
        })
    };
    while is_anothers(number) {
        number = number.saturating_add(1);
    }
    number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_called_as_its_portal() {
        let called = |text: &str| file(7, &text.parse().expect("an origin"));
        for (portal, name) in [
            ("https://acme.example.com", "0007-acme.csv"),
            ("https://portal.acme.example", "0007-acme.csv"),
            ("https://docspace.example", "0007-docspace.csv"),
            ("https://acme.example:8443", "0007-acme-8443.csv"),
            ("http://localhost:8080", "0007-localhost-8080.csv"),
            ("http://127.0.0.1:8080", "0007-127-0-0-1-8080.csv"),
            ("http://[::1]:8080", "0007-1-8080.csv"),
            ("http://[::1]", "0007-1.csv"),
            ("https://a_b.example", "0007-a-b.csv"),
            ("https://m\u{fc}ller.example", "0007-xn-mller-kva.csv"),
        ] {
            assert_eq!(called(portal), name, "{portal}");
        }
        assert_eq!(file(12_345, &"https://con.example".parse().expect("an origin")), "12345-con.csv");
        assert_eq!(stem("0007-acme.results.csv"), "0007-acme");
    }

    #[test]
    fn a_number_that_something_else_has_is_not_given() {
        let acme: Origin = "https://acme.example".parse().expect("an origin");
        let there = ["0001-Bolt.results.csv".to_owned(), "0002-acme.csv".to_owned(), "0003".to_owned()];
        assert_eq!(free(1, &acme, &there), 2);
        assert_eq!(free(3, &acme, &there), 3);
        assert_eq!(free(1, &acme, &[]), 1);
    }

    proptest! {
        #[test]
        fn every_name_is_one_of_ours(host in "[a-z0-9_-]{0,70}(\\.[a-z0-9]{1,9}){0,3}", port in 1_u16..) {
            if let Ok(portal) = format!("https://{host}:{port}").parse::<Origin>() {
                let file = file(3, &portal);
                prop_assert!(is_ours(&file, 3), "{}", file);
                prop_assert!(file.len() <= LONGEST + 9);
            }
        }
    }
}
