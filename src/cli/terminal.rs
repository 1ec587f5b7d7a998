//! What reaches the terminal, and how: text without control characters, colour only where it is wanted, readers that may have gone.
use super::Failure;
use std::io::{ErrorKind, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::process::ExitCode;

/// Prints to stdout; a reader that has gone is not an error.
pub(super) fn say(text: &str) -> Result<ExitCode, Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(e) => Err(Failure::Said(format!("stdout cannot be written: {e}"))),
    }
}

/// Prints a message to stderr, without control characters. Where stderr is gone there is nobody to tell.
pub(super) fn complain(message: &str) {
    draw(&format!("{}\n", plain(message)));
}

/// Prints to stderr as it is: text that was made safe already, with our own colours in it.
pub(super) fn draw(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Text of programs and plans without what takes over a terminal: control characters and marks that turn the direction of text.
pub(super) fn plain(text: &str) -> String {
    let is_harmful = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(is_harmful, "\u{fffd}")
}

/// Whether stderr is a terminal that a bar can be drawn on.
pub(super) fn is_interactive() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether stderr takes colours: <https://no-color.org>.
pub(super) fn is_colored() -> bool {
    is_interactive() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A panic is a bug of ours: says so, and what the reporter should send. With RUST_BACKTRACE it says where from.
pub(super) fn own_up(info: &PanicHookInfo<'_>) {
    let place = info
        .location()
        .map_or_else(String::new, |at| format!(" ({at})"));
    let message = info.payload_as_str().unwrap_or("no message");
    complain(&format!(
        "phasetune {} has a bug: {message}{place}\n\
         whatever was measured before is kept; please report this line with the plan and the command that you ran",
        env!("CARGO_PKG_VERSION")
    ));
    let trace = std::backtrace::Backtrace::capture();
    if trace.status() == std::backtrace::BacktraceStatus::Captured {
        complain(&trace.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_name_cannot_move_the_cursor_or_turn_the_text() {
        assert_eq!(plain("a\x1b[2Jb\u{9b}c"), "a\u{fffd}[2Jb\u{fffd}c");
        assert_eq!(plain("x\u{202e}y\r"), "x\u{fffd}y\u{fffd}");
        assert_eq!(plain("tab\tline\n 3.2×"), "tab\tline\n 3.2×");
    }
}
