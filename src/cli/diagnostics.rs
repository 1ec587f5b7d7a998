//! Findings about a plan as people read them: the place, the line, what to do.
use super::plain;
use crate::diagnostic::{Diagnostic, Origin};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::io::IsTerminal;

/// Renders all findings; the last line counts them.
pub(super) fn render(findings: &[Diagnostic], text: &str, path: &str) -> String {
    let renderer = if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut out = String::new();
    for finding in findings {
        let message = plain(&finding.message);
        let help = finding.help.as_deref().map(plain);
        match &finding.origin {
            Origin::File { start, end } => {
                let (start, end) = on_boundaries(text, *start, *end);
                let snippet = Snippet::source(text)
                    .path(path)
                    .annotation(AnnotationKind::Primary.span(start..end));
                let mut group = Level::ERROR
                    .primary_title(message.as_str())
                    .element(snippet);
                if let Some(help) = &help {
                    group = group.element(Level::HELP.message(help.as_str()));
                }
                out.push_str(&renderer.render(&[group]).to_string());
            }
            Origin::Option(option) => {
                out.push_str(&format!("error: --set {}: {message}", plain(option)));
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

/// A range that the renderer can slice.
fn on_boundaries(text: &str, start: usize, end: usize) -> (usize, usize) {
    let start = text.floor_char_boundary(start.min(text.len()));
    let end = text.ceil_char_boundary(end.clamp(start, text.len()));
    (start, end)
}
