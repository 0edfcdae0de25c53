//! The wire of a run: the portal's calls with what the rows say: the address of each, and the key of its congratulation.

use reqwest::Method;

use super::{
    drive::{Addressed, Ready, Wire},
    own::Post,
};
use crate::{
    attempt::Mail,
    ledger::AttemptId,
    portal::{Fault, LinkAnswer, Page, Person, Portal, Wanted},
    roster::Roster,
    secret::Secret,
    signing::signed_key,
    smtp,
    user::{Email, EmployeeType, UserId},
    workflow::{Letter, Stamp},
};

/// The portal, and what a message is made of.
#[derive(Debug)]
pub(super) struct Carrier<'r> {
    pub(super) mail: Mail,
    pub(super) portal: &'r Portal,
    pub(super) roster: &'r Roster,
    /// The key of all congratulations that have no other.
    pub(super) key: &'r str,
    /// Signs each congratulation's key at the moment at which it is sent, so that it never expires while it waits.
    pub(super) machine_key: Option<&'r Secret>,
    /// The language of invitations.
    pub(super) culture: Option<&'r str>,
    /// Makes and delivers mails of one's own, where messages go by a mail server.
    pub(super) post: Option<&'r Post<'r>>,
}

impl Carrier<'_> {
    /// The key of a row, and whether it is the row's own, which wins. `tenant` is needed for signing only.
    fn key_of(&self, row: u32, user: UserId, tenant: Option<i64>, stamp: Stamp) -> Result<(String, bool), String> {
        let own =
            self.roster.key(row as usize).map_err(|error| format!("the row's key cannot be read again: {error}"))?;
        match (own, self.machine_key, tenant) {
            (Some(own), _, _) => Ok((own, true)),
            (None, Some(machine_key), Some(tenant)) => Ok((signed_key(machine_key, tenant, user, stamp.wall), false)),
            (None, Some(_), None) => {
                Err("the portal's tenant number is not known, so its key cannot be signed".to_owned())
            }
            (None, None, _) => Ok((self.key.to_owned(), false)),
        }
    }

    /// The portal told of somebody.
    fn met(&self, person: &Person) {
        if let Some(post) = self.post {
            post.met(person);
        }
    }

    /// The address of a row.
    fn email(&self, row: u32) -> Result<Email, String> {
        match self.roster.email(row as usize) {
            Ok(Some(email)) => Ok(email),
            Ok(None) => Err("the row has no address".to_owned()),
            Err(error) => Err(format!("the row's address cannot be read again: {error}")),
        }
    }

    /// The body of an invitation (`docspace-contract.md` §7).
    fn invitation(&self, letter: &Letter, users: &[Option<UserId>]) -> Result<String, String> {
        if letter.again {
            let ids: Vec<String> = users.iter().flatten().map(ToString::to_string).collect();
            return Ok(serde_json::json!({ "userIds": ids, "resendAll": false }).to_string());
        }
        let mut invitations = Vec::with_capacity(letter.rows.len());
        for row in &letter.rows {
            let kind = self.roster.rows().get(*row as usize).and_then(|row| row.employee_type);
            let kind = kind.ok_or("the row has no employee type")?;
            invitations.push(serde_json::json!({ "email": self.email(*row)?.as_str(), "type": kind }));
        }
        let mut body = serde_json::json!({ "invitations": invitations });
        if let (Some(culture), Some(members)) = (self.culture, body.as_object_mut()) {
            members.insert("culture".to_owned(), culture.into());
        }
        Ok(body.to_string())
    }
}

impl Wire for Carrier<'_> {
    async fn link(&self, kind: EmployeeType) -> Result<LinkAnswer, Fault> {
        let answer = self.portal.invite_link(kind).await?;
        if let Some(post) = self.post {
            post.link_came(kind, &answer);
        }
        Ok(answer)
    }

    async fn page(&self, start: u64) -> Result<Page, Fault> {
        let wanted = match self.mail {
            // Whether somebody can be invited depends on more than their status.
            Mail::Invitation => Wanted::Everything { status: None },
            Mail::Congratulation if self.post.is_some_and(Post::needs_name) => Wanted::StatusAddressAndName,
            Mail::Congratulation if self.post.is_some() => Wanted::StatusAndAddress,
            Mail::Congratulation if self.roster.columns().email.is_some() => Wanted::StatusAndAddress,
            Mail::Congratulation => Wanted::Status,
        };
        let page = self.portal.page(start, wanted).await?;
        if let Some(post) = self.post {
            page.people.iter().for_each(|person| post.met(person));
        }
        Ok(page)
    }

    async fn account(&self, user: UserId) -> Result<Person, Fault> {
        self.portal.account(user).await.inspect(|person| self.met(person))
    }

    async fn person(&self, row: u32) -> Result<Person, Fault> {
        match self.email(row) {
            Ok(email) => self.portal.person(&email).await.inspect(|person| self.met(person)),
            Err(why) => Err(Fault::NotSent { why, for_good: true }),
        }
    }

    async fn tenant(&self) -> Result<i64, Fault> {
        self.portal.tenant().await
    }

    fn address(
        &self,
        letter: &Letter,
        users: &[Option<UserId>],
        tenant: Option<i64>,
        attempt: Option<AttemptId>,
        stamp: Stamp,
    ) -> Addressed {
        if let Some(post) = self.post {
            let made = match (letter.rows.as_slice(), users, attempt) {
                ([row], [Some(user)], Some(attempt)) => post.mail(*row, *user, &attempt.number().to_string(), stamp),
                _ => Err("the row has no user id".to_owned()),
            };
            return made.map_or_else(Addressed::Unmade, Addressed::Mail);
        }
        let made = match (self.mail, letter.rows.as_slice(), users) {
            (Mail::Congratulation, [row], [Some(user)]) => self
                .key_of(*row, *user, tenant, stamp)
                .map(|(key, own)| Addressed::Congratulation { user: *user, key, own }),
            (Mail::Congratulation, ..) => Err("the row has no user id".to_owned()),
            (Mail::Invitation, ..) => {
                self.invitation(letter, users).map(|body| Addressed::Invitation { again: letter.again, body })
            }
        };
        made.unwrap_or_else(Addressed::Impossible)
    }

    async fn send(&self, addressed: Addressed) -> Result<(), Fault> {
        match addressed {
            Addressed::Congratulation { user, key, .. } => self.portal.congratulate(user, &key).await,
            Addressed::Invitation { again, body } => {
                let method = if again { Method::PUT } else { Method::POST };
                self.portal.submit(method, "/api/2.0/people/invite", body).await
            }
            Addressed::Impossible(why) | Addressed::Unmade(why) => Err(Fault::NotSent { why, for_good: true }),
            Addressed::Mail(_) => {
                Err(Fault::NotSent { why: "a mail goes by a mail server".to_owned(), for_good: true })
            }
        }
    }

    async fn deliver(&self, mail: Ready) -> Result<(), smtp::Fault> {
        match self.post.and_then(|post| post.mailer) {
            Some(mailer) => mailer.deliver(&mail.envelope, &mail.bytes).await,
            None => Err(smtp::Fault::Impossible { why: "there is no mail server".to_owned() }),
        }
    }
}
