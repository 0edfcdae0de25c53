//! A page as it is written, in Markdown, read into blocks.

use std::iter::Peekable;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A page: one block below the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page(pub Vec<Block>);

/// A part of a page that stands on lines of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// How deep (the page's title is 1), and what.
    Heading(u8, Text),
    Paragraph(Text),
    /// Lines as they are.
    Code(Vec<String>),
    /// The number of the first item, where they are numbered.
    List(Option<u64>, Vec<Vec<Self>>),
    Quote(Vec<Self>),
    /// Its head, and its rows.
    Table(Vec<Text>, Vec<Vec<Text>>),
}

/// Text that flows.
pub(super) type Text = Vec<Span>;

/// A stretch of text in one face.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub text: String,
    pub face: Face,
}

/// How a stretch of text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    Plain,
    Strong,
    Emphasis,
    /// To be typed, or read, as it is.
    Code,
}

impl Page {
    pub(super) fn read(markdown: &str) -> Self {
        let mut events = Parser::new_ext(markdown, Options::ENABLE_TABLES).peekable();
        Self(blocks(&mut events))
    }
}

type Events<'m> = Peekable<Parser<'m>>;

/// The blocks up to the end of what holds them, which is taken, too.
fn blocks(events: &mut Events<'_>) -> Vec<Block> {
    let mut found = Vec::new();
    while let Some(event) = events.peek() {
        match event {
            Event::End(_) => {
                events.next();
                break;
            }
            Event::Start(tag) if !is_inline(tag) => {
                let tag = tag.clone();
                events.next();
                found.extend(block(&tag, events));
            }
            Event::Rule => drop(events.next()),
            // In an item of a list whose items stand close together.
            _ => found.push(Block::Paragraph(text(events, Face::Plain))),
        }
    }
    found
}

fn block(tag: &Tag<'_>, events: &mut Events<'_>) -> Option<Block> {
    Some(match tag {
        Tag::Heading { level, .. } => Block::Heading(depth(*level), whole(events)),
        Tag::CodeBlock(_) => {
            let all: String = whole(events).into_iter().map(|span| span.text).collect();
            Block::Code(all.lines().map(str::to_owned).collect())
        }
        Tag::List(first) => Block::List(*first, each(events, blocks)),
        Tag::BlockQuote(_) => Block::Quote(blocks(events)),
        Tag::Table(_) => {
            let mut rows = each(events, |events| each(events, whole)).into_iter();
            Block::Table(rows.next()?, rows.collect())
        }
        _ => Block::Paragraph(whole(events)),
    })
}

/// The parts of something, each read by the same.
fn each<T>(events: &mut Events<'_>, read: impl Fn(&mut Events<'_>) -> T) -> Vec<T> {
    let mut found = Vec::new();
    while let Some(Event::Start(_)) = events.next() {
        found.push(read(events));
    }
    found
}

/// All of the text up to the end of what holds it, which is taken, too.
fn whole(events: &mut Events<'_>) -> Text {
    let text = text(events, Face::Plain);
    events.next();
    text
}

/// Text up to what is none.
fn text(events: &mut Events<'_>, face: Face) -> Text {
    let mut spans = Vec::new();
    let mut add = |text: &str, face| spans.push(Span { text: text.to_owned(), face });
    while let Some(event) = events.next_if(|event| match event {
        Event::Start(tag) => is_inline(tag),
        Event::End(_) | Event::Rule => false,
        _ => true,
    }) {
        match event {
            Event::Code(code) => add(&code, Face::Code),
            Event::SoftBreak | Event::HardBreak => add(" ", face),
            Event::Start(tag) => {
                let inner = match &tag {
                    Tag::Strong => Face::Strong,
                    Tag::Emphasis => Face::Emphasis,
                    _ => face,
                };
                let inside = text(events, inner);
                events.next();
                let says: String = inside.iter().map(|span| span.text.as_str()).collect();
                for span in &inside {
                    add(&span.text, span.face);
                }
                if let Tag::Link { dest_url, .. } = tag
                    && *dest_url != *says
                {
                    add(&format!(" <{dest_url}>"), face);
                }
            }
            Event::Text(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => add(&text, face),
            Event::End(_) | Event::Rule | Event::TaskListMarker(_) => {}
        }
    }
    spans
}

fn is_inline(tag: &Tag<'_>) -> bool {
    matches!(tag.to_end(), TagEnd::Emphasis | TagEnd::Strong | TagEnd::Link)
}

fn depth(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Text {
        vec![Span { text: text.to_owned(), face: Face::Plain }]
    }

    #[test]
    fn markdown_becomes_blocks() {
        let page = Page::read(
            "# Title\n\nOne `two` **three**.\n\n```sh\na  b\n\nc\n```\n\n- x\n- y\n\n  ```\n  z\n  ```\n\n> said\n\n\
             | h | i |\n| --- | --- |\n| j | k |\n",
        );
        let faces: Vec<(&str, Face)> = match page.0.get(1) {
            Some(Block::Paragraph(text)) => text.iter().map(|span| (span.text.as_str(), span.face)).collect(),
            other => panic!("{other:?}"),
        };
        let expected = [("One ", Face::Plain), ("two", Face::Code), (" ", Face::Plain), ("three", Face::Strong)];
        assert_eq!(faces, [&expected[..], &[(".", Face::Plain)]].concat());
        let rest = [
            Block::Code(vec!["a  b".to_owned(), String::new(), "c".to_owned()]),
            Block::List(
                None,
                vec![
                    vec![Block::Paragraph(plain("x"))],
                    vec![Block::Paragraph(plain("y")), Block::Code(vec!["z".to_owned()])],
                ],
            ),
            Block::Quote(vec![Block::Paragraph(plain("said"))]),
            Block::Table(vec![plain("h"), plain("i")], vec![vec![plain("j"), plain("k")]]),
        ];
        assert_eq!(page.0.first(), Some(&Block::Heading(1, plain("Title"))));
        assert_eq!(page.0.get(2..), Some(&rest[..]));
    }
}
