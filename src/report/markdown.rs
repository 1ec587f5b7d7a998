//! The only place that knows markdown, so the only place that escapes for it.
use super::{Align, Files, Piece, Row};
use std::fmt::Write;

/// Begins every report: who wrote the file, so that a later report knows which files beside it are its own.
pub(super) const MARK: &str = "<!-- Written by phasetune from recorded measurements; changes are lost with the next report. -->";

pub(super) fn render(title: &str, pieces: &[Piece]) -> String {
    let mut out = format!("{MARK}\n# {}\n\n", escape(title));
    pieces.iter().for_each(|piece| write(&mut out, piece));
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

fn write(out: &mut String, piece: &Piece) {
    // Writing to a string does not fail.
    let _ = match piece {
        Piece::Heading(level, text) => writeln!(
            out,
            "{} {}\n",
            "#".repeat(usize::from(*level)),
            escape(text)
        ),
        Piece::Paragraph(text) => writeln!(out, "{}\n", block(text)),
        Piece::Strong(text) => writeln!(out, "**{}**\n", escape(text)),
        Piece::List(items) => {
            items.iter().for_each(|item| {
                let _ = writeln!(out, "- {}", block(item));
            });
            writeln!(out)
        }
        Piece::Table { header, rows } => {
            table(out, header, rows);
            writeln!(out)
        }
        Piece::Figure(figure) => {
            let vector = match figure.files {
                Files::Both => format!(" ([SVG]({}.svg))", figure.file),
                Files::PngOnly => String::new(),
            };
            let (title, caption) = (escape(&figure.title), escape(&figure.caption));
            writeln!(
                out,
                "![{title}]({}.png)\n\n*{caption}*{vector}\n",
                figure.file
            )
        }
        Piece::Code { language, text } => {
            // A fence longer than any in the text cannot be closed by it.
            let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
            let fence = "`".repeat(longest.max(2) + 1);
            writeln!(
                out,
                "{fence}{language}\n{}\n{fence}\n",
                without_controls(text.trim_end())
            )
        }
        Piece::Folded { summary, pieces } => {
            let _ = writeln!(
                out,
                "<details>\n<summary>{}</summary>\n",
                escape_html(summary)
            );
            pieces.iter().for_each(|piece| write(out, piece));
            writeln!(out, "</details>\n")
        }
    };
}

fn table(out: &mut String, header: &[(String, Align)], rows: &[Row]) {
    let mut line = |cells: &[String]| {
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    };
    line(
        &header
            .iter()
            .map(|(name, _)| escape(name))
            .collect::<Vec<_>>(),
    );
    let rule = |align: &Align| match align {
        Align::Left => "---".to_owned(),
        Align::Right => "---:".to_owned(),
    };
    line(
        &header
            .iter()
            .map(|(_, align)| rule(align))
            .collect::<Vec<_>>(),
    );
    for row in rows {
        let cell = |text: &String| match row.is_strong && !text.trim().is_empty() {
            true => format!("**{}**", escape(text.trim())),
            false => escape(text),
        };
        line(&row.cells.iter().map(cell).collect::<Vec<_>>());
    }
}

/// Text as text: nothing in it can become a link, a tag, a cell or a heading.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        let is_inside_word = out.ends_with(|p: char| p.is_alphanumeric())
            && letters.peek().is_some_and(|n| n.is_alphanumeric());
        match c {
            '\\' | '`' | '*' | '[' | ']' | '|' | '#' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            // Inside a word an underscore is only an underscore; elsewhere it would start emphasis.
            '_' if !is_inside_word => out.push_str("\\_"),
            // No address becomes a link by itself.
            ':' if letters.peek() == Some(&'/') => out.push_str("&#58;"),
            '@' => out.push_str("&#64;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c => out.push(plain(c)),
        }
    }
    out
}

/// A paragraph or an item of a list: what would make its beginning a list, a quote or a rule is escaped as well.
fn block(text: &str) -> String {
    let escaped = escape(text.trim_start());
    let digits = escaped.chars().take_while(char::is_ascii_digit).count();
    match escaped.chars().next() {
        Some('-' | '+' | '=') => format!("\\{escaped}"),
        Some('0'..='9') if escaped[digits..].starts_with(['.', ')']) => {
            format!("{}\\{}", &escaped[..digits], &escaped[digits..])
        }
        _ => escaped,
    }
}

/// Inside a tag, where markdown is not read.
fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c => out.push(plain(c)),
        }
    }
    out
}

/// Control characters, and those that turn the direction of what follows, become spaces.
fn plain(c: char) -> char {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}');
    if c.is_control() || turns { ' ' } else { c }
}

fn without_controls(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' || c == '\t' { c } else { plain(c) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOSTILE: &str =
        "a|b <script>x</script> `c` [l](u) *e*\n# h ~~s~~ $x$ https://evil.example @all \u{202e}";

    fn one_cell(text: &str) -> String {
        let row = Row {
            cells: vec![text.into()],
            is_strong: false,
        };
        let header = vec![(text.into(), Align::Left)];
        render(
            "t",
            &[Piece::Table {
                header,
                rows: vec![row],
            }],
        )
    }

    #[test]
    fn hostile_names_stay_text() {
        let out = one_cell(HOSTILE);
        for markup in ["<script>", "[l](u)", "://", "@all", "\u{202e}", " `c`"] {
            assert!(!out.contains(markup), "{markup} in {out}");
        }
        let rows: Vec<&str> = out.lines().filter(|l| l.starts_with('|')).collect();
        assert_eq!(rows.len(), 3, "{out}");
        assert!(
            rows.iter()
                .all(|r| r.replace("\\|", "").matches('|').count() == 2),
            "{out}"
        );
    }

    #[test]
    fn a_fence_cannot_be_closed_by_what_it_holds() {
        let code = render(
            "t",
            &[Piece::Code {
                language: "yaml",
                text: "a: ```\nb".into(),
            }],
        );
        assert!(code.contains("````yaml\na: ```\nb\n````"), "{code}");
    }

    #[test]
    fn a_paragraph_cannot_begin_a_list() {
        for (text, shown) in [
            ("- a", "\\- a"),
            ("1. a", "1\\. a"),
            ("+ a", "\\+ a"),
            ("12 a", "12 a"),
        ] {
            assert!(
                render("t", &[Piece::Paragraph(text.into())]).contains(&format!("\n{shown}\n")),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_one_cell(text in any::<String>()) {
            let out = one_cell(&text);
            let rows: Vec<&str> = out.lines().skip(3).collect();
            prop_assert_eq!(rows.len(), 3, "{}", out);
            for row in rows {
                prop_assert_eq!(row.replace("\\\\", "").replace("\\|", "").matches('|').count(), 2, "{}", row);
            }
        }
    }
}
