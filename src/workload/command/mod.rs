//! Any program as a workload: parameters are substituted into its arguments, environment and files; each invocation is a
//! process of its own, started by a small launcher.
//!
//! What differs between configurations belongs into `{scratch}`, a folder that each configuration has for itself: template
//! files with a relative target are rendered there, and a build that writes there is made once for a configuration in a whole
//! campaign. A build that does not mention `{scratch}` writes where the next configuration's build writes too, so it is made
//! again, untimed, whenever another configuration was built in between: slow, but never another configuration's program.
mod captured;
pub mod launcher;
mod output;
mod prepared;
mod running;

pub use running::launcher_main;

use super::template::Names;
use super::{Executable, Surroundings, Workload};
use crate::array::Array;
use crate::device::Device;
use crate::plan::CommandChoice;
use crate::space::Configuration;
use crate::trial::Ending;
use crate::value::{Bytes, Nanoseconds};
use launcher::{Launch, Launched, Launcher, LauncherProgram};
use output::Metric;
use prepared::Prepared;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Loads a command workload.
///
/// # Errors
/// When the launcher cannot be started, or a metric's expression is wrong.
pub(super) fn load(
    choice: &CommandChoice,
    surroundings: &Surroundings,
) -> Result<Box<dyn Workload>, String> {
    load_with(choice, surroundings, LauncherProgram::this())
}

/// The same with another program for a launcher: one that calls [`launcher_main`].
///
/// # Errors
/// When the launcher cannot be started, or a metric's expression is wrong.
pub fn load_with(
    choice: &CommandChoice,
    surroundings: &Surroundings,
    program: LauncherProgram,
) -> Result<Box<dyn Workload>, String> {
    let scratch = std::path::absolute(surroundings.scratch.join("command"))
        .map_err(|e| format!("{}: {e}", surroundings.scratch.display()))?;
    // A command that allocates without end becomes a row before it takes the machine down.
    let guard = crate::device::available_memory().map(|free| Bytes(free.0 / 10 * 8));
    let shared = Shared {
        choice: choice.clone(),
        metrics: choice
            .metrics
            .iter()
            .map(Metric::new)
            .collect::<Result<_, _>>()?,
        scratch,
        time_limit: surroundings.trial_timeout,
        memory_limit: surroundings.memory_limit,
        guard,
        launching: Mutex::new(Launching {
            launcher: Launcher::start(program)?,
            // Each worker draws layouts of its own.
            padding: surroundings.seed ^ (u64::from(std::process::id()) << 32),
        }),
    };
    Ok(Box::new(CommandWorkload(Arc::new(shared))))
}

struct CommandWorkload(Arc<Shared>);

/// What all configurations share.
struct Shared {
    choice: CommandChoice,
    metrics: Vec<Metric>,
    /// Absolute; holds a folder for each configuration.
    scratch: PathBuf,
    time_limit: Nanoseconds,
    /// Of the plan.
    memory_limit: Option<Bytes>,
    /// Of the machine.
    guard: Option<Bytes>,
    launching: Mutex<Launching>,
}

struct Launching {
    launcher: Launcher,
    /// State of the generator of paddings.
    padding: u64,
}

impl Shared {
    /// Runs one command with a memory layout of its own.
    fn run(&self, launch: &Launch) -> Result<Launched, String> {
        let mut launching = self
            .launching
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        launching.padding = launching.padding.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let padding = draw(launching.padding);
        launching.launcher.run(&Launch {
            padding,
            ..launch.clone()
        })
    }
}

impl Workload for CommandWorkload {
    fn prepare(
        &self,
        _device: &Device,
        configuration: &Configuration,
    ) -> Result<Box<dyn Executable>, Ending> {
        Ok(Box::new(Prepared::new(self.0.clone(), configuration)?))
    }

    fn exact(&self, _device: &Device, _baseline: &Configuration) -> Result<Option<Array>, Ending> {
        Ok(None)
    }

    fn keeps_state(&self) -> bool {
        false
    }
}

/// The command of a configuration as one would type it into a shell, with its environment; `{scratch}` stays as it is written.
///
/// # Errors
/// When the configuration lacks a parameter that the command names.
pub fn typed(choice: &CommandChoice, configuration: &Configuration) -> Result<String, String> {
    let names = Names {
        configuration,
        scratch: Path::new("{scratch}"),
    };
    let mut words = vec![];
    for (name, value) in &choice.env {
        let value = names.fill(value)?;
        words.push(format!("{name}={}", shell_words::quote(&value)));
    }
    for word in &choice.command {
        words.push(match choice.shell {
            true => names.fill_shell(word)?,
            false => shell_words::quote(&names.fill(word)?).into_owned(),
        });
    }
    Ok(words.join(" "))
}

/// SplitMix64's output function (WORKLOADS §0.2), cut to a length of at most a page.
fn draw(state: u64) -> u32 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 52) as u32
}

/// "signal 11 (segmentation fault)".
pub fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGSEGV => "segmentation fault",
        libc::SIGABRT => "aborted",
        libc::SIGILL => "illegal instruction",
        libc::SIGBUS => "bus error",
        libc::SIGFPE => "arithmetic error",
        libc::SIGKILL => "killed; by the kernel if memory ran out",
        libc::SIGTERM => "terminated",
        libc::SIGPIPE => "broken pipe",
        libc::SIGXCPU => "processor time limit",
        libc::SIGXFSZ => "file size limit",
        libc::SIGTRAP => "trap",
        libc::SIGSYS => "forbidden system call",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paddings_are_spread_over_a_page() {
        let draws: Vec<u32> = (0..1000_u64)
            .map(|i| draw(i.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
            .collect();
        let mean = draws.iter().sum::<u32>() / 1000;
        assert!(
            draws.iter().all(|&d| d < 4096) && (1900..2200).contains(&mean),
            "{mean}"
        );
    }

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        use crate::value::Value;
        let configuration = Configuration::new(vec![("name".into(), Value::Text("a b".into()))]);
        let shown = |words: &[&str], shell| {
            let choice = CommandChoice {
                command: words.iter().map(|w| (*w).to_owned()).collect(),
                shell,
                env: vec![("MODE".into(), "{name}".into())],
                ..CommandChoice::default()
            };
            typed(&choice, &configuration).unwrap()
        };
        assert_eq!(shown(&["p", "{name}"], false), "MODE='a b' p 'a b'");
        assert_eq!(shown(&["p {name} | q"], true), "MODE='a b' p 'a b' | q");
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(signal_name(11), "signal 11 (segmentation fault)");
        assert_eq!(signal_name(64), "signal 64");
    }
}
