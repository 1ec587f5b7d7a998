//! Findings about a plan as people read them: the place, the line, what to do.
use super::terminal::plain;
use crate::diagnostic::{Diagnostic, Origin};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Renders all findings; the last line counts them.
pub(super) fn render(findings: &[Diagnostic], text: &str, path: &str, is_colored: bool) -> String {
    let renderer = match is_colored {
        true => Renderer::styled(),
        false => Renderer::plain(),
    };
    let (shown, path) = (harmless(text), plain(path));
    let mut out = String::new();
    for finding in findings {
        let message = plain(&finding.message);
        let help = finding.help.as_deref().map(plain);
        match &finding.origin {
            Origin::File { start, end } => {
                let snippet = Snippet::source(&shown)
                    .path(&path)
                    .annotation(AnnotationKind::Primary.span(place(text, *start, *end)));
                let mut group = Level::ERROR
                    .primary_title(message.as_str())
                    .element(snippet);
                if let Some(help) = &help {
                    group = group.element(Level::HELP.message(help.as_str()));
                }
                out.push_str(&renderer.render(&[group]).to_string());
            }
            Origin::Option(option) => {
                let is_named = option.starts_with("--");
                let option = plain(option);
                let option = if is_named {
                    option
                } else {
                    format!("--set {option}")
                };
                out.push_str(&format!("error: {option}: {message}"));
                if let Some(help) = help {
                    out.push_str(&format!("\n  = help: {help}"));
                }
            }
        }
        out.push_str("\n\n");
    }
    let n = findings.len();
    out.push_str(&format!(
        "{n} problem{} in {path}; nothing was run\n",
        if n == 1 { "" } else { "s" }
    ));
    out
}

/// The lines of a file as a terminal may get them.
fn harmless(text: &str) -> String {
    plain(&text.replace("\r\n", "\n"))
}

/// A range of the text as a range of its harmless form.
fn place(text: &str, start: usize, end: usize) -> std::ops::Range<usize> {
    let start = text.floor_char_boundary(start.min(text.len()));
    let end = text.ceil_char_boundary(end.clamp(start, text.len()));
    let before = |at: usize| harmless(text[..at].trim_end_matches('\r')).len();
    before(start)..before(end).max(before(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_move_no_place() {
        let text = "a: \u{1b}[2J\r\nb: wrong\r\n";
        let start = text.find("wrong").unwrap();
        let finding = Diagnostic {
            message: "no".into(),
            origin: Origin::File {
                start,
                end: start + 5,
            },
            help: None,
        };
        let shown = render(&[finding], text, "p.yaml", false);
        assert!(shown.contains("p.yaml:2:4"), "{shown}");
        assert!(shown.contains("2 | b: wrong\n  |    ^^^^^"), "{shown}");
        assert!(!shown.contains(['\r', '\u{1b}']), "{shown:?}");
    }
}
