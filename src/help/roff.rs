//! A page as the manual has it: roff, with `tbl` for tables.

use super::page::{Block, Face, Page, Span};

/// The manual's page of a topic of this name and title; the others are named below it.
pub(super) fn manual<'o>(
    (name, title): (&str, &str),
    page: &Page,
    others: impl Iterator<Item = &'o str>,
    version: &str,
) -> String {
    let name = escaped(&format!("onboard-{name}"));
    let others: Vec<String> = others.map(|other| format!("\\fBonboard\\-{}\\fR(7)", escaped(other))).collect();
    let head = [
        "'\\\" t".to_owned(),
        format!(".TH {name} 7 \"\" \"onboard {}\" \"onboard\"", escaped(version)),
        ".SH NAME".to_owned(),
        format!("{name} \\- {}", escaped(title)),
        ".SH DESCRIPTION".to_owned(),
    ];
    let foot = [".SH SEE ALSO".to_owned(), format!("\\fBonboard\\fR(1), {}\n", others.join(", "))];
    head.into_iter().chain(stacked(&page.0)).chain(foot).collect::<Vec<_>>().join("\n")
}

/// Blocks below each other, in lines.
fn stacked(blocks: &[Block]) -> Vec<String> {
    let mut out = Vec::new();
    for block in blocks {
        match block {
            // The title stands in NAME already.
            Block::Heading(1, _) => {}
            Block::Heading(depth, text) => {
                out.push(format!("{} {}", if *depth == 2 { ".SH" } else { ".SS" }, flowing(text)));
            }
            Block::Paragraph(text) => out.extend([".PP".to_owned(), line(&flowing(text))]),
            Block::Code(lines) => {
                out.extend([".PP", ".RS 4", ".nf"].map(str::to_owned));
                out.extend(lines.iter().map(|text| line(&escaped(text))));
                out.extend([".fi", ".RE"].map(str::to_owned));
            }
            Block::List(first, items) => out.extend(list(*first, items)),
            Block::Quote(blocks) => {
                out.push(".RS 4".to_owned());
                out.extend(stacked(blocks));
                out.push(".RE".to_owned());
            }
            Block::Table(head, rows) => {
                // All columns but the last are as wide as they like.
                let columns = |face: &str| {
                    let mut columns = vec![format!("l{face}"); head.len().saturating_sub(1)];
                    columns.push(format!("l{face}x"));
                    columns.join(" ")
                };
                let cell = |text: &Vec<Span>| format!("T{{\n{}\nT}}", line(&flowing(text)));
                let row = |row: &Vec<Vec<Span>>| row.iter().map(cell).collect::<Vec<_>>().join("\t");
                out.extend([".PP", ".TS", "nowarn;"].map(str::to_owned));
                out.extend([columns("b"), format!("{}.", columns(""))]);
                out.extend(std::iter::once(head).chain(rows).map(row));
                out.push(".TE".to_owned());
            }
        }
    }
    out
}

fn list(first: Option<u64>, items: &[Vec<Block>]) -> Vec<String> {
    let mut out = Vec::new();
    for (item, number) in items.iter().zip(first.unwrap_or_default()..) {
        out.push(if first.is_some() { format!(".IP {number}. 4") } else { ".IP \\(bu 2".to_owned() });
        // The first paragraph stands beside the mark; what follows is set in as far.
        let inside = stacked(item).into_iter().enumerate();
        let lines = inside.filter(|(place, line)| *place > 0 || line != ".PP").map(|(_, line)| line);
        out.extend(lines.map(|line| if line == ".PP" { ".IP".to_owned() } else { line }));
    }
    out
}

fn flowing(text: &[Span]) -> String {
    let span = |span: &Span| {
        let text = escaped(&span.text);
        match span.face {
            Face::Plain => text,
            Face::Code | Face::Strong => format!("\\fB{text}\\fR"),
            Face::Emphasis => format!("\\fI{text}\\fR"),
        }
    };
    text.iter().map(span).collect()
}

/// A line of text that is no request of roff's.
fn line(text: &str) -> String {
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text.to_owned() }
}

/// Text that means itself: a hyphen that can be copied, too.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            '"' => out.push_str("\\(dq"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_the_manual_keeps_commands_as_they_are() {
        let page = Page::read(
            "# On it\n\n.start `a-b` 'c'\n\n## More\n\n- x\n- y\n\n  z\n\n```\n.a \\ --b\n```\n\n| h | i |\n| --- | --- |\n| j | k |\n",
        );
        let text = manual(("a-b", "On it"), &page, ["c"].into_iter(), "1.2");
        let expected = "'\\\" t\n.TH onboard\\-a\\-b 7 \"\" \"onboard 1.2\" \"onboard\"\n.SH NAME\nonboard\\-a\\-b \\- On \
                        it\n.SH DESCRIPTION\n.PP\n\\&.start \\fBa\\-b\\fR \\(aqc\\(aq\n.SH More\n.IP \\(bu 2\nx\n.IP \\(bu \
                        2\ny\n.IP\nz\n.PP\n.RS 4\n.nf\n\\&.a \\e \\-\\-b\n.fi\n.RE\n.PP\n.TS\nnowarn;\nlb lbx\nl lx.\nT{\nh\n\
                        T}\tT{\ni\nT}\nT{\nj\nT}\tT{\nk\nT}\n.TE\n.SH SEE ALSO\n\\fBonboard\\fR(1), \\fBonboard\\-c\\fR(7)\n";
        assert_eq!(text, expected);
    }
}
