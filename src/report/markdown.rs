//! The only place that knows markdown, so the only place that escapes for it.
use super::Piece;
use std::fmt::Write;

pub(super) fn render(title: &str, pieces: &[Piece]) -> String {
    let mut out = format!("# {}\n\n", escape(title));
    for piece in pieces {
        // Writing to a string does not fail.
        let _ = match piece {
            Piece::Heading(level, text) => writeln!(
                out,
                "{} {}\n",
                "#".repeat(usize::from(*level)),
                escape(text)
            ),
            Piece::Paragraph(text) => writeln!(out, "{}\n", escape(text)),
            Piece::List(items) => {
                items.iter().for_each(|item| {
                    let _ = writeln!(out, "- {}", escape(item));
                });
                writeln!(out)
            }
            Piece::Table { header, rows } => {
                let line = |cells: &[String]| {
                    format!(
                        "| {} |\n",
                        cells
                            .iter()
                            .map(|c| escape(c))
                            .collect::<Vec<_>>()
                            .join(" | ")
                    )
                };
                out.push_str(&line(header));
                out.push_str(&format!("|{}\n", "---|".repeat(header.len())));
                rows.iter().for_each(|row| out.push_str(&line(row)));
                writeln!(out)
            }
            Piece::Figure { figure, caption } => {
                let vector = match figure.drawing {
                    super::plot::Drawing::Picture { .. } => String::new(),
                    _ => format!(" ([SVG]({}.svg))", figure.file),
                };
                writeln!(
                    out,
                    "![{0}]({1}.png)\n\n*{0}*{vector}\n",
                    escape(caption),
                    figure.file
                )
            }
            Piece::Code { language, text } => {
                // A fence longer than any in the text cannot be closed by it.
                let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
                let fence = "`".repeat(longest.max(2) + 1);
                writeln!(out, "{fence}{language}\n{}\n{fence}\n", text.trim_end())
            }
        };
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// Text as text: nothing in it can become a link, a tag, a cell or a heading.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '[' | ']' | '|' | '#' => {
                out.push('\\');
                out.push(c);
            }
            // Inside a word an underscore is only an underscore; elsewhere it would start emphasis.
            '_' => out.push_str(if out.ends_with(|p: char| p.is_alphanumeric()) {
                "_"
            } else {
                "\\_"
            }),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_text() {
        let hostile = "a|b <script>x</script> `c` [l](u) *e*\n# h";
        let table = Piece::Table {
            header: vec![hostile.into()],
            rows: vec![vec![hostile.into()]],
        };
        let out = render("t", &[table]);
        assert!(
            !out.contains("<script>") && !out.contains("[l](u)"),
            "{out}"
        );
        let rows: Vec<&str> = out.lines().filter(|l| l.starts_with('|')).collect();
        assert_eq!(rows.len(), 3, "{out}");
        assert!(
            rows.iter()
                .all(|r| r.replace("\\|", "").matches('|').count() == 2),
            "{out}"
        );
        let code = render(
            "t",
            &[Piece::Code {
                language: "yaml",
                text: "a: ```\nb".into(),
            }],
        );
        assert!(code.contains("````yaml"), "{code}");
    }
}
