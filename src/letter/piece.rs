//! What a message is made of once it is read: fixed text, and values with the way in which each is written where it
//! stands.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    error::What,
    field::Field,
    marked::{Run, Use},
};
use crate::display::Shown;

/// How a link looks.
pub(super) const LINK: &str = "color:#0b57d0;overflow-wrap:anywhere";

/// The way in which a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// As it is.
    Plain,
    /// As text in HTML.
    Html,
    /// As a link to itself, in HTML.
    HtmlLink,
    /// As an address from its beginning on, in HTML where so said.
    Address {
        /// Whether in HTML.
        html: bool,
    },
    /// Inside an address, where it can be no more than a part of a path or query.
    Part {
        /// Whether in HTML.
        html: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Field, Shape),
}

/// The values of one mail, each checked.
pub(super) type Filling = BTreeMap<Field, String>;

/// Pieces, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pieces(Vec<Piece>);

impl Pieces {
    /// Fixed text, already as it is written.
    pub(super) fn text(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }

    /// A value.
    pub(super) fn value(&mut self, field: Field, shape: Shape) {
        self.0.push(Piece::Value(field, shape));
    }

    /// An address.
    pub(super) fn address(&mut self, address: &[Part], html: bool) {
        for part in address {
            match part {
                Part::Text(text) if html => self.text(&escaped(text)),
                Part::Text(text) => self.text(text),
                Part::Start(field) => self.value(*field, Shape::Address { html }),
                Part::Inside(field) => self.value(*field, Shape::Part { html }),
            }
        }
    }

    /// The values that are the beginning of an address.
    pub(super) fn addressed(&self) -> impl Iterator<Item = Field> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Value(field, Shape::Address { .. }) => Some(*field),
            Piece::Value(..) | Piece::Text(_) => None,
        })
    }

    /// The text with these values.
    pub(super) fn filled(&self, values: &Filling) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Value(field, shape) => {
                    let value = values.get(field).map(String::as_str).unwrap_or_default();
                    match shape {
                        Shape::Plain | Shape::Address { html: false } => filled.push_str(value),
                        Shape::Html | Shape::Address { html: true } => filled.push_str(&escaped(value)),
                        Shape::HtmlLink => {
                            let value = escaped(value);
                            let _ = write!(filled, "<a href=\"{value}\" style=\"{LINK}\">{value}</a>");
                        }
                        // Nothing of it needs to be escaped.
                        Shape::Part { .. } => filled.push_str(&as_part(value)),
                    }
                }
            }
        }
        filled
    }
}

/// Text in HTML, in an element or in an attribute's quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A value as a part of an address: it can end neither path nor query. `@` stays, for addresses after `mailto:`.
fn as_part(value: &str) -> String {
    let mut part = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'@') {
            part.push(char::from(byte));
        } else {
            let _ = write!(part, "%{byte:02X}");
        }
    }
    part
}

/// A part of the address that a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Start(Field),
    Inside(Field),
}

/// Whether a text is the address of something on the web: `https://` or `http://`, a host, and no user.
pub(super) fn is_web_address(text: &str) -> bool {
    web_host(text).is_some_and(|host| !host.is_empty() && !host.contains('@')) && !text.contains(is_no_part)
}

/// What stands between `https://` and the next `/`, `?` or `#`.
fn web_host(text: &str) -> Option<&str> {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let scheme = ["https://", "http://"].into_iter().find(|scheme| begins(scheme))?;
    text.get(scheme.len()..)?.split(['/', '?', '#']).next()
}

/// Characters that no address is written with.
fn is_no_part(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '\\' | '`' | '{' | '}' | '|' | '^')
}

/// Reads where a link leads: nothing that is filled in may change how it is reached, or at which machine it ends.
pub(super) fn address(runs: &[Run<'_>]) -> Result<Vec<Part>, What> {
    let bad = || {
        let shown = runs.iter().map(|run| match run {
            Run::Text(text) => Shown(text).to_string(),
            Run::Use(used) => format!("{{{{ {} }}}}", used.written),
        });
        What::Address(shown.collect())
    };
    let host = |used: &Use| What::Host(used.written.clone());
    let (first, rest) = runs.split_first().ok_or_else(bad)?;
    if runs.iter().any(|run| matches!(run, Run::Text(text) if text.contains(is_no_part))) {
        return Err(bad());
    }
    let mut parts = Vec::new();
    match first {
        Run::Use(used) if used.field.is_address() || matches!(used.field, Field::Column(_)) => {
            parts.push(Part::Start(used.field));
            match rest.first() {
                None => {}
                Some(Run::Text(text)) if text.starts_with(['/', '?', '#']) => {}
                Some(Run::Text(_)) => return Err(bad()),
                Some(Run::Use(next)) => return Err(host(next)),
            }
        }
        Run::Use(_) => return Err(bad()),
        Run::Text(text) => {
            match web_host(text) {
                Some(_) if is_web_address(text) => {
                    let ends = text.get("https://".len()..).is_some_and(|after| after.contains(['/', '?', '#']));
                    if let (Some(Run::Use(next)), false) = (rest.first(), ends) {
                        return Err(host(next));
                    }
                }
                None if text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("mailto:")) => {}
                Some(_) => {
                    return Err(match rest.first() {
                        Some(Run::Use(next)) if web_host(text) == Some("") => host(next),
                        _ => bad(),
                    });
                }
                None => return Err(bad()),
            }
            parts.push(Part::Text((*text).to_owned()));
        }
    }
    parts.extend(rest.iter().map(|run| match run {
        Run::Text(text) => Part::Text((*text).to_owned()),
        Run::Use(used) => Part::Inside(used.field),
    }));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(field: Field) -> Use {
        Use { field, written: "x".to_owned(), line: 1, number: 0 }
    }

    #[test]
    fn a_value_changes_neither_scheme_nor_host_of_a_link() {
        let (portal, column, name) = (used(Field::Portal), used(Field::Column(3)), used(Field::PortalName));
        let good: [&[Run]; 7] = [
            &[Run::Use(&portal)],
            &[Run::Use(&column)],
            &[Run::Use(&portal), Run::Text("/rooms/"), Run::Use(&name)],
            &[Run::Text("https://hr.example.com/")],
            &[Run::Text("https://hr.example.com/p?id="), Run::Use(&column)],
            &[Run::Text("http://x?"), Run::Use(&name)],
            &[Run::Text("mailto:"), Run::Use(&column), Run::Text("?subject="), Run::Use(&name)],
        ];
        for runs in good {
            assert!(address(runs).is_ok(), "{runs:?}");
        }
        let host: [&[Run]; 4] = [
            &[Run::Text("https://"), Run::Use(&name), Run::Text(".example.com/")],
            &[Run::Text("https://example.com"), Run::Use(&name)],
            &[Run::Text("http://x"), Run::Use(&name), Run::Text("/")],
            &[Run::Use(&portal), Run::Use(&name)],
        ];
        for runs in host {
            assert!(matches!(address(runs), Err(What::Host(_))), "{runs:?}");
        }
        let bad: [&[Run]; 11] = [
            &[],
            &[Run::Use(&name)],
            &[Run::Use(&portal), Run::Text(".evil.example/")],
            &[Run::Text("javascript:alert(1)")],
            &[Run::Text("data:text/html,x")],
            &[Run::Text("file:///etc/passwd")],
            &[Run::Text("page.html")],
            &[Run::Text("#top")],
            &[Run::Text("https://user@example.com/")],
            &[Run::Text("https:///x")],
            &[Run::Text("https://example.com/a b")],
        ];
        for runs in bad {
            assert!(matches!(address(runs), Err(What::Address(_))), "{runs:?}");
        }
    }

    #[test]
    fn values_are_written_for_the_place_where_they_stand() {
        let values = Filling::from([(Field::Column(1), "a<b>&\"'/../?x=1#@".to_owned())]);
        let shaped = |shape| {
            let mut pieces = Pieces::default();
            pieces.value(Field::Column(1), shape);
            pieces.filled(&values)
        };
        assert_eq!(shaped(Shape::Plain), "a<b>&\"'/../?x=1#@");
        assert_eq!(shaped(Shape::Html), "a&lt;b&gt;&amp;&quot;&#39;/../?x=1#@");
        assert_eq!(shaped(Shape::Part { html: true }), "a%3Cb%3E%26%22%27%2F..%2F%3Fx%3D1%23@");
        for text in ["https://a", "HTTP://a.b/c?d#e", "https://b\u{fc}cher.example/"] {
            assert!(is_web_address(text), "{text}");
        }
        for text in
            ["", "a", "https://", "https:///x", "https://a@b/", "javascript://a", "https://a/\"", "https://a\nb"]
        {
            assert!(!is_web_address(text), "{text:?}");
        }
    }
}
