//! The users of the embedded portal.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use sha2::{Digest, Sha256};

use crate::{
    roster::{Roster, RowState},
    user::{EmployeeType, UserId},
};

/// A user of the embedded portal.
#[derive(Debug, Clone)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The address.
    pub email: String,
    /// The first name.
    pub first_name: String,
    /// The last name.
    pub last_name: String,
    /// 1 active, 2 disabled, 4 pending.
    pub status: u8,
    /// Bit 1: the address is confirmed.
    pub activation: u8,
    /// The role.
    pub role: EmployeeType,
    /// The language that the user chose.
    pub culture: String,
    /// When, as the portal writes it.
    pub registered: String,
}

impl User {
    /// A user that a roster names: active for nine in ten, the same ones every time.
    pub fn of_roster(id: UserId, email: Option<String>, role: EmployeeType) -> Self {
        let digest = Sha256::digest(id.as_bytes());
        let number = digest.first().copied().unwrap_or_default();
        let active = share_of(&digest) < 0.9;
        Self {
            id,
            email: email.unwrap_or_else(|| format!("{}@sandbox.example", id.to_string().get(..8).unwrap_or("user"))),
            first_name: FIRST.get(usize::from(number) % FIRST.len()).copied().unwrap_or("Ann").to_owned(),
            last_name: format!("Sample{number}"),
            status: if active { 1 } else { 4 },
            activation: if active { 1 } else { 2 },
            role,
            culture: if digest.get(1).is_some_and(|byte| byte % 4 == 0) { "de-DE" } else { "en-US" }.to_owned(),
            registered: "2026-11-02T09:12:33.0000000+00:00".to_owned(),
        }
    }

    /// The user with this number of a portal that makes up its own, so many of them active.
    pub fn made_up(number: u32, active_share: f64) -> Self {
        let digest = Sha256::digest(format!("onboard sandbox user {number}"));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(digest.get(..16).unwrap_or(&[0; 16]));
        let role = EmployeeType::ALL.get(number as usize % 4).copied().unwrap_or(EmployeeType::User);
        let mut user =
            Self::of_roster(UserId::from_bytes(bytes), Some(format!("user{number:06}@sandbox.example")), role);
        let active = share_of(&Sha256::digest(bytes)) < active_share;
        (user.status, user.activation) = if active { (1, 1) } else { (4, 2) };
        user
    }

    /// Whether a congratulation is due.
    pub fn is_active(&self) -> bool {
        self.activation & 1 == 1
    }
}

/// A number from 0 to 1 that depends on nothing but the bytes.
fn share_of(digest: &[u8]) -> f64 {
    let bytes = digest.get(4..6).and_then(|pair| <[u8; 2]>::try_from(pair).ok()).unwrap_or_default();
    f64::from(u16::from_le_bytes(bytes)) / 65_536.0
}

const FIRST: [&str; 8] = ["Ann", "Ben", "Chloé", "David", "Eva", "Fynn", "Grace", "Håkon"];

/// The users that a roster names.
pub fn users_of(roster: &Roster) -> io::Result<Vec<User>> {
    let mut users = Vec::new();
    for (number, row) in roster.rows().iter().enumerate() {
        if row.state != RowState::Valid {
            continue;
        }
        let email = roster.email(number)?.map(|email| email.as_str().to_owned());
        let id = row.user.or_else(|| row.email.map(|digest| UserId::from_bytes(digest.0)));
        if let Some(id) = id {
            users.push(User::of_roster(id, email, row.employee_type.unwrap_or(EmployeeType::User)));
        }
    }
    Ok(users)
}

/// The congratulation keys that rows of a roster have of their own.
pub fn keys_of(roster: &Roster) -> io::Result<HashSet<String>> {
    (0..roster.rows().len()).filter_map(|row| roster.key(row).transpose()).collect()
}

/// Everybody, findable.
#[derive(Debug, Default)]
pub(super) struct People {
    users: Vec<User>,
    by_id: HashMap<UserId, usize>,
    by_email: HashMap<String, usize>,
    order: Vec<usize>,
}

impl People {
    pub(super) fn new(users: Vec<User>) -> Self {
        let mut people = Self { users, ..Self::default() };
        for (place, user) in people.users.iter().enumerate() {
            people.by_id.insert(user.id, place);
            people.by_email.insert(user.email.to_lowercase(), place);
        }
        people.order = (0..people.users.len()).collect();
        let users = &people.users;
        people.order.sort_by_cached_key(|place| users.get(*place).map(|user| user.email.to_lowercase()));
        people
    }

    pub(super) fn by_id(&self, id: UserId) -> Option<&User> {
        self.by_id.get(&id).and_then(|place| self.users.get(*place))
    }

    pub(super) fn by_email(&self, email: &str) -> Option<&User> {
        self.by_email.get(&email.to_lowercase()).and_then(|place| self.users.get(*place))
    }

    /// Everybody, sorted by address.
    pub(super) fn sorted(&self) -> impl DoubleEndedIterator<Item = &User> {
        self.order.iter().filter_map(|place| self.users.get(*place))
    }

    pub(super) fn add(&mut self, user: User) {
        let place = self.users.len();
        self.by_id.insert(user.id, place);
        self.by_email.insert(user.email.to_lowercase(), place);
        let key = |place: &usize| self.users.get(*place).map(|user| user.email.to_lowercase());
        let at = self.order.partition_point(|other| key(other) < Some(user.email.to_lowercase()));
        self.order.insert(at, place);
        self.users.push(user);
    }

    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    pub(super) fn change(&mut self, id: UserId, change: impl FnOnce(&mut User)) -> bool {
        match self.by_id.get(&id).and_then(|place| self.users.get_mut(*place)) {
            Some(user) => {
                change(user);
                true
            }
            None => false,
        }
    }
}
