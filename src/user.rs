//! The people on a roster: who they are, and what they are to become.
//!
//! Parse once, trust after: a [`UserId`] is a GUID in canonical spelling, an [`EmployeeType`] is one of the four that
//! a portal invites, an [`Email`] is normalised the way the portal compares addresses.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

/// A DocSpace user, known by a GUID; shown in canonical spelling (lower case, hyphenated).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Uuid);

impl UserId {
    /// What releases before 3.7 answer for an id they do not know: a placeholder, with status 200
    /// (`docspace-contract.md` §3.2).
    pub const PLACEHOLDER: Self = Self(Uuid::from_u128(0x4a51_5a15_d4d6_4b8e_828e_e058_6f18_f3a3));

    /// From the sixteen bytes of a GUID, in the order in which its text shows them.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The sixteen bytes of the GUID, in the order in which its text shows them.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Whether this is the nil GUID or the portal's placeholder: ids that no person has.
    pub fn is_nobody(&self) -> bool {
        self.0.is_nil() || *self == Self::PLACEHOLDER
    }
}

/// The text is no GUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a GUID: 32 hexadecimal digits, hyphenated, bare or in braces")]
pub struct NotAGuid;

impl FromStr for UserId {
    type Err = NotAGuid;

    /// Hyphenated, bare or in braces, any case: the forms that a portal's route binds (`docspace-contract.md` §3.2).
    fn from_str(text: &str) -> Result<Self, NotAGuid> {
        let braced = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let bare = braced.unwrap_or(text);
        // `Uuid` also reads `urn:uuid:` and bare text in braces, which are no form of ours.
        let form_is_ours = bare.len() == 36 || (bare.len() == 32 && braced.is_none());
        if !form_is_ours {
            return Err(NotAGuid);
        }
        Uuid::try_parse(bare).map(Self).map_err(|_not_hexadecimal| NotAGuid)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// What a colleague becomes in the portal (`docspace-contract.md` §3.1; `All` and numbers are not ours to ask for).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum EmployeeType {
    /// A guest: sees the rooms shared with them.
    Guest,
    /// A user: called `Collaborator` before release 3.0.
    User,
    /// May make rooms.
    RoomAdmin,
    /// May manage the portal; only its owner can invite one.
    DocSpaceAdmin,
}

impl EmployeeType {
    /// Every type, in the order in which people are told of them.
    pub const ALL: [Self; 4] = [Self::Guest, Self::User, Self::RoomAdmin, Self::DocSpaceAdmin];

    /// The portal's own spelling, which is also what goes into a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "Guest",
            Self::User => "User",
            Self::RoomAdmin => "RoomAdmin",
            Self::DocSpaceAdmin => "DocSpaceAdmin",
        }
    }

    /// The portal's number for this type.
    pub const fn number(self) -> u8 {
        match self {
            Self::RoomAdmin => 1,
            Self::Guest => 2,
            Self::DocSpaceAdmin => 3,
            Self::User => 4,
        }
    }
}

/// The text names none of the four types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an employee type: one of Guest, User, RoomAdmin, DocSpaceAdmin")]
pub struct NotAnEmployeeType;

impl FromStr for EmployeeType {
    type Err = NotAnEmployeeType;

    /// Without regard to case; numbers and `All` are refused.
    fn from_str(text: &str) -> Result<Self, NotAnEmployeeType> {
        Self::ALL.into_iter().find(|kind| kind.as_str().eq_ignore_ascii_case(text)).ok_or(NotAnEmployeeType)
    }
}

impl fmt::Display for EmployeeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An e-mail address: NFC, lower case, no blanks around. Two are equal where they name one mailbox: a domain counts the
/// same in its own letters (`bücher.example`) and in the form that goes over the wire (`xn--bcher-kva.example`).
#[derive(Debug, Clone)]
pub struct Email {
    text: String,
    /// The form that is compared, where it is another one.
    wire: Option<Box<str>>,
}

/// The text is no e-mail address that a portal would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct NotAnEmail;

impl Email {
    /// The longest address a portal takes, in characters (`docspace-contract.md` §7).
    const MAX_CHARS: usize = 255;

    /// The normalised address, its domain as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The address with its domain as it goes over the wire: what is compared, and what was digested before.
    pub fn wire(&self) -> &str {
        self.wire.as_deref().unwrap_or(&self.text)
    }

    /// Sixteen bytes that stand for the address where the address itself must not or need not be kept.
    pub fn digest(&self) -> EmailDigest {
        let mut short = [0; 16];
        short.copy_from_slice(Sha256::digest(self.wire().as_bytes()).get(..16).unwrap_or(&[0; 16]));
        EmailDigest(short)
    }
}

impl FromStr for Email {
    type Err = NotAnEmail;

    fn from_str(text: &str) -> Result<Self, NotAnEmail> {
        let text = text.trim();
        let normal: String = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            text.nfc().flat_map(char::to_lowercase).nfc().collect()
        };
        let (local, domain) = normal.rsplit_once('@').ok_or(NotAnEmail)?;
        let no_room = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | ';' | '<' | '>' | '(' | ')');
        let domain_holds = domain.split('.').all(|label| !label.is_empty()) && !domain.contains('@');
        let fits = normal.chars().count() <= Self::MAX_CHARS;
        if local.is_empty() || local.contains('@') || !domain_holds || !fits || normal.contains(no_room) {
            return Err(NotAnEmail);
        }
        let wire = (!domain.is_ascii())
            .then(|| idna::domain_to_ascii(domain).ok())
            .flatten()
            .map(|domain| format!("{local}@{domain}").into_boxed_str());
        Ok(Self { text: normal, wire })
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.wire() == other.wire()
    }
}

impl Eq for Email {}

impl PartialOrd for Email {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Email {
    fn cmp(&self, other: &Self) -> Ordering {
        self.wire().cmp(other.wire())
    }
}

impl Hash for Email {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.wire().hash(state);
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// The first sixteen bytes of the SHA-256 of a normalised address: enough to find a person by, too little to mail to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailDigest(pub [u8; 16]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_read_in_every_form_a_portal_binds_and_shown_in_one() {
        let canonical = "4a515a15-d4d6-4b8e-828e-e0586f18f3a3";
        for form in [
            canonical,
            "4A515A15-D4D6-4B8E-828E-E0586F18F3A3",
            "4a515a15d4d64b8e828ee0586f18f3a3",
            "{4a515a15-d4d6-4b8e-828e-e0586f18f3a3}",
        ] {
            assert_eq!(form.parse::<UserId>().map(|id| id.to_string()), Ok(canonical.to_owned()), "{form}");
        }
        for form in [
            "",
            "4a515a15",
            "urn:uuid:4a515a15-d4d6-4b8e-828e-e0586f18f3a3",
            "{4a515a15d4d64b8e828ee0586f18f3a3}",
            "{4a515a15-d4d6-4b8e-828e-e0586f18f3a3",
            "4a515a15-d4d6-4b8e-828e-e0586f18f3a3}",
            "4a515a15-d4d6-4b8e-828e-e0586f18f3ag",
            "../../people/@self",
        ] {
            assert_eq!(form.parse::<UserId>(), Err(NotAGuid), "{form}");
        }
    }

    #[test]
    fn nobody_is_the_nil_guid_and_the_placeholder() {
        assert!(UserId::from_bytes([0; 16]).is_nobody());
        assert!(UserId::PLACEHOLDER.is_nobody());
        assert!(!UserId::from_bytes([7; 16]).is_nobody());
    }

    #[test]
    fn a_type_is_read_in_any_case_but_never_as_a_number() {
        assert_eq!("roomadmin".parse(), Ok(EmployeeType::RoomAdmin));
        for text in ["All", "1", "Guest,User", "Gest", ""] {
            assert_eq!(text.parse::<EmployeeType>(), Err(NotAnEmployeeType), "{text}");
        }
    }

    #[test]
    fn addresses_compare_without_regard_to_case_and_composition() {
        let composed: Email = " Zo\u{e9}@Example.COM ".parse().expect("an address");
        let decomposed: Email = "zoe\u{301}@example.com".parse().expect("an address");
        assert_eq!(composed, decomposed);
        assert_eq!(composed.digest(), decomposed.digest());
        for text in ["", "anna", "@b.c", "a@", "a@b..c", "a b@c.d", "a@b@c.d", "a\u{7}@b.c"] {
            assert_eq!(text.parse::<Email>(), Err(NotAnEmail), "{text:?}");
        }
    }
    #[test]
    fn a_domain_in_its_own_letters_and_on_the_wire_is_one_mailbox() {
        let email = |text: &str| text.parse::<Email>().expect("an address");
        let (own, wire) = (email("Ada@B\u{fc}cher.Example"), email("ada@XN--bcher-kva.example"));
        assert_eq!((own.as_str(), wire.as_str()), ("ada@b\u{fc}cher.example", "ada@xn--bcher-kva.example"));
        assert_eq!(own, wire);
        assert_eq!(own.digest(), wire.digest());
        assert_eq!(std::collections::HashSet::from([own, wire]).len(), 1);
        // Digests in ledgers that are there stay what they are: of the address, in lower case.
        let digest = Sha256::digest(b"ada@xn--bcher-kva.example");
        assert_eq!(email("ADA@xn--bcher-kva.example").digest().0.as_slice(), digest.get(..16).expect("long enough"));
    }
}
