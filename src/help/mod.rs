//! What `onboard help TOPIC` shows: a page of Markdown for each subject that is larger than an option, read into
//! blocks and laid out for a terminal or as a manual page.

mod layout;
mod page;
mod roff;

pub use self::layout::Look;
use self::page::Page;

/// A subject that has a page of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// What is typed.
    pub name: &'static str,
    /// Its page, in Markdown. The first line is its title.
    pub text: &'static str,
}

/// All of them, in the order in which they are listed.
pub const TOPICS: [Topic; 8] = [
    Topic { name: "ci", text: include_str!("ci.md") },
    Topic { name: "shared-ledger", text: include_str!("shared-ledger.md") },
    Topic { name: "self-hosted", text: include_str!("self-hosted.md") },
    Topic { name: "cloud", text: include_str!("cloud.md") },
    Topic { name: "own-message", text: include_str!("own-message.md") },
    Topic { name: "many-portals", text: include_str!("many-portals.md") },
    Topic { name: "when-nobody-knows", text: include_str!("when-nobody-knows.md") },
    Topic { name: "limits", text: include_str!("limits.md") },
];

impl Topic {
    /// The one of this name, in whatever case.
    pub fn named(name: &str) -> Option<&'static Self> {
        TOPICS.iter().find(|topic| topic.name.eq_ignore_ascii_case(name))
    }

    /// What it is about, in a line.
    pub fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches("# ")
    }

    /// Its page as a person reads it.
    pub fn shown(&self, look: Look) -> String {
        layout::laid_out(&Page::read(self.text), look)
    }

    /// Its page of the manual, section 7.
    pub fn manual(&self, version: &str) -> String {
        let others = TOPICS.iter().filter(|other| *other != self).map(|other| other.name);
        roff::manual((self.name, self.title()), &Page::read(self.text), others, version)
    }
}

/// The names of all topics, one after the other.
pub fn names() -> String {
    TOPICS.map(|topic| topic.name).join(", ")
}

/// The topics with their titles, a line each.
pub fn list() -> String {
    let width = TOPICS.iter().map(|topic| topic.name.len()).max().unwrap_or_default();
    TOPICS.map(|topic| format!("  {:<width$}  {}", topic.name, topic.title())).join("\n")
}

/// Those of these names that look like what was typed, the nearest first.
pub fn nearest<'n>(typed: &str, names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let typed = typed.to_lowercase();
    let mut near: Vec<(f64, &str)> =
        names.map(|name| (strsim::jaro_winkler(&typed, name), name)).filter(|(likeness, _)| *likeness > 0.75).collect();
    near.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    near.into_iter().map(|(_, name)| name).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_begins_with_its_title_and_goes_on_with_text() {
        for topic in TOPICS {
            assert!(topic.text.starts_with("# "), "{}", topic.name);
            assert!(topic.title().len() < 70, "{}", topic.title());
        }
    }

    #[test]
    fn what_was_mistyped_is_recognised() {
        let names = || TOPICS.iter().map(|topic| topic.name);
        assert_eq!(nearest("selfhosted", names()), ["self-hosted"]);
        assert_eq!(nearest("Limit", names()), ["limits"]);
        assert_eq!(nearest("shared", names()).first(), Some(&"shared-ledger"));
        assert_eq!(nearest("xyz", names()), [""; 0]);
    }
}
