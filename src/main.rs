//! Arguments in, exit status out.
use std::process::ExitCode;

/// Counts only while a memory pass asks for it; see `measure::memory`.
#[global_allocator]
static ALLOCATOR: phasetune::measure::memory::Allocator = phasetune::measure::memory::Allocator;

fn main() -> ExitCode {
    // The two hidden subcommands come before everything else: the launcher must stay small, since a command's peak memory is
    // floored by that of the process that starts it.
    match std::env::args_os()
        .nth(1)
        .as_deref()
        .and_then(|a| a.to_str())
    {
        Some("__launch") => phasetune::workload::command::launcher_main(),
        Some("__worker") => phasetune::worker::serve(),
        _ => phasetune::cli::main(),
    }
}
