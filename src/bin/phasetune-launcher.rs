//! The launcher alone, in a program that is small: the peak memory that the kernel tells of a command is floored by that of
//! the process which starts it, and the relocations of the whole program take 8 MB.
fn main() -> std::process::ExitCode {
    phasetune::workload::command::launcher_main()
}
