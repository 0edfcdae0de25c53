//! All messages of one mail: the default, and those in other languages.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Write as _},
};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    envelope::{MessageId, Recipient, Sender},
    field::Field,
    language::Language,
    post::{self, Post},
    template::Message,
    value::{Fault, Values},
};
use crate::display::Shown;

/// The messages of one mail, of which each person gets the one in their language.
#[derive(Debug, Clone)]
pub struct Messages {
    /// For everybody for whom no other is.
    default: Signed,
    others: Vec<(Language, Signed)>,
}

#[derive(Debug, Clone)]
struct Signed {
    letter: Message,
    sender: Sender,
}

/// What the messages need of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The user's culture: there are several languages. Costs one read a person.
    pub culture: bool,
    /// The invitation link. Whoever holds it can join.
    pub invite_link: bool,
    /// The name that the portal shows.
    pub portal_name: bool,
}

/// Why messages cannot be used together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetError {
    /// There is none.
    Empty,
    /// Nobody is known to send it.
    NoSender(String),
    /// Two have no language, or the same.
    Same {
        /// One file.
        first: String,
        /// The other.
        second: String,
        /// The language, where they have one.
        language: Option<Language>,
    },
    /// None is for everybody else.
    NoDefault,
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no message; name a file by --message"),
            Self::NoSender(file) => write!(
                f,
                "{file}: the header `From` is missing, and the mail server's user is no address; add a line like \
                 `From: IT Department <it@example.com>` at the top"
            ),
            Self::Same { first, second, language: Some(language) } => {
                write!(f, "{first} and {second} are both for the language {language}; leave one of them out")
            }
            Self::Same { first, second, language: None } => write!(
                f,
                "{first} and {second} both have no header `Language`; of several messages one is for everybody else, and \
                 the others say their language, like `Language: de`"
            ),
            Self::NoDefault => f.write_str(
                "each message has a header `Language`, so there is none for people of other languages; leave it out of the \
                 one that is for everybody else",
            ),
        }
    }
}

impl std::error::Error for SetError {}

impl Messages {
    /// Puts messages together; the sender is of those that name none.
    ///
    /// A single message is for everybody, whatever language it says. Of several one has none, and is for whoever is of no
    /// other's language.
    pub fn new(letters: Vec<Message>, sender: Option<&Sender>) -> Result<Self, SetError> {
        let is_single = letters.len() == 1;
        let mut default: Option<Signed> = None;
        let mut others: Vec<(Language, Signed)> = Vec::new();
        for letter in letters {
            let file = Shown(&letter.file).to_string();
            let sender = letter.sender.clone().or_else(|| sender.cloned());
            let sender = sender.ok_or_else(|| SetError::NoSender(file.clone()))?;
            let language = letter.language.clone();
            let earlier = match &language {
                Some(language) if !is_single => others.iter().find(|(other, _)| other == language).map(|(_, it)| it),
                Some(_) | None => default.as_ref(),
            };
            if let Some(earlier) = earlier {
                let first = Shown(&earlier.letter.file).to_string();
                return Err(SetError::Same { first, second: file, language });
            }
            match language {
                Some(language) if !is_single => others.push((language, Signed { letter, sender })),
                Some(_) | None => default = Some(Signed { letter, sender }),
            }
        }
        others.sort_by(|one, other| one.0.cmp(&other.0));
        let missing = if others.is_empty() { SetError::Empty } else { SetError::NoDefault };
        Ok(Self { default: default.ok_or(missing)?, others })
    }

    fn all(&self) -> impl Iterator<Item = &Message> {
        std::iter::once(&self.default).chain(self.others.iter().map(|(_, other)| other)).map(|signed| &signed.letter)
    }

    fn uses(&self, field: Field) -> bool {
        self.all().any(|letter| letter.fields().any(|other| other == field))
    }

    /// What they need of a run.
    pub fn needs(&self) -> Needs {
        Needs {
            culture: !self.others.is_empty(),
            invite_link: self.uses(Field::InviteLink),
            portal_name: self.uses(Field::PortalName),
        }
    }

    /// The columns of the roster that are filled in.
    pub fn columns(&self) -> BTreeSet<usize> {
        let column = |field| if let Field::Column(column) = field { Some(column) } else { None };
        self.all().flat_map(Message::fields).filter_map(column).collect()
    }

    /// What stands for all of their text, and for who sends it: the same in whatever order the files are named.
    pub fn digest(&self) -> [u8; 32] {
        let signed = std::iter::once(&self.default).chain(self.others.iter().map(|(_, other)| other));
        let one = |Signed { letter, sender }: &Signed| {
            Sha256::new().chain_update(letter.digest()).chain_update(sender.address()).finalize().into()
        };
        let mut digests: Vec<[u8; 32]> = signed.map(one).collect();
        digests.sort_unstable();
        Sha256::digest(digests.concat()).into()
    }

    /// The same, in hex.
    pub fn digest_hex(&self) -> String {
        self.digest().iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Looks at the cells of a row, before the first request: those of [`columns`](Self::columns), in every language,
    /// since that of the user is not known yet.
    pub fn check(&self, cells: &BTreeMap<usize, String>) -> Result<(), Fault> {
        self.all().try_for_each(|letter| letter.check(cells))
    }

    /// The message for somebody of this culture: in their language and region, else in their language, else the default.
    fn of(&self, culture: Option<&str>) -> &Signed {
        let culture = culture.unwrap_or_default();
        let fitting = self.others.iter().filter_map(|(language, signed)| Some((language.fits(culture)?, signed)));
        fitting.max_by_key(|(parts, _)| *parts).map_or(&self.default, |(_, signed)| signed)
    }

    /// Who sends the message to somebody of this culture.
    pub fn sender(&self, culture: Option<&str>) -> &Sender {
        &self.of(culture).sender
    }

    /// Writes the mail of a row.
    pub fn write(
        &self,
        culture: Option<&str>,
        values: &Values<'_>,
        to: &Recipient,
        id: &MessageId,
        at: Timestamp,
    ) -> Result<Post, Fault> {
        let Signed { letter, sender } = self.of(culture);
        Ok(post::assemble(letter.fill(values)?, sender, letter.reply_to.as_ref(), to, id, at))
    }
}
