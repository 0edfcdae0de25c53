//! What is wrong with a message file, and where.

use std::fmt;

use super::envelope::{NotASender, NotASubject};
use crate::display::Shown;

/// The largest message file that is taken, in bytes.
pub const MAX_FILE: usize = 256 << 10;
/// The most placeholders of one text.
pub(super) const MOST: usize = 10_000;
/// So many quotes and lists can stand in each other.
pub(super) const DEEPEST: usize = 20;
/// The headers of a message, for people.
pub(super) const HEADERS: &str = "Subject, From, Reply-To and Language";

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// The file is larger than any message.
    #[error("the file is larger than {} KiB, so it is no message", MAX_FILE >> 10)]
    TooLarge,
    /// It is no UTF-8.
    #[error("the file is not UTF-8 (the first such byte is {byte:#04x}); save it as UTF-8")]
    NotUtf8 {
        /// The first byte that is wrong.
        byte: u8,
    },
    /// A character that has no business in a mail.
    #[error("the character U+{:04X} cannot stand in a message; remove it", u32::from(*.0))]
    Character(char),
    /// There is no header at the beginning.
    #[error(
        "this is no header; a message begins with headers, one a line, like `Subject: Welcome`, then an empty line, then \
         the text in Markdown"
    )]
    NoHeader,
    /// A page's front matter.
    #[error("a message begins with its headers at once; remove the line `---`")]
    FrontMatter,
    /// A header that goes on on the next line.
    #[error("a header is one line; put this at the end of the line above")]
    Folded,
    /// Another header than those that are known.
    #[error("there is no header `{name}` in a message; there are {HEADERS}{}", meant(*.near))]
    UnknownHeader {
        /// As it was written.
        name: String,
        /// What was probably meant.
        near: Option<&'static str>,
    },
    /// A header that would say to whom the mail goes.
    #[error("a message has no header `{0}`: it goes to each person of the roster, at the address that the portal has")]
    Recipients(String),
    /// A header stands there twice.
    #[error("there are two headers `{0}`; remove one")]
    Twice(&'static str),
    /// A needed header is missing.
    #[error("the header `Subject` is missing; add a line like `Subject: Welcome to our portal` at the top")]
    NoSubject,
    /// The subject cannot be one.
    #[error(transparent)]
    Subject(#[from] NotASubject),
    /// A sender cannot be one.
    #[error("{header}: {fault}")]
    Sender {
        /// Which header.
        header: &'static str,
        /// Why.
        fault: NotASender,
    },
    /// A language cannot be one.
    #[error("Language: {0}")]
    Language(String),
    /// A placeholder where none may be.
    #[error("`{0}` is the same for everybody; no placeholder is filled in there")]
    PlaceholderInHeader(&'static str),
    /// Nothing stands below the headers.
    #[error("the message has no text; write it below the headers, after an empty line")]
    NoText,
    /// `{{` without `}}` on its line.
    #[error("`{{{{` begins a placeholder, and no `}}}}` ends it on this line")]
    Open,
    /// A template's statement.
    #[error(
        "`{{%` begins a statement of a template, and a message has none; only names like `{{{{ name }}}}` are filled in"
    )]
    Statement,
    /// More than a name between the braces.
    #[error("`{0}` is more than a name; only names are filled in, like `{{{{ name }}}}`: no filters, no conditions")]
    NotAName(String),
    /// A name that nothing stands for.
    #[error("nothing is known as `{name}`{}; there are {known}", meant(.near.as_deref()))]
    Unknown {
        /// As it was written.
        name: String,
        /// What was probably meant.
        near: Option<String>,
        /// All that there are.
        known: String,
    },
    /// The key of a row.
    #[error("a message cannot hold `{0}`: a congratulation key is a secret between the portal and whoever runs this")]
    Key(String),
    /// A name that stands for more than one column.
    #[error("`{name}` may be the roster's column `{first}` or `{second}`; rename one of them")]
    Ambiguous {
        /// As it was written.
        name: String,
        /// One column.
        first: String,
        /// The other.
        second: String,
    },
    /// More placeholders than any message has.
    #[error("there are more than {} placeholders", MOST)]
    TooMany,
    /// The invitation link in the subject.
    #[error(
        "the invitation link cannot stand in the subject: whoever holds it can join, and subjects are kept in the logs of \
         mail servers"
    )]
    LinkInSubject,
    /// HTML in Markdown.
    #[error("a message is written in Markdown, without HTML; where `<` is meant as it is, write `\\<`")]
    Html,
    /// An image.
    #[error("a message has no images: most mail programs do not load them; link to it instead, without the `!`")]
    Image,
    /// A placeholder where Markdown shows nothing.
    #[error(
        "`{{{{ {0} }}}}` stands where nothing is shown, such as after the ``` of a code block; move it into the text"
    )]
    Unseen(String),
    /// Quotes and lists in each other, again and again.
    #[error("quotes and lists stand in each other more than {DEEPEST} deep")]
    TooDeep,
    /// A link that leads nowhere.
    #[error(
        "the link leads to `{0}`, which is no address that a mail can link to; give one that begins with https://, http:// \
         or mailto:, or {{{{ portal }}}}"
    )]
    Address(String),
    /// A value that could change where a link leads.
    #[error(
        "`{{{{ {0} }}}}` could change the machine that the link leads to; placeholders may stand after its host and a \
         `/`, as in https://example.com/{{{{ {0} }}}}, or be the whole beginning"
    )]
    Host(String),
}

fn meant(near: Option<&str>) -> String {
    near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default()
}

/// Where in a text something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The line, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong.
    pub what: What,
}

impl Trouble {
    /// About this line.
    pub(super) fn on(line: usize, what: What) -> Self {
        Self { line, what }
    }
}

/// A message file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageError {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 where it is about the whole file.
    pub line: usize,
    /// What is wrong.
    pub what: What,
}

impl MessageError {
    pub(super) fn new(file: &str, trouble: Trouble) -> Self {
        Self { file: Shown(file).to_string(), line: trouble.line, what: trouble.what }
    }
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.what),
            line => write!(f, "{}, line {line}: {}", self.file, self.what),
        }
    }
}

impl std::error::Error for MessageError {}
