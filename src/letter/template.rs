//! One message file, read.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::{
    envelope::{Sender, Subject},
    error::{MessageError, Trouble, What},
    field::{Field, Fields},
    head,
    language::Language,
    markdown,
    marked::{Marked, Run},
    piece::{Filling, Pieces, Shape, escaped},
    value::{Fault, Origin, Values, usable},
};

/// A message, read and found good; what is filled in is not known yet.
#[derive(Debug, Clone)]
pub struct Message {
    pub(super) file: String,
    pub(super) sender: Option<Sender>,
    pub(super) reply_to: Option<Sender>,
    pub(super) language: Option<Language>,
    subject: Pieces,
    subject_fields: BTreeSet<Field>,
    text: Pieces,
    html: Pieces,
    uses: BTreeMap<Field, Origin>,
    digest: [u8; 32],
}

/// A message with the values of one row in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filled {
    pub subject: Subject,
    pub text: String,
    pub html: String,
}

impl Message {
    /// Reads a message file; the name is for errors. What may be filled in depends on the roster.
    pub fn read(file: &str, bytes: &[u8], fields: &Fields) -> Result<Self, MessageError> {
        let text = head::text(bytes).map_err(|trouble| MessageError::new(file, trouble))?;
        Self::of(file, &text, fields).map_err(|trouble| MessageError::new(file, trouble))
    }

    fn of(file: &str, text: &str, fields: &Fields) -> Result<Self, Trouble> {
        if let Some(trouble) = head::odd_character(text) {
            return Err(trouble);
        }
        let head = head::head(text)?;
        let (line, written) = head.subject;
        let fault = |what| Trouble::on(line, what);
        let marked = Marked::of(written, line, fields)?;
        if marked.uses.iter().any(|used| used.field == Field::InviteLink) {
            return Err(fault(What::LinkInSubject));
        }
        // As long as it is without values, it is in any case.
        Subject::new(&marked.text).map_err(|why| fault(What::Subject(why)))?;
        let mut subject = Pieces::default();
        for run in marked.runs(&marked.text) {
            match run {
                Run::Text(text) => subject.text(text),
                Run::Use(used) => subject.value(used.field, Shape::Plain),
            }
        }
        if head.body.trim().is_empty() {
            return Err(Trouble::on(0, What::NoText));
        }
        let body = Marked::of(head.body, head.body_line, fields)?;
        let parts = markdown::parts(&body, head.body_line)?;
        let mut uses: BTreeMap<Field, Origin> = BTreeMap::new();
        for used in marked.uses.iter().chain(&body.uses) {
            uses.entry(used.field).or_insert_with(|| Origin::of(used.field, &used.written, fields));
        }
        for field in parts.html.addressed() {
            if let Some(origin) = uses.get_mut(&field) {
                origin.is_address = true;
            }
        }
        Ok(Self {
            file: file.to_owned(),
            sender: head.sender,
            reply_to: head.reply_to,
            language: head.language,
            subject,
            subject_fields: marked.uses.iter().map(|used| used.field).collect(),
            text: parts.text,
            html: parts.html,
            uses,
            digest: Sha256::digest(text.as_bytes()).into(),
        })
    }

    /// What is filled in.
    pub fn fields(&self) -> impl Iterator<Item = Field> {
        self.uses.keys().copied()
    }

    /// The SHA-256 of its text: the same for whatever line ends the file has, and with a byte-order mark or without.
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Looks at what the roster says of a row, before the first request.
    pub(super) fn check(&self, cells: &BTreeMap<usize, String>) -> Result<(), Fault> {
        let cell = |field| if let Field::Column(column) = field { cells.get(&column) } else { None };
        let of_roster = |field: &Field| matches!(field, Field::Column(_));
        let known = self.values(|field| cell(field).map(String::as_str).unwrap_or_default(), of_roster)?;
        if self.subject_fields.iter().all(of_roster) {
            Subject::new(&self.subject.filled(&known)).map_err(Fault::Subject)?;
        }
        Ok(())
    }

    /// Fills in the values of a row.
    pub(super) fn fill(&self, values: &Values<'_>) -> Result<Filled, Fault> {
        let values = self.values(|field| values.get(field), |_| true)?;
        let subject = Subject::new(&self.subject.filled(&values)).map_err(Fault::Subject)?;
        let html = self.page(&subject, &self.html.filled(&values));
        Ok(Filled { subject, text: format!("{}\n", self.text.filled(&values).trim_end_matches('\n')), html })
    }

    fn values<'v>(&self, of: impl Fn(Field) -> &'v str, wanted: impl Fn(&Field) -> bool) -> Result<Filling, Fault> {
        let mut filling = Filling::new();
        for (field, origin) in self.uses.iter().filter(|(field, _)| wanted(field)) {
            let value = usable(of(*field), origin.is_address).map_err(|why| Fault::of(origin, why))?;
            filling.insert(*field, value.to_owned());
        }
        Ok(filling)
    }

    /// The HTML around the text: no colour but of links, so that light and dark are the reader's.
    fn page(&self, subject: &Subject, body: &str) -> String {
        let language = self.language.as_ref().map(|language| format!(" lang=\"{language}\"")).unwrap_or_default();
        format!(
            "<!DOCTYPE html>\n<html{language}>\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"supported-color-schemes\" content=\"light dark\">\n<title>{title}</title>\n\
             <style>:root{{color-scheme:light dark}}@media(prefers-color-scheme:dark){{a{{color:#8ab4f8!important}}}}\
             </style>\n</head>\n<body style=\"margin:0;padding:0\">\n\
             <div dir=\"auto\" style=\"max-width:600px;margin:0 auto;padding:24px 20px;font-family:-apple-system,\
             BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:16px;line-height:1.5;\
             overflow-wrap:break-word\">\n{body}</div>\n</body>\n</html>\n",
            title = escaped(subject.as_str()),
        )
    }
}
