//! Why a row ended as it did, kept small: reasons that many rows share are stored once.

use std::{borrow::Cow, collections::HashMap, rc::Rc};

use jiff::Timestamp;

/// A row's reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Note {
    /// Nothing to say.
    #[default]
    None,
    /// The text with this number.
    Text(u32),
    /// The portal accepted it before: when (milliseconds since 1970), and in which run.
    Accepted { at_ms: i64, run: u32 },
}

/// The texts of a run's notes.
#[derive(Debug, Default)]
pub(super) struct Notes {
    texts: Vec<Rc<str>>,
    numbers: HashMap<Rc<str>, u32>,
}

impl Notes {
    /// The note with this text.
    pub(super) fn text(&mut self, text: impl Into<Rc<str>>) -> Note {
        Note::Text(self.number(text.into()))
    }

    /// The note of an earlier acceptance.
    pub(super) fn accepted(&mut self, at: Timestamp, run: &str) -> Note {
        Note::Accepted { at_ms: at.as_millisecond(), run: self.number(run.into()) }
    }

    fn number(&mut self, text: Rc<str>) -> u32 {
        if let Some(number) = self.numbers.get(&text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(Rc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    fn get(&self, number: u32) -> &str {
        usize::try_from(number).ok().and_then(|number| self.texts.get(number)).map_or("", AsRef::as_ref)
    }

    /// The note as a person reads it.
    pub(super) fn show(&self, note: Note) -> Cow<'_, str> {
        match note {
            Note::None => Cow::Borrowed(""),
            Note::Text(number) => Cow::Borrowed(self.get(number)),
            Note::Accepted { at_ms, run } => {
                let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
                Cow::Owned(format!("accepted {} by run {}", at.strftime("%Y-%m-%d %H:%M:%S UTC"), self.get(run)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_that_rows_share_are_kept_once_and_shown_as_they_were() {
        let mut notes = Notes::default();
        let (one, other) = (notes.text("it broke"), notes.text("it was lost"));
        assert_eq!(notes.text("it broke"), one);
        assert_ne!(one, other);
        assert_eq!((notes.show(one), notes.show(other)), ("it broke".into(), "it was lost".into()));
        assert_eq!(notes.show(Note::None), "");
        let accepted = notes.accepted(Timestamp::UNIX_EPOCH, "r1");
        assert_eq!(notes.show(accepted), "accepted 1970-01-01 00:00:00 UTC by run r1");
        assert_eq!(notes.texts.len(), 3);
    }
}
