//! One configuration of a command: its files and build are made, its texts are filled in, its invocations are run and judged.
#![allow(
    clippy::disallowed_methods,
    reason = "makes each configuration's files"
)]
use super::launcher::{End, Launch, Launched};
use super::output::{DeclaredArray, Metric};
use super::{Shared, signal_name};
use crate::array::Array;
use crate::plan::{CommandChoice, Timer};
use crate::space::Configuration;
use crate::trial::{Ending, Invocation, Timing};
use crate::value::{Bytes, Nanoseconds};
use crate::workload::Executable;
use crate::workload::template::{Names, SCRATCH};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A build may take longer than an invocation, but not for ever.
const BUILD_LIMIT: Nanoseconds = Nanoseconds(600e9);

/// What of a command's last words goes into a message.
const LAST_WORDS: usize = 2000;

/// What is run for a configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Build,
    Prepare,
    Command,
    Cleanup,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Build => "`build`",
            Step::Prepare => "`prepare`",
            Step::Command => "the command",
            Step::Cleanup => "`cleanup`",
        }
    }
}

/// One configuration, ready to run: every text is filled in.
pub(super) struct Prepared {
    shared: Arc<Shared>,
    steps: Vec<(Step, Launch)>,
    configuration: Configuration,
    scratch: PathBuf,
    /// In which everything runs.
    folder: PathBuf,
    /// Rendered templates.
    files: Vec<(PathBuf, String)>,
    output: Option<DeclaredArray>,
    /// Whether other configurations write their files or builds to the same places.
    is_shared: bool,
    /// Absent where the build was made just now, or there is none.
    build_time: Option<Nanoseconds>,
}

impl Prepared {
    /// Makes its files and its build, too.
    pub(super) fn new(
        shared: Arc<Shared>,
        configuration: &Configuration,
    ) -> Result<Prepared, Ending> {
        let mut prepared = Prepared::written(shared, configuration).map_err(failed)?;
        prepared.build_time = prepared.make()?;
        Ok(prepared)
    }

    fn written(shared: Arc<Shared>, configuration: &Configuration) -> Result<Prepared, String> {
        let choice = &shared.choice;
        let scratch = shared
            .scratch
            .join(format!("{:016x}", fingerprint(configuration)));
        let names = Names {
            configuration,
            scratch: &scratch,
        };
        let base = if choice.folder.is_empty() {
            "."
        } else {
            &choice.folder
        };
        let base = std::path::absolute(base).map_err(|e| format!("{base}: {e}"))?;
        let folder = match &choice.cwd {
            Some(cwd) => base.join(names.fill(cwd)?),
            None => base.clone(),
        };
        let files = render(choice, names, &base)?;
        let output = choice
            .output
            .as_ref()
            .map(|o| DeclaredArray::new(o, names, &folder))
            .transpose()?;
        let steps = steps(&shared, names, &folder)?;
        let is_shared = writes_outside(choice, &files, &scratch);
        Ok(Prepared {
            configuration: configuration.clone(),
            steps,
            files,
            output,
            is_shared,
            folder,
            scratch,
            build_time: None,
            shared,
        })
    }

    /// Makes this configuration's files and build, unless they are there: made by an earlier worker, and by no other
    /// configuration since. Says how long the build took if it was made before.
    fn make(&self) -> Result<Option<Nanoseconds>, Ending> {
        let make_folder = |folder: &Path| {
            std::fs::create_dir_all(folder)
                .map_err(|e| failed(format!("{} cannot be made: {e}", folder.display())))
        };
        make_folder(&self.scratch)?;
        if self.folder.starts_with(&self.scratch) {
            make_folder(&self.folder)?;
        }
        let mut ingredients = format!("{:?}", self.configuration);
        for (path, text) in &self.files {
            // Untouched where it is right, so that a build tool sees no change.
            if std::fs::read_to_string(path).ok().as_ref() != Some(text) {
                path.parent().map(make_folder).transpose()?;
                std::fs::write(path, text)
                    .map_err(|e| failed(format!("{} cannot be written: {e}", path.display())))?;
            }
            let _ = write!(ingredients, "{text:?}");
        }
        let Some(build) = self.step(Step::Build) else {
            return Ok(None);
        };
        // Not its limits, which depend on the machine's memory at this moment.
        let _ = write!(
            ingredients,
            "{:?}",
            (
                &build.program,
                &build.arguments,
                &build.environment,
                &build.folder
            )
        );
        let made = format!("{:016x}", fnv(&ingredients));
        let stamp = if self.is_shared {
            self.shared.scratch.join("built")
        } else {
            self.scratch.join("built")
        };
        let there = std::fs::read_to_string(&stamp).unwrap_or_default();
        if let Some((what, time)) = there.split_once(' ')
            && what == made
        {
            return Ok(time.trim().parse().ok().map(Nanoseconds));
        }
        // Interrupted from here on, it counts as not made.
        let _ = std::fs::remove_file(&stamp);
        let launched = self.launch(Step::Build, build)?;
        std::fs::write(&stamp, format!("{made} {}\n", launched.wall.0))
            .map_err(|e| failed(format!("{} cannot be written: {e}", stamp.display())))?;
        Ok(None)
    }

    fn step(&self, step: Step) -> Option<&Launch> {
        self.steps
            .iter()
            .find(|(s, _)| *s == step)
            .map(|(_, launch)| launch)
    }

    /// Runs one step; an ending if it did not exit with 0.
    fn launch(&self, step: Step, launch: &Launch) -> Result<Launched, Ending> {
        let launched = self.shared.run(launch).map_err(|why| match step {
            Step::Command => failed(why),
            _ => failed(format!("{}: {why}", step.name())),
        })?;
        self.judge(step, &launched)?;
        Ok(launched)
    }

    fn judge(&self, step: Step, launched: &Launched) -> Result<(), Ending> {
        let what = step.name();
        let words = last_words(launched);
        let said = if words.is_empty() {
            String::new()
        } else {
            format!(": {words}")
        };
        let end = match launched.end {
            // A shell hides its child's signal behind 128 + n.
            End::Exit(code @ 129..=159) if self.shared.choice.shell => End::Signal(code - 128),
            end => end,
        };
        Err(match (end, step) {
            (End::Exit(0), _) => return Ok(()),
            (End::Exit(code), _) => failed(format!("{what} exited with status {code}{said}")),
            (End::Signal(signal), Step::Command) => Ending::Crashed {
                cause: format!("{}{said}", signal_name(signal)),
            },
            (End::Signal(signal), _) => {
                failed(format!("{what} was ended by {}{said}", signal_name(signal)))
            }
            (End::TimedOut, Step::Command) => Ending::TimedOut {
                limit: self.shared.time_limit,
            },
            (End::TimedOut, _) => failed(format!(
                "{what} took longer than {} and was ended{said}",
                self.shared.time_limit_of(step)
            )),
            (End::OverMemory(used), _) => {
                let limit = self.shared.memory_limit_of(step);
                let limit = limit.map_or_else(String::new, |(limit, why)| {
                    format!("the limit of {limit} ({why})")
                });
                Ending::OverLimit {
                    limit: format!("{what} used {used} of memory, more than {limit}"),
                }
            }
        })
    }

    /// The timed command with what is read from it.
    fn sample(&self) -> Result<Invocation, Ending> {
        let command = self
            .step(Step::Command)
            .ok_or_else(|| failed("there is no command".into()))?;
        let launched = self.launch(Step::Command, command)?;
        let names = Names {
            configuration: &self.configuration,
            scratch: &self.scratch,
        };
        let read = self
            .shared
            .metrics
            .iter()
            .map(|metric| metric.read(&launched, names, &self.folder));
        let metrics: Vec<f64> = read.collect::<Result<_, _>>().map_err(failed)?;
        let wall = match &self.shared.choice.timer {
            Timer::Wall => launched.wall,
            Timer::Metric(name) => {
                let place = self.shared.metrics.iter().position(|m| m.name == *name);
                let seconds = place.and_then(|i| metrics.get(i)).copied();
                let positive = seconds.filter(|s| *s > 0.0);
                Nanoseconds(
                    1e9 * positive.ok_or_else(|| {
                        failed(format!(
                            "the timer `{name}` says {} s; a time is above 0",
                            seconds.unwrap_or(0.0)
                        ))
                    })?,
                )
            }
        };
        Ok(Invocation {
            timing: Timing {
                wall,
                ..Timing::default()
            },
            user: Some(launched.user),
            system: Some(launched.system),
            host_peak: Some(launched.peak),
            device_peak: None,
            joules: None,
            metrics,
        })
    }
}

impl Executable for Prepared {
    fn run(&mut self) -> Result<Invocation, Ending> {
        if self.is_shared {
            self.make()?;
        }
        if let Some(prepare) = self.step(Step::Prepare) {
            self.launch(Step::Prepare, prepare)?;
        }
        let invocation = self.sample();
        // Also after a command that failed: what `prepare` started must not outlive the sample.
        let cleaned = self
            .step(Step::Cleanup)
            .map(|cleanup| self.launch(Step::Cleanup, cleanup))
            .transpose();
        let invocation = invocation?;
        cleaned?;
        Ok(invocation)
    }

    fn poison(&mut self) {
        if let Some(output) = &mut self.output {
            output.poison();
        }
    }

    fn output(&mut self) -> Result<Option<Array>, Ending> {
        self.output
            .as_ref()
            .map(DeclaredArray::read)
            .transpose()
            .map_err(failed)
    }

    fn build_time(&self) -> Option<Nanoseconds> {
        self.build_time
    }
}

impl Shared {
    fn time_limit_of(&self, step: Step) -> Nanoseconds {
        match step {
            Step::Build => Nanoseconds(BUILD_LIMIT.0.max(self.time_limit.0)),
            _ => self.time_limit,
        }
    }

    /// With its reason. A plan's limit is about the command; compilers may need more.
    fn memory_limit_of(&self, step: Step) -> Option<(Bytes, &'static str)> {
        let plan = self
            .memory_limit
            .filter(|_| step == Step::Command)
            .map(|limit| (limit, "limits.peak_memory"));
        plan.or(self
            .guard
            .map(|limit| (limit, "80 % of what was free on this machine")))
    }
}

fn failed(reason: String) -> Ending {
    Ending::Failed { reason }
}

/// Every step that the plan has, filled in.
fn steps(shared: &Shared, names: Names<'_>, folder: &Path) -> Result<Vec<(Step, Launch)>, String> {
    let choice = &shared.choice;
    let environment = choice
        .env
        .iter()
        .map(|(name, value)| Ok((name.clone(), names.fill(value)?)));
    let environment: Vec<(String, String)> = environment.collect::<Result<_, String>>()?;
    let launch = |(step, words): (Step, &[String])| {
        let (program, arguments) = words_of(words, choice.shell, names)?;
        let launch = Launch {
            program,
            arguments,
            environment: environment.clone(),
            folder: Some(folder.to_owned()),
            time_limit: Some(shared.time_limit_of(step)).filter(|limit| limit.0.is_finite()),
            memory_limit: shared.memory_limit_of(step).map(|(limit, _)| limit),
            padding: 0,
            // Of the untimed steps for their last words.
            keeps_stdout: step != Step::Command || shared.metrics.iter().any(Metric::needs_stdout),
            // What `prepare` starts may live until the sample's last step.
            ends_strays: match step {
                Step::Prepare => false,
                Step::Command => choice.cleanup.is_none(),
                Step::Build | Step::Cleanup => true,
            },
        };
        Ok((step, launch))
    };
    written_steps(choice).map(launch).collect()
}

/// Whether a file or a build goes to where other configurations put theirs. What a build does cannot be known; one that is told
/// of its own folder is believed to write there.
fn writes_outside(choice: &CommandChoice, files: &[(PathBuf, String)], scratch: &Path) -> bool {
    let placeholder = format!("{{{SCRATCH}}}");
    let words = choice
        .build
        .iter()
        .flatten()
        .chain(choice.env.iter().map(|(_, value)| value))
        .chain(&choice.cwd);
    let is_told = words.into_iter().any(|word| word.contains(&placeholder));
    files.iter().any(|(path, _)| !path.starts_with(scratch)) || choice.build.is_some() && !is_told
}

fn written_steps(choice: &CommandChoice) -> impl Iterator<Item = (Step, &[String])> {
    let optional = [
        (Step::Build, &choice.build),
        (Step::Prepare, &choice.prepare),
        (Step::Cleanup, &choice.cleanup),
    ];
    let optional = optional
        .into_iter()
        .filter_map(|(step, words)| Some((step, words.as_deref()?)));
    optional.chain([(Step::Command, &choice.command[..])])
}

/// Program and arguments.
fn words_of(
    words: &[String],
    shell: bool,
    names: Names<'_>,
) -> Result<(String, Vec<String>), String> {
    if shell {
        return Ok((
            "/bin/sh".into(),
            vec!["-c".into(), names.fill_shell(&words.join(" "))?],
        ));
    }
    let mut words = words.iter().map(|word| names.fill(word));
    let program = words.next().ok_or("the command is empty")??;
    Ok((program, words.collect::<Result<_, _>>()?))
}

fn render(
    choice: &CommandChoice,
    names: Names<'_>,
    base: &Path,
) -> Result<Vec<(PathBuf, String)>, String> {
    choice
        .files
        .iter()
        .map(|file| {
            let template = names.fill(&file.template)?;
            let text = std::fs::read_to_string(base.join(&template)).map_err(|e| {
                format!(
                    "the template {} cannot be read: {e}",
                    base.join(&template).display()
                )
            })?;
            Ok((
                names.scratch.join(names.fill(&file.to)?),
                names.render(&text, &template)?,
            ))
        })
        .collect()
}

/// Names a configuration's folder; the same in every worker.
fn fingerprint(configuration: &Configuration) -> u64 {
    fnv(&format!("{configuration:?}"))
}

/// FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>. `std`'s hasher may change from one release to the next.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The end of stderr, or else of stdout, in whole lines where they are not too long.
fn last_words(launched: &Launched) -> &str {
    let said = [&launched.stderr, &launched.stdout].map(|text| text.trim());
    let said = if said[0].is_empty() { said[1] } else { said[0] };
    if said.len() <= LAST_WORDS {
        return said;
    }
    let start = said.ceil_char_boundary(said.len() - LAST_WORDS);
    let end = &said[start..];
    match end.find('\n') {
        Some(at) if at < LAST_WORDS / 2 => &end[at + 1..],
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launched(stdout: &str, stderr: &str) -> Launched {
        let none = Nanoseconds(0.0);
        let (stdout, stderr) = (stdout.into(), stderr.into());
        Launched {
            end: End::Exit(1),
            wall: none,
            user: none,
            system: none,
            peak: Bytes(0),
            stdout,
            stderr,
        }
    }

    #[test]
    fn last_words_are_the_end_of_stderr_in_whole_lines() {
        assert_eq!(last_words(&launched("out", " err \n")), "err");
        assert_eq!(last_words(&launched("out\n", "\n")), "out");
        let long: String = (0..1000).map(|i| format!("line {i} é\n")).collect();
        let end = launched("", &long);
        let words = last_words(&end);
        assert!(
            words.starts_with("line ") && words.ends_with("line 999 é"),
            "{words}"
        );
        assert!((LAST_WORDS / 2..=LAST_WORDS).contains(&words.len()));
        // One line without an end, cut inside a character.
        let one = launched("", &"é".repeat(5000));
        assert!(last_words(&one).len() <= LAST_WORDS && last_words(&one).starts_with('é'));
    }
}
