//! A message of one's own, in a run: its files read and its rows looked at before the first request, and one mail made for
//! one person when it is due.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    io,
};

use anyhow::{Context, bail};

use super::{Telling, drive::Ready};
use crate::{
    display::{Shown, count, shown_path},
    environment::Environment,
    file,
    letter::{Fields, MAX_FILE, Message, MessageId, Messages, Needs, Recipient, Sender, Values},
    plan::{Decision, Plan},
    portal::{LinkAnswer, Person},
    roster::{Record, Roster},
    settings::{OwnMessage, Settings},
    smtp::{Access, Envelope, Mailer, Server, password},
    user::{Email, EmployeeType, UserId},
    workflow::Stamp,
};

/// So many rows are named whose cells cannot be filled in.
const NAMED: usize = 3;

/// The messages, and what the roster says for them.
#[derive(Debug)]
pub struct Own {
    messages: Messages,
    /// The cells that are filled in, of the rows that are due.
    cells: HashMap<u32, BTreeMap<usize, String>>,
}

impl Own {
    /// Reads the files, where a message of one's own is to be sent.
    pub(super) fn read(settings: &Settings, roster: &Roster) -> Result<Option<Self>, anyhow::Error> {
        let Some(own) = &settings.own else { return Ok(None) };
        let fields = Fields::of(roster.columns());
        let mut messages = Vec::new();
        for path in &own.files {
            let shown = shown_path(path);
            let most = u64::try_from(MAX_FILE).unwrap_or(u64::MAX).saturating_add(1);
            let bytes = file::read_small(path, most).with_context(|| format!("cannot read the message {shown}"))?;
            messages.push(Message::read(&shown, &bytes, &fields)?);
        }
        let user = own.mail_server.server.as_ref().and_then(Server::user).and_then(|user| user.parse::<Sender>().ok());
        Ok(Some(Self { messages: Messages::new(messages, user.as_ref())?, cells: HashMap::new() }))
    }

    /// What they need of a run.
    pub fn needs(&self) -> Needs {
        self.messages.needs()
    }

    /// What stands for the text and its senders, whoever it goes to.
    pub(super) fn digest(&self) -> String {
        self.messages.digest_hex()
    }

    /// Whether cells of the roster are filled in.
    pub(super) fn fills_in_cells(&self) -> bool {
        !self.messages.columns().is_empty()
    }

    /// The cells of a row that are filled in, by their columns' names.
    pub(super) fn cells_of(&self, roster: &Roster, record: &Record) -> BTreeMap<String, String> {
        let name = |column: usize| roster.columns().names.get(column).cloned().unwrap_or_default();
        let columns = self.messages.columns().into_iter();
        columns.map(|column| (name(column), roster.text(record, column).into_owned())).collect()
    }

    /// Looks at what the roster says of everybody to whom it is due, and keeps it.
    pub(super) fn take_in(&mut self, roster: &Roster, plan: &Plan) -> Result<(), anyhow::Error> {
        let (columns, holds_link) = (self.messages.columns(), self.needs().invite_link);
        if columns.is_empty() && !holds_link {
            return Ok(());
        }
        let (mut bad, mut named, mut administrator) = (0u64, Vec::new(), None);
        self.cells.clear();
        let (messages, kept) = (&self.messages, &mut self.cells);
        roster.for_each(|number, row, record, _| -> io::Result<()> {
            if plan.decisions.get(number) == Some(&Decision::Due) {
                if row.employee_type == Some(EmployeeType::DocSpaceAdmin) && administrator.is_none() {
                    administrator = Some(row_told(roster, number, record));
                }
                if columns.is_empty() {
                    return Ok(());
                }
                let of = |column: &usize| (*column, roster.text(record, *column).into_owned());
                let cells: BTreeMap<usize, String> = columns.iter().map(of).collect();
                if let Err(fault) = messages.check(&cells) {
                    bad += 1;
                    if named.len() < NAMED {
                        named.push(format!("{}: {fault}", row_told(roster, number, record)));
                    }
                }
                if let Ok(row) = u32::try_from(number) {
                    kept.insert(row, cells);
                }
            }
            Ok(())
        })?;
        if let Some(row) = administrator.filter(|_| holds_link) {
            bail!(
                "{row} becomes a DocSpaceAdmin, and the message holds {{{{ invite_link }}}}: whoever got hold of that link \
                 could manage the whole portal. Use {{{{ portal }}}} in the message, or take such rows out. Nothing was sent"
            );
        }
        if bad > 0 {
            let more = if bad > NAMED as u64 { ", and others" } else { "" };
            bail!(
                "{} cannot be filled into the message: {}{more}. Complete the roster, or leave the placeholder out; nothing \
                 was sent",
                count(bad, "row"),
                named.join("; ")
            );
        }
        Ok(())
    }
}

/// A row for people: its number, from 0 here and from 1 there, and of a workbook its place.
pub(super) fn row_told(roster: &Roster, number: usize, record: &Record) -> String {
    let place = roster.in_sheet(record.line, None).map(|place| format!(" ({place})"));
    format!("row {}{}", number + 1, place.unwrap_or_default())
}

/// Refuses what was typed beside a message of one's own, and is for the portal's.
pub(super) fn refuse_beside(own: &OwnMessage) -> Result<(), anyhow::Error> {
    let Some(option) = own.beside else { return Ok(()) };
    bail!(
        "{option} is for the portal's congratulation, and --message sends a message of your own instead; leave one of the \
         two off"
    )
}

/// Refuses options that contradict each other.
pub(super) fn refuse_contradictions(settings: &Settings) -> Result<(), anyhow::Error> {
    let Some(own) = &settings.own else {
        if settings.sinks.preview.is_some() {
            bail!("--preview writes the mails of a message of your own: it needs --message FILE and --dry-run");
        }
        return Ok(());
    };
    refuse_beside(own)?;
    if settings.sinks.preview.is_some() && !settings.dry_run {
        bail!("--preview shows what a dry run would send: add --dry-run, or leave it off");
    }
    if settings.sandbox {
        own.mail_server.refuse_beside_sandbox()?;
    }
    if own.mail_server.server.is_none() && !settings.sandbox && !settings.dry_run {
        bail!(
            "--message needs the mail server that it goes by: --smtp smtps://mail.example.com, with its user before \
             the host where it wants one; --sandbox and --dry-run --preview DIR do without"
        );
    }
    if let Some(folder) = &settings.sinks.preview {
        file::probe_new_folder(folder)?;
    }
    Ok(())
}

/// The client of the mail server, where mails are to leave; nothing is sent yet.
pub(super) fn mailer(
    settings: &Settings,
    own: &OwnMessage,
    sandbox: Option<&str>,
    telling: &mut Telling<'_>,
) -> Result<Option<Mailer>, anyhow::Error> {
    if sandbox.is_some() && own.mail_server.server.is_some() {
        (telling.say)("note: the mail server of your settings is not used, since --sandbox has its own");
    }
    if settings.dry_run {
        return Ok(None);
    }
    let server = match sandbox {
        Some(server) => Some(server.parse::<Server>()?),
        None => own.mail_server.server.clone(),
    };
    let Some(server) = server else { return Ok(None) };
    let environment: &Environment = &settings.ledger.environment;
    let password = password(&server, &own.mail_server.password, environment)?;
    let (timeout, ca_file) = (settings.portal.timeout, settings.portal.ca_file.clone());
    Ok(Some(Mailer::new(Access { server, password, timeout, ca_file })?))
}

/// What the portal tells of somebody, as far as a mail needs it.
#[derive(Debug)]
struct Known {
    email: Option<Email>,
    name: String,
    culture: String,
}

/// Makes the mails of a run.
#[derive(Debug)]
pub(super) struct Post<'r> {
    own: &'r Own,
    roster: &'r Roster,
    /// The portal's address.
    portal: &'r str,
    run: String,
    pub(super) mailer: Option<&'r Mailer>,
    people: RefCell<HashMap<UserId, Known>>,
    links: RefCell<BTreeMap<EmployeeType, String>>,
}

impl<'r> Post<'r> {
    pub(super) fn new(
        own: &'r Own,
        roster: &'r Roster,
        portal: &'r str,
        run: uuid::Uuid,
        mailer: Option<&'r Mailer>,
    ) -> Self {
        let run = run.simple().to_string();
        Self { own, roster, portal, run, mailer, people: RefCell::default(), links: RefCell::default() }
    }

    /// Whether the name is needed that the portal shows.
    pub(super) fn needs_name(&self) -> bool {
        self.own.needs().portal_name
    }

    /// The portal told of somebody.
    pub(super) fn met(&self, person: &Person) {
        if person.is_due() {
            let Person { email, name, culture, .. } = person.clone();
            self.people.borrow_mut().insert(person.id, Known { email, name, culture });
        }
    }

    /// The portal told the link of a type.
    pub(super) fn link_came(&self, kind: EmployeeType, answer: &LinkAnswer) {
        if let LinkAnswer::Link(link) = answer {
            self.links.borrow_mut().insert(kind, link.as_str().to_owned());
        }
    }

    /// The mail of a row; the word tells its attempt from all others.
    pub(super) fn mail(&self, row: u32, user: UserId, attempt: &str, stamp: Stamp) -> Result<Ready, String> {
        let people = self.people.borrow();
        let person = people.get(&user).ok_or("the portal told nothing of this user")?;
        let email = person.email.as_ref().ok_or("the portal tells no address of this user")?;
        let to = Recipient::new(email).map_err(|error| error.to_string())?;
        let entry = self.roster.rows().get(row as usize);
        let employee_type = entry.and_then(|row| row.employee_type).ok_or("the row has no employee type")?;
        let links = self.links.borrow();
        let none = BTreeMap::new();
        let values = Values {
            name: &person.name,
            email: email.as_str(),
            portal: self.portal,
            invite_link: links.get(&employee_type).map(String::as_str),
            employee_type,
            cells: self.own.cells.get(&row).unwrap_or(&none),
        };
        let culture = Some(person.culture.as_str()).filter(|culture| !culture.is_empty());
        let messages = &self.own.messages;
        let id = MessageId::new(&format!("{}.{attempt}", self.run), messages.sender(culture))
            .map_err(|error| error.to_string())?;
        let post = messages.write(culture, &values, &to, &id, stamp.wall).map_err(|fault| fault.to_string())?;
        let address = |text: &str| {
            text.parse::<Email>().map_err(|_unusable| format!("`{}` is no address for a mail server", Shown(text)))
        };
        let envelope = Envelope { from: address(post.sender())?, to: address(post.recipient())? };
        Ok(Ready { envelope, bytes: post.bytes().to_vec() })
    }
}
