//! The headers of a message file, and where its text begins.

use super::{
    envelope::Sender,
    error::{MAX_FILE, Trouble, What},
    language::Language,
    marked::is_mark,
};
use crate::display::Shown;

/// The headers that a message can have.
const NAMES: [&str; 4] = ["Subject", "From", "Reply-To", "Language"];
/// Headers that would say to whom it goes.
const RECIPIENTS: [&str; 4] = ["To", "Cc", "Bcc", "Resent-To"];

/// A message file, its headers read.
#[derive(Debug)]
pub(super) struct Head<'t> {
    /// The line that the subject stands on, and the subject as it was written.
    pub subject: (usize, &'t str),
    pub sender: Option<Sender>,
    pub reply_to: Option<Sender>,
    pub language: Option<Language>,
    /// What stands below the headers.
    pub body: &'t str,
    /// The line on which that begins.
    pub body_line: usize,
}

/// The text of a file: UTF-8 without a byte-order mark, its lines ended by `\n`.
pub(super) fn text(bytes: &[u8]) -> Result<String, Trouble> {
    if bytes.len() > MAX_FILE {
        return Err(Trouble::on(0, What::TooLarge));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = 1 + std::str::from_utf8(good).unwrap_or_default().matches('\n').count();
        Trouble::on(line, What::NotUtf8 { byte: bytes.get(error.valid_up_to()).copied().unwrap_or(0) })
    })?;
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Finds the first character that has no business in a mail.
pub(super) fn odd_character(text: &str) -> Option<Trouble> {
    text.lines().zip(1..).find_map(|(line, number)| {
        let odd = line.chars().find(|c| (c.is_control() && *c != '\t') || is_mark(*c))?;
        Some(Trouble::on(number, What::Character(odd)))
    })
}

/// Reads the headers.
pub(super) fn head(text: &str) -> Result<Head<'_>, Trouble> {
    let mut found: [Option<(usize, &str)>; 4] = [None; 4];
    let mut number = 0;
    let mut body = text;
    while let Some((line, rest)) = body.split_once('\n').or_else(|| (!body.is_empty()).then_some((body, ""))) {
        number += 1;
        body = rest;
        if line.trim().is_empty() {
            if found.iter().any(Option::is_some) {
                break;
            }
            continue;
        }
        let (place, value) = header(line, number, found.iter().any(Option::is_some))?;
        if let (Some(slot), Some(name)) = (found.get_mut(place), NAMES.get(place))
            && slot.replace((number, value)).is_some()
        {
            return Err(Trouble::on(number, What::Twice(name)));
        }
    }
    let [subject, from, reply_to, language] = found;
    Ok(Head {
        subject: subject.ok_or_else(|| Trouble::on(usize::from(number > 0), What::NoSubject))?,
        sender: sender("From", from)?,
        reply_to: sender("Reply-To", reply_to)?,
        language: language
            .map(|(line, value)| {
                not_filled("Language", line, value)?;
                value.parse().map_err(|what| Trouble::on(line, What::Language(what)))
            })
            .transpose()?,
        body,
        body_line: number + 1,
    })
}

/// Which header a line is, and its value.
fn header(line: &str, number: usize, is_below: bool) -> Result<(usize, &str), Trouble> {
    if line.starts_with([' ', '\t']) && is_below {
        return Err(Trouble::on(number, What::Folded));
    }
    if line.trim_end() == "---" {
        return Err(Trouble::on(number, What::FrontMatter));
    }
    let (name, value) = line.split_once(':').ok_or_else(|| Trouble::on(number, What::NoHeader))?;
    let written = name.trim();
    if written.is_empty() || !written.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(Trouble::on(number, What::NoHeader));
    }
    let Some(place) = NAMES.iter().position(|known| known.eq_ignore_ascii_case(written)) else {
        if RECIPIENTS.iter().any(|other| other.eq_ignore_ascii_case(written)) {
            return Err(Trouble::on(number, What::Recipients(Shown(written).to_string())));
        }
        let near = NAMES
            .into_iter()
            .map(|known| (strsim::jaro_winkler(&known.to_ascii_lowercase(), &written.to_ascii_lowercase()), known))
            .filter(|(likeness, _)| *likeness > 0.8)
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .map(|(_, known)| known);
        let what = What::UnknownHeader { name: Shown(written).to_string(), near };
        return Err(Trouble::on(number, what));
    };
    Ok((place, value.trim()))
}

fn sender(header: &'static str, value: Option<(usize, &str)>) -> Result<Option<Sender>, Trouble> {
    let Some((line, value)) = value else { return Ok(None) };
    not_filled(header, line, value)?;
    let fault = |fault| Trouble::on(line, What::Sender { header, fault });
    value.parse().map(Some).map_err(fault)
}

fn not_filled(header: &'static str, line: usize, value: &str) -> Result<(), Trouble> {
    if value.contains("{{") { Err(Trouble::on(line, What::PlaceholderInHeader(header))) } else { Ok(()) }
}
