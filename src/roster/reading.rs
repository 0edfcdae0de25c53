//! How a roster is to be read where it is not as this program would have it: whose column is whose, what words mean.

use std::{fmt, str::FromStr};

use super::text::plain;
use crate::{display::Shown, user::EmployeeType};

/// How a roster is to be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The sheet of a workbook.
    pub sheet: Option<String>,
    /// Columns by what they are.
    pub columns: Vec<Mapped>,
    /// Words that stand for employee types.
    pub types: Vec<MappedType>,
    /// The type of everybody, where the roster has no column for it.
    pub employee_type: Option<EmployeeType>,
    /// Whether `onboard split` wrote it, which has defused what only passes through, and of whose column of portals nothing
    /// need be said.
    pub is_part: bool,
}

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The user's id.
    UserId,
    /// The user's address.
    Email,
    /// What the user is to become.
    EmployeeType,
    /// The row's own congratulation key.
    Key,
    /// The user's name.
    Name,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::UserId, Self::Email, Self::EmployeeType, Self::Key, Self::Name];

    /// Its name, as it is typed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::Email => "email",
            Self::EmployeeType => "employee_type",
            Self::Key => "key",
            Self::Name => "name",
        }
    }

    /// The names under which its column is found where nobody says which it is.
    pub(super) const fn spellings(self) -> &'static [&'static str] {
        match self {
            Self::UserId => &["userid"],
            Self::Email => &["email", "emailaddress"],
            Self::EmployeeType => &["employeetype", "type"],
            Self::Key => &["key"],
            Self::Name => &["name"],
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.spellings().contains(&plain(text).as_str()))
            .ok_or_else(|| format!("`{}` is none of user_id, email, employee_type, key, name", Shown(text)))
    }
}

/// A column, and what it is: `user_id=Personal-Nr`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// What it is.
    pub role: Role,
    /// Its name in the roster.
    pub column: String,
}

impl FromStr for Mapped {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, column) = text.split_once('=').ok_or("it is ROLE=COLUMN, as in user_id=Personal-Nr")?;
        if plain(column).is_empty() {
            return Err("the name of the column is missing, as in user_id=Personal-Nr".to_owned());
        }
        let role = role.parse().map_err(|none: String| match column.parse::<Role>() {
            Ok(meant) => format!("{none}; the role comes first: {}={}", meant.as_str(), Shown(role.trim())),
            Err(_) => none,
        })?;
        Ok(Self { role, column: column.trim().to_owned() })
    }
}

impl fmt::Display for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.role.as_str(), self.column)
    }
}

/// A word, and the employee type that it stands for: `Mitarbeiter=User`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedType {
    /// The word.
    pub word: String,
    /// What it means.
    pub employee_type: EmployeeType,
}

impl FromStr for MappedType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, kind) = text.rsplit_once('=').ok_or("it is WORD=TYPE, as in Mitarbeiter=User")?;
        let employee_type = kind.trim().parse().map_err(|_none| {
            let none = format!("`{}` is none of Guest, User, RoomAdmin, DocSpaceAdmin", Shown(kind.trim()));
            match word.parse::<EmployeeType>() {
                Ok(meant) => format!("{none}; the word comes first: {}={}", Shown(kind.trim()), meant.as_str()),
                Err(_) => none,
            }
        })?;
        let word = word.trim();
        if word.is_empty() {
            return Err("the word is missing, as in Mitarbeiter=User".to_owned());
        }
        match word.parse::<EmployeeType>() {
            Ok(itself) if itself != employee_type => {
                Err(format!("`{}` is an employee type itself, and cannot mean another one", Shown(word)))
            }
            _ => Ok(Self { word: word.to_owned(), employee_type }),
        }
    }
}

impl fmt::Display for MappedType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.word, self.employee_type.as_str())
    }
}

impl Reading {
    /// The employee type that a word stands for: the word as it is typed, whatever its case.
    pub(super) fn type_of(&self, word: &str) -> Option<EmployeeType> {
        let word = word.to_lowercase();
        self.types.iter().find(|mapped| mapped.word.to_lowercase() == word).map(|mapped| mapped.employee_type)
    }

    /// Takes in what is said elsewhere with less weight: a column for each role and a type for each word of which nothing
    /// is said here.
    pub fn take_in(&mut self, columns: Vec<Mapped>, types: Vec<MappedType>) {
        let (said, words) = (self.columns.clone(), self.types.clone());
        let is_open = |other: &Mapped| {
            // A column that was said to be one thing is not another as well.
            said.iter().all(|one| one.role != other.role && plain(&one.column) != plain(&other.column))
        };
        self.columns.extend(columns.into_iter().filter(is_open));
        let is_new = |other: &MappedType| words.iter().all(|one| one.word.to_lowercase() != other.word.to_lowercase());
        self.types.extend(types.into_iter().filter(is_new));
    }

    /// What in it contradicts itself.
    pub(super) fn contradiction(&self) -> Option<String> {
        for (place, one) in self.columns.iter().enumerate() {
            for other in self.columns.iter().skip(place + 1) {
                let (first, second) = (Shown(&one.column).to_string(), Shown(&other.column).to_string());
                if one.role == other.role && one.column != other.column {
                    let role = one.role.as_str();
                    return Some(format!(
                        "--map gives {role} two columns, `{first}` and `{second}`; leave one of them"
                    ));
                }
                if one.role != other.role && plain(&one.column) == plain(&other.column) {
                    let (one, other) = (one.role.as_str(), other.role.as_str());
                    return Some(format!(
                        "--map takes column `{first}` for {one} and for {other}; it can be one of them"
                    ));
                }
            }
        }
        for (place, one) in self.types.iter().enumerate() {
            let twice = |other: &&MappedType| other.word.to_lowercase() == one.word.to_lowercase();
            if let Some(other) =
                self.types.iter().skip(place + 1).filter(twice).find(|other| other.employee_type != one.employee_type)
            {
                return Some(format!(
                    "--map-type says that `{}` means {} and {}; leave one of them",
                    Shown(&one.word),
                    one.employee_type.as_str(),
                    other.employee_type.as_str()
                ));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_or_told() {
        let mapped = |text: &str| text.parse::<Mapped>();
        assert_eq!(mapped("user_id=Personal-Nr").map(|mapped| mapped.to_string()), Ok("user_id=Personal-Nr".into()));
        assert_eq!(mapped("type=Art = neu").map(|mapped| mapped.column), Ok("Art = neu".into()));
        assert_eq!(mapped("E-Mail=Mail").map(|mapped| mapped.role), Ok(Role::Email));
        let turned = mapped("Kennung=userId").expect_err("turned round");
        assert!(turned.ends_with("; the role comes first: user_id=Kennung"), "{turned}");
        for wrong in ["user_id", "id=x", "email=", "=x"] {
            assert!(mapped(wrong).is_err(), "{wrong}");
        }
        let types = |text: &str| text.parse::<MappedType>();
        assert_eq!(types(" Mitarbeiter = user").map(|mapped| mapped.to_string()), Ok("Mitarbeiter=User".into()));
        assert_eq!(types("user=User").map(|mapped| mapped.employee_type), Ok(EmployeeType::User));
        let turned = types("user=Mitarbeiter").expect_err("turned round");
        assert!(turned.ends_with("; the word comes first: Mitarbeiter=User"), "{turned}");
        for wrong in ["Mitarbeiter", "Mitarbeiter=2", "=User", "Guest=User", "Mitarbeiter=Mitarbeiter"] {
            assert!(types(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_has_less_weight_is_for_what_nothing_is_said_of() {
        let columns = |maps: &[&str]| maps.iter().map(|map| map.parse().expect("a column")).collect::<Vec<Mapped>>();
        let types = |maps: &[&str]| maps.iter().map(|map| map.parse().expect("a type")).collect::<Vec<MappedType>>();
        let mut reading = Reading {
            columns: columns(&["email=Mail", "name=Wer"]),
            types: types(&["Extern=Guest"]),
            ..Reading::default()
        };
        reading.take_in(columns(&["email=Post", "type=Rolle", "key=wer"]), types(&["extern=User", "Chef=RoomAdmin"]));
        assert_eq!(reading.columns, columns(&["email=Mail", "name=Wer", "type=Rolle"]));
        assert_eq!(reading.types, types(&["Extern=Guest", "Chef=RoomAdmin"]));
        assert_eq!(reading.contradiction(), None);
    }

    #[test]
    fn contradictions_are_found() {
        let columns = |maps: &[&str]| Reading {
            columns: maps.iter().map(|map| map.parse().expect("a column")).collect(),
            ..Reading::default()
        };
        assert_eq!(columns(&["email=A", "user_id=B", "email=A"]).contradiction(), None);
        assert!(columns(&["email=A", "email=B"]).contradiction().is_some());
        assert!(columns(&["email=A", "user_id=a"]).contradiction().is_some());
        let types = |maps: &[&str]| Reading {
            types: maps.iter().map(|map| map.parse().expect("a type")).collect(),
            ..Reading::default()
        };
        assert!(types(&["x=User", "X=Guest"]).contradiction().is_some());
        assert_eq!(types(&["x=User", "X=User"]).contradiction(), None);
        assert_eq!(types(&["Externe=Guest"]).type_of("EXTERNE"), Some(EmployeeType::Guest));
    }
}
