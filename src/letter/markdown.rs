//! Markdown with marks, made into the two parts of a mail: plain text, and HTML of which everything is in it.
//!
//! It is read once, before any value is there: paragraphs, headings, emphasis, lists, links, quotes, code and rules, as
//! `CommonMark` has them.

use std::collections::BTreeSet;

use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use super::{
    error::{DEEPEST, Trouble, What},
    marked::{Marked, Run},
    piece::{self, LINK, Part, Pieces, Shape, escaped},
};

/// The two parts of a message.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub text: Pieces,
    /// What stands in the page's body.
    pub html: Pieces,
}

/// Reads the Markdown that begins on this line of its file.
pub(super) fn parts(marked: &Marked, first_line: usize) -> Result<Parts, Trouble> {
    let mut writer =
        Writer { marked, plain: Plain::default(), html: Pieces::default(), link: None, seen: BTreeSet::new() };
    let events = Parser::new_ext(&marked.text, Options::empty()).into_offset_iter();
    for (event, place) in events {
        let line = || first_line + marked.text.get(..place.start).unwrap_or_default().matches('\n').count();
        writer.take(event).map_err(|what| Trouble::on(line(), what))?;
    }
    let unseen = marked.uses.iter().find(|used| !writer.seen.contains(&used.number));
    if let Some(used) = unseen {
        return Err(Trouble::on(used.line, What::Unseen(used.written.clone())));
    }
    Ok(Parts { text: writer.plain.out, html: writer.html })
}

const BLOCK: &str = "margin:0 0 16px";
const MONOSPACE: &str = "font-family:ui-monospace,Menlo,Consolas,monospace";

struct Writer<'m> {
    marked: &'m Marked,
    plain: Plain,
    html: Pieces,
    link: Option<Link>,
    /// The placeholders that are shown somewhere.
    seen: BTreeSet<usize>,
}

/// A link that is being read.
struct Link {
    address: Vec<Part>,
    /// Where it leads and what it says, to be compared.
    leads: String,
    says: String,
}

impl Writer<'_> {
    fn take(&mut self, event: Event<'_>) -> Result<(), What> {
        match event {
            Event::Start(tag) => self.start(tag)?,
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.text(&text),
            Event::Code(code) => {
                self.html.text(&format!("<code style=\"{MONOSPACE};font-size:0.9em\">"));
                self.text(&code);
                self.html.text("</code>");
            }
            Event::SoftBreak => {
                self.plain.text(" ");
                self.html.text("\n");
            }
            Event::HardBreak => {
                self.plain.fresh_line();
                self.html.text("<br>\n");
            }
            Event::Rule => {
                self.plain.block();
                self.plain.text("----------");
                self.html.text("<hr style=\"border:0;border-top:1px solid #8a8a8a;margin:24px 0\">\n");
            }
            Event::Html(_) | Event::InlineHtml(_) => return Err(What::Html),
            // Of extensions that are not switched on.
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => self.text(&text),
            Event::TaskListMarker(_) => {}
        }
        Ok(())
    }

    fn start(&mut self, tag: Tag<'_>) -> Result<(), What> {
        if self.plain.margins.len() > DEEPEST {
            return Err(What::TooDeep);
        }
        match tag {
            Tag::Paragraph => {
                self.plain.block();
                self.html.text(&format!("<p style=\"{BLOCK}\">"));
            }
            Tag::Heading { level, .. } => {
                self.plain.block();
                let (name, size) = heading(level);
                self.html.text(&format!("<{name} style=\"{BLOCK};font-size:{size}px;line-height:1.3\">"));
            }
            Tag::BlockQuote(_) => {
                self.plain.block();
                self.plain.margins.push(Margin::new("> ", "> "));
                self.html
                    .text("<blockquote style=\"margin:0 0 16px;padding:0 0 0 16px;border-left:3px solid #8a8a8a\">\n");
            }
            Tag::CodeBlock(_) => {
                self.plain.block();
                self.plain.margins.push(Margin::new("    ", "    "));
                self.html.text(&format!(
                    "<pre style=\"{BLOCK};padding:12px;border:1px solid #8a8a8a;border-radius:4px;{MONOSPACE};\
                     font-size:14px;line-height:1.4;white-space:pre-wrap;overflow-wrap:anywhere\">"
                ));
            }
            Tag::List(start) => {
                let below = if self.plain.is_in_item() {
                    self.plain.fresh_line();
                    4
                } else {
                    self.plain.block();
                    16
                };
                self.plain.lists.push(start);
                let style = format!("style=\"margin:0 0 {below}px;padding-left:24px\"");
                self.html.text(&match start {
                    None => format!("<ul {style}>\n"),
                    Some(1) => format!("<ol {style}>\n"),
                    Some(from) => format!("<ol start=\"{from}\" {style}>\n"),
                });
            }
            Tag::Item => {
                self.plain.item();
                self.html.text("<li style=\"margin:0 0 4px\">");
            }
            Tag::Emphasis => self.html.text("<em>"),
            Tag::Strong => self.html.text("<strong>"),
            Tag::Link { link_type, dest_url, .. } => self.start_link(link_type, &dest_url)?,
            Tag::Image { .. } => return Err(What::Image),
            Tag::HtmlBlock => return Err(What::Html),
            // Of extensions that are not switched on.
            Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Table(_)
            | Tag::TableHead
            | Tag::TableRow
            | Tag::TableCell
            | Tag::Strikethrough
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => {}
        }
        Ok(())
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph => self.html.text("</p>\n"),
            TagEnd::Heading(level) => self.html.text(&format!("</{}>\n", heading(level).0)),
            TagEnd::BlockQuote(_) => {
                self.plain.margins.pop();
                self.html.text("</blockquote>\n");
            }
            TagEnd::CodeBlock => {
                self.plain.margins.pop();
                self.html.text("</pre>\n");
            }
            TagEnd::List(numbered) => {
                self.plain.lists.pop();
                self.html.text(if numbered { "</ol>\n" } else { "</ul>\n" });
            }
            TagEnd::Item => {
                self.plain.end_item();
                self.html.text("</li>\n");
            }
            TagEnd::Emphasis => self.html.text("</em>"),
            TagEnd::Strong => self.html.text("</strong>"),
            TagEnd::Link => self.end_link(),
            TagEnd::Image
            | TagEnd::HtmlBlock
            | TagEnd::FootnoteDefinition
            | TagEnd::DefinitionList
            | TagEnd::DefinitionListTitle
            | TagEnd::DefinitionListDefinition
            | TagEnd::Table
            | TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::TableCell
            | TagEnd::Strikethrough
            | TagEnd::Superscript
            | TagEnd::Subscript
            | TagEnd::MetadataBlock(_) => {}
        }
    }

    fn start_link(&mut self, kind: LinkType, leads: &CowStr<'_>) -> Result<(), What> {
        let leads = if kind == LinkType::Email { format!("mailto:{leads}") } else { leads.to_string() };
        let marked = self.marked;
        let runs = marked.runs(&leads);
        self.see(&runs);
        let address = piece::address(&runs)?;
        self.html.text("<a href=\"");
        self.html.address(&address, true);
        self.html.text(&format!("\" style=\"{LINK}\">"));
        self.link = Some(Link { address, leads: compared(&runs), says: String::new() });
        Ok(())
    }

    fn end_link(&mut self) {
        self.html.text("</a>");
        let Some(link) = self.link.take() else { return };
        if link.leads != link.says && link.leads != format!("mailto:{}", link.says) {
            self.plain.text(" <");
            self.plain.out.address(&link.address, false);
            self.plain.text(">");
        }
    }

    fn text(&mut self, text: &str) {
        let marked = self.marked;
        let runs = marked.runs(text);
        self.see(&runs);
        if let Some(link) = &mut self.link {
            link.says.push_str(&compared(&runs));
        }
        for (place, run) in runs.iter().enumerate() {
            match run {
                Run::Text(text) => {
                    for (number, line) in text.split('\n').enumerate() {
                        if number > 0 && self.plain.on_line {
                            self.plain.fresh_line();
                        } else if number > 0 {
                            self.plain.empty_line();
                        }
                        self.plain.text(line);
                    }
                    self.html.text(&escaped(text));
                }
                Run::Use(used) => {
                    self.plain.begin();
                    self.plain.out.value(used.field, Shape::Plain);
                    // An address that goes on is not linked by half: mail programs find it themselves.
                    let goes_on = match runs.get(place + 1) {
                        Some(Run::Text(next)) => next.starts_with(['/', '?', '#']),
                        Some(Run::Use(_)) => true,
                        None => false,
                    };
                    let is_link = used.field.is_address() && self.link.is_none() && !goes_on;
                    self.html.value(used.field, if is_link { Shape::HtmlLink } else { Shape::Html });
                }
            }
        }
    }

    fn see(&mut self, runs: &[Run<'_>]) {
        for run in runs {
            if let Run::Use(used) = run {
                self.seen.insert(used.number);
            }
        }
    }
}

/// Runs as one text in which the same value is the same text.
fn compared(runs: &[Run<'_>]) -> String {
    runs.iter()
        .map(|run| match run {
            Run::Text(text) => (*text).to_owned(),
            Run::Use(used) => format!("{{{{{:?}}}}}", used.field),
        })
        .collect()
}

fn heading(level: HeadingLevel) -> (&'static str, u8) {
    match level {
        HeadingLevel::H1 => ("h1", 24),
        HeadingLevel::H2 => ("h2", 20),
        HeadingLevel::H3 => ("h3", 18),
        HeadingLevel::H4 => ("h4", 16),
        HeadingLevel::H5 => ("h5", 16),
        HeadingLevel::H6 => ("h6", 16),
    }
}

/// Plain text that is being written, line by line.
#[derive(Default)]
struct Plain {
    out: Pieces,
    margins: Vec<Margin>,
    /// The lists that are open: the next number, where they have numbers.
    lists: Vec<Option<u64>>,
    /// Whether something stands on the line.
    on_line: bool,
    /// Whether something was written at all.
    begun: bool,
}

/// What stands at the beginning of lines.
struct Margin {
    first: String,
    rest: &'static str,
    wide: usize,
    used: bool,
    is_item: bool,
}

impl Margin {
    fn new(first: &str, rest: &'static str) -> Self {
        Self { first: first.to_owned(), rest, wide: 0, used: false, is_item: false }
    }

    fn next(&mut self) -> String {
        if std::mem::replace(&mut self.used, true) { self.again() } else { self.first.clone() }
    }

    /// What stands there from the second line on.
    fn again(&self) -> String {
        format!("{}{}", self.rest, " ".repeat(self.wide))
    }
}

impl Plain {
    /// Text without line ends.
    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.begin();
            self.out.text(text);
        }
    }

    /// Makes sure that the line's margin is there.
    fn begin(&mut self) {
        if !self.on_line {
            let margin: String = self.margins.iter_mut().map(Margin::next).collect();
            self.out.text(&margin);
            self.on_line = true;
            self.begun = true;
        }
    }

    fn fresh_line(&mut self) {
        if self.on_line {
            self.out.text("\n");
            self.on_line = false;
        }
    }

    /// A block begins: after an empty line, unless it is the first of what it stands in.
    fn block(&mut self) {
        self.fresh_line();
        if self.begun && self.margins.last().is_none_or(|margin| margin.used) {
            self.empty_line();
        }
    }

    fn empty_line(&mut self) {
        let used = self.margins.iter().filter(|margin| margin.used);
        let margin: String = used.map(Margin::again).collect();
        self.out.text(&format!("{}\n", margin.trim_end()));
    }

    fn is_in_item(&self) -> bool {
        self.margins.last().is_some_and(|margin| margin.is_item)
    }

    fn item(&mut self) {
        self.fresh_line();
        let first = match self.lists.last_mut() {
            Some(Some(number)) => {
                let first = format!("{number}. ");
                *number = number.saturating_add(1);
                first
            }
            Some(None) | None => "- ".to_owned(),
        };
        let wide = first.len();
        self.margins.push(Margin { first, rest: "", wide, used: false, is_item: true });
    }

    fn end_item(&mut self) {
        // An item with nothing in it is an item.
        if self.margins.last().is_some_and(|margin| !margin.used) {
            self.begin();
        }
        self.margins.pop();
        self.fresh_line();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        letter::{
            field::{Field, Fields},
            piece::Filling,
        },
        roster::Columns,
    };

    fn both(text: &str) -> Result<(String, String), String> {
        let fields = Fields::of(&Columns::default());
        let marked = Marked::of(text, 1, &fields).map_err(|trouble| trouble.what.to_string())?;
        let parts = parts(&marked, 1).map_err(|trouble| format!("{}: {}", trouble.line, trouble.what))?;
        let values = Filling::from([
            (Field::PortalName, "<b>*Ada* [x](http://evil.example) &amp; {{ key }}".to_owned()),
            (Field::Portal, "https://portal.example.com".to_owned()),
        ]);
        Ok((parts.text.filled(&values), parts.html.filled(&values)))
    }

    #[test]
    fn values_are_never_read_as_markdown_html_or_placeholders() {
        let (text, html) = both("Hello **{{ name }}**, `{{ name }}`").expect("read");
        let value = "<b>*Ada* [x](http://evil.example) &amp; {{ key }}";
        assert_eq!(text, format!("Hello {value}, {value}"));
        let safe = "&lt;b&gt;*Ada* [x](http://evil.example) &amp;amp; {{ key }}";
        assert!(html.contains(&format!("<strong>{safe}</strong>")), "{html}");
        assert!(!html.contains("<b>") && !html.contains("evil.example\""), "{html}");
    }

    #[test]
    fn text_is_what_somebody_would_have_typed() {
        let (text, _) = both(
            "# Welcome\n\nOne line\nand on,  \nthen a break.\n\n- a\n- b *c*\n  1. d\n  2. e\n\n     f\n\n> quoted\n>\n> twice\n\n\
             ---\n\n```sh\nls -l\n\nx\n```\n\n7. g\n\nSee [the rooms]({{ portal }}/rooms), [{{ portal }}]({{ portal }}), \
             <https://a.example/x> and <it@example.com>.",
        )
        .expect("read");
        assert_eq!(
            text,
            "Welcome\n\nOne line and on,\nthen a break.\n\n- a\n- b c\n  1. d\n  2. e\n\n     f\n\n> quoted\n>\n> twice\n\n\
             ----------\n\n    ls -l\n\n    x\n\n7. g\n\nSee the rooms <https://portal.example.com/rooms>, \
             https://portal.example.com, https://a.example/x and it@example.com."
        );
    }

    #[test]
    fn an_address_in_the_text_is_a_link_and_one_that_goes_on_is_left_to_the_reader() {
        let (_, html) = both("{{ portal }}. {{ portal }}/x [y]({{ portal }})").expect("read");
        assert_eq!(html.matches("<a href=\"https://portal.example.com\"").count(), 2, "{html}");
        assert!(html.contains("</a>. https://portal.example.com/x <a"), "{html}");
    }

    #[test]
    fn what_no_mail_should_hold_is_told_with_its_line() {
        for (text, told) in [
            ("a\n\n<div>x</div>", "3: a message is written in Markdown"),
            ("a <b>x</b>", "1: a message is written in Markdown"),
            ("<!-- note -->", "1: a message is written in Markdown"),
            ("a\n![x](https://a.example/x.png)", "2: a message has no images"),
            ("[x](javascript:alert)", "1: the link leads to `javascript:alert`"),
            ("[x](page)", "1: the link leads to `page`"),
            ("[x](https://{{ name }}/)", "1: `{{ name }}` could change the machine"),
            ("```{{ name }}\nx\n```", "1: `{{ name }}` stands where nothing is shown"),
            ("[a]: {{ portal }}\n\nb", "1: `{{ portal }}` stands where nothing is shown"),
        ] {
            let error = both(text).expect_err(text);
            assert!(error.starts_with(told), "{text}: {error}");
        }
        for deep in [">".repeat(100_000), "- ".repeat(50_000), "[".repeat(100_000), "*a ".repeat(50_000)] {
            let (text, told) = (format!("{deep}x"), "1: quotes and lists stand in each other");
            assert!(both(&text).map_or_else(|error| error.starts_with(told), |_| !deep.starts_with(['>', '-'])));
        }
        assert!(both("a < b, \\<b>, &lt;i&gt;").is_ok());
    }
}
