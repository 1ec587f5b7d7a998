//! Arguments in, exit status out.
#![allow(
    unsafe_code,
    reason = "sets an environment variable before any thread is there"
)]
use std::process::ExitCode;

/// Counts only while a memory pass asks for it; see `measure::memory`.
#[global_allocator]
static ALLOCATOR: phasetune::measure::memory::Allocator = phasetune::measure::memory::Allocator;

fn main() -> ExitCode {
    // Mesa's layer that selects devices complains on stderr where there is no desktop, and is of no use there.
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: no other thread has been started yet.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
    // The hidden subcommands come before everything else: the launcher must stay small, since a command's peak memory is
    // floored by that of the process that starts it.
    match std::env::args_os()
        .nth(1)
        .as_deref()
        .and_then(|a| a.to_str())
    {
        Some("__launch") => phasetune::workload::command::launcher_main(),
        Some("__worker") => phasetune::worker::serve(),
        Some("__task") => phasetune::worker::task(),
        _ => phasetune::cli::main(),
    }
}
