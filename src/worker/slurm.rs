//! Slurm behind the engine's three calls: one job array a round, found by its name. What was learned on it: `sbatch --wait` polls
//! at 2, 10 and 42 s; job numbers can repeat when slurmctld is killed; a requeue waits for two minutes; JSON differs between
//! versions; and there may be no slurmdbd, so no `sacct`.
use super::engine::{Engine, Round, Sighting, State, Trouble};
use crate::plan::Slurm as Settings;
use std::collections::BTreeSet;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(super) struct Slurm {
    settings: Settings,
    /// Whose jobs are looked at.
    user: String,
}

/// Slurm's commands try for a while themselves when slurmctld does not answer; none needs longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// squeue's columns: field and width. A value that is longer is cut, so that columns stay where they are.
const COLUMNS: [(&str, usize); 5] = [
    ("Name", 64),
    ("ArrayTaskID", 16),
    ("State", 24),
    ("NodeList", 64),
    ("Reason", 96),
];

/// What a job waits for that does not come by itself: squeue(1), "JOB REASON CODES".
const NEVER: &[&str] = &[
    "AccountNotAllowed",
    "AssocMaxWallDurationPerJobLimit",
    "BadConstraints",
    "DependencyNeverSatisfied",
    "InvalidAccount",
    "InvalidQOS",
    "JobHeldAdmin",
    "JobHeldUser",
    "PartitionDown",
    "PartitionInactive",
    "PartitionNodeLimit",
    "PartitionTimeLimit",
    "QOSMaxWallDurationPerJobLimit",
    "QOSNotAllowed",
];

/// # Errors
/// When Slurm's commands are not on this machine: says where they are.
pub fn find_slurm() -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_absent =
        |name: &&&str| !std::env::split_paths(&path).any(|folder| folder.join(name).is_file());
    match ["sbatch", "squeue", "scancel"].iter().find(is_absent) {
        None => Ok(()),
        Some(absent) => Err(format!(
            "Slurm is not on this machine: there is no `{absent}` on the PATH; start this on a login node of the cluster, or here with --on local"
        )),
    }
}

/// What the plan asks of sbatch, for people, and of srun where something is bound.
pub fn sbatch_options(settings: &Settings) -> String {
    let mut words = options(settings);
    words.extend(binding(settings).map(|binding| format!("(and srun{binding})")));
    words.join(" ")
}

impl Slurm {
    pub(super) fn new(settings: Settings) -> Slurm {
        // SAFETY: asks the kernel and touches no memory.
        #[expect(unsafe_code, reason = "who owns the jobs (geteuid)")]
        let user = unsafe { libc::geteuid() }.to_string();
        Slurm { settings, user }
    }

    fn submission(&self, round: &Round<'_>) -> Vec<String> {
        let settings = &self.settings;
        let last = round.tasks.saturating_sub(1);
        let mut words = vec![
            "--parsable".to_owned(),
            "--no-requeue".into(),
            "--export=ALL".into(),
            format!("--job-name={}", round.token),
            format!("--array=0-{last}%{}", settings.nodes),
            "--nodes=1".into(),
            "--ntasks=1".into(),
            format!("--output={}", round.log.replace("{}", "%a")),
        ];
        let left_out: Vec<&str> = round.left_out.iter().map(String::as_str).collect();
        if !left_out.is_empty() {
            words.push(format!("--exclude={}", left_out.join(",")));
        }
        words.extend(options(settings));
        words.push(format!("--wrap={}", self.script(round)));
        words
    }

    /// The one line that a node's shell runs. Binding is the business of `srun`, which gives a task one processor unless it is told.
    fn script(&self, round: &Round<'_>) -> String {
        let (program, spool) = (
            round.program.to_string_lossy(),
            round.spool.to_string_lossy(),
        );
        let task = shell_words::join([&*program, "__task", &*spool, round.token]);
        let step = binding(&self.settings).map_or_else(String::new, |binding| {
            format!("srun --ntasks=1 --cpus-per-task=\"$SLURM_CPUS_ON_NODE\"{binding} ")
        });
        format!("exec {step}{task} \"$SLURM_ARRAY_TASK_ID\" \"$SLURMD_NODENAME\"")
    }
}

/// What the plan asks of sbatch.
fn options(settings: &Settings) -> Vec<String> {
    let mut words = vec![];
    let mut option = |name: &str, value: &Option<String>| {
        words.extend(value.iter().map(|value| format!("--{name}={value}")));
    };
    option("partition", &settings.partition);
    option("account", &settings.account);
    option("gres", &settings.gres);
    option("constraint", &settings.constraint);
    option("hint", &settings.hint);
    option("gpu-freq", &settings.gpu_freq);
    let time = settings.time_limit.map(|limit| {
        let seconds = (limit.0 / 1e9).ceil() as u64;
        format!("{}:{:02}", seconds / 60, seconds % 60)
    });
    option("time", &time);
    words.extend(settings.is_exclusive.then(|| "--exclusive".to_owned()));
    words.extend(settings.arguments.iter().cloned());
    words
}

/// What the plan asks of srun: " --cpu-bind=cores".
fn binding(settings: &Settings) -> Option<String> {
    let bound = |(name, value): (&str, &Option<String>)| {
        let value = value.as_ref()?;
        Some(format!(" --{name}={}", shell_words::quote(value)))
    };
    let all = [
        ("cpu-bind", &settings.cpu_bind),
        ("mem-bind", &settings.mem_bind),
    ];
    let binding: String = all.into_iter().filter_map(bound).collect();
    (!binding.is_empty()).then_some(binding)
}

impl Engine for Slurm {
    fn name(&self) -> &'static str {
        "Slurm"
    }

    fn submit(&mut self, round: &Round<'_>) -> Result<(), Trouble> {
        let token = BTreeSet::from([round.token.to_owned()]);
        let mut is_second = false;
        loop {
            let Err(trouble) = ask("sbatch", &self.submission(round)) else {
                return Ok(());
            };
            let Trouble::Refused(why) = trouble else {
                return Err(trouble);
            };
            // sbatch has one status for a refusal and for a slurmctld that is away; who answers another question is not away, but
            // may only just have come back.
            match self.poll(&token) {
                Ok(there) if !there.is_empty() => return Ok(()),
                Ok(_) if is_second => return Err(Trouble::Refused(why)),
                Ok(_) => is_second = true,
                Err(_) => return Err(Trouble::Away(why)),
            }
        }
    }

    fn poll(&mut self, tokens: &BTreeSet<String>) -> Result<Vec<Sighting>, Trouble> {
        let format: Vec<String> = COLUMNS.iter().map(|(n, w)| format!("{n}:{w}")).collect();
        let names: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let words = [
            "--noheader".to_owned(),
            "--array".into(),
            "--states=all".into(),
            format!("--user={}", self.user),
            format!("--name={}", names.join(",")),
            format!("--Format={}", format.join(",")),
        ];
        // A failed question is no answer, whatever the reason.
        let text = ask("squeue", &words).map_err(|e| Trouble::Away(e.to_string()))?;
        Ok(text.lines().filter_map(sighting).collect())
    }

    fn cancel(&mut self, token: &str) -> Result<(), Trouble> {
        let words = [format!("--user={}", self.user), format!("--name={token}")];
        ask("scancel", &words).map(|_| ())
    }
}

/// One line of squeue.
fn sighting(line: &str) -> Option<Sighting> {
    let letters: Vec<char> = line.chars().collect();
    let mut from = 0;
    let [token, task, state, node, reason] = COLUMNS.map(|(_, width)| {
        let to = (from + width).min(letters.len());
        let value: String = letters[from.min(to)..to].iter().collect();
        from += width;
        value.trim().to_owned()
    });
    let state = match state.as_str() {
        "PENDING" => State::Waiting {
            never: NEVER.contains(&reason.as_str()).then_some(reason),
        },
        "RUNNING" | "COMPLETING" | "CONFIGURING" | "SUSPENDED" | "STOPPED" | "RESIZING"
        | "SIGNALING" | "STAGE_OUT" => State::Running,
        how => State::Ended {
            how: match node.is_empty() {
                true => how.to_owned(),
                false => format!("{how} on {node}"),
            },
        },
    };
    Some(Sighting {
        token,
        task: task.parse().ok()?,
        state,
    })
}

/// What one of Slurm's commands answers.
fn ask(program: &str, words: &[String]) -> Result<String, Trouble> {
    let away = |what: std::io::Error| Trouble::Away(format!("{program}: {what}"));
    // Into files: a queue may be longer than a pipe holds.
    let (mut out, mut err) = (
        tempfile::tempfile().map_err(away)?,
        tempfile::tempfile().map_err(away)?,
    );
    let mut command = Command::new(program);
    // What an administrator or the user set for people's eyes would change what is read here, or when sbatch returns.
    for name in [
        "SQUEUE_FORMAT",
        "SQUEUE_FORMAT2",
        "SBATCH_WAIT",
        "SBATCH_EXPORT_FILE",
    ] {
        command.env_remove(name);
    }
    let mut process = command
        .args(words)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(out.try_clone().map_err(away)?)
        .stderr(err.try_clone().map_err(away)?)
        // Ctrl-C reaches the campaign, which decides.
        .process_group(0)
        .spawn()
        .map_err(away)?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = process.try_wait().map_err(away)? {
            break status;
        }
        if started.elapsed() > PATIENCE {
            let _ = process.kill();
            let _ = process.wait();
            return Err(Trouble::Away(format!("{program} does not come back")));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let read = |file: &mut std::fs::File| {
        let mut text = vec![];
        file.rewind()?;
        file.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    let text = read(&mut out).map_err(away)?;
    match status.success() {
        true => Ok(text),
        false => {
            let complaint = read(&mut err).map_err(away)?;
            let complaint: Vec<&str> = complaint.lines().map(str::trim).collect();
            Err(Trouble::Refused(complaint.join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Nanoseconds;
    use std::path::Path;

    fn line(values: [&str; 5]) -> String {
        let cut = |(value, (_, width)): (&str, (&str, usize))| {
            let kept: String = value.chars().take(width).collect();
            format!("{kept:width$}")
        };
        values.into_iter().zip(COLUMNS).map(cut).collect()
    }

    #[test]
    fn what_squeue_prints_is_read_by_the_width_of_its_columns() {
        let state = |values| sighting(&line(values)).unwrap().state;
        let seen = sighting(&line(["pt-1", "12", "RUNNING", "n1", "None"])).unwrap();
        assert_eq!((seen.token.as_str(), seen.task), ("pt-1", 12));
        assert_eq!(seen.state, State::Running);
        let waits = state(["pt-1", "0", "PENDING", "", "Resources"]);
        assert_eq!(waits, State::Waiting { never: None });
        let never = state(["pt-1", "0", "PENDING", "", "PartitionTimeLimit"]);
        assert_eq!(
            never,
            State::Waiting {
                never: Some("PartitionTimeLimit".into())
            }
        );
        let lost = state(["pt-1", "0", "NODE_FAIL", "n2", "a reason of several words"]);
        assert_eq!(
            lost,
            State::Ended {
                how: "NODE_FAIL on n2".into()
            }
        );
        // Not one of an array.
        assert_eq!(sighting(&line(["other", "N/A", "RUNNING", "", ""])), None);
        assert_eq!(sighting(""), None);
    }

    #[test]
    fn a_round_is_one_array_with_what_the_plan_asks_for() {
        let round = |left_out| Round {
            token: "pt-1",
            tasks: 5,
            program: Path::new("/opt/my tools/phasetune"),
            spool: Path::new("/shared/run"),
            log: "/shared/run/logs/pt-1-{}.txt",
            left_out,
        };
        let settings = Settings {
            partition: Some("gpu".into()),
            gres: Some("gpu:1".into()),
            hint: Some("nomultithread".into()),
            cpu_bind: Some("cores".into()),
            time_limit: Some(Nanoseconds(90.5e9)),
            nodes: 3,
            arguments: vec!["--qos=high".into()],
            ..Settings::default()
        };
        let slurm = Slurm {
            settings,
            user: "7".into(),
        };
        let left_out = BTreeSet::from(["n1".into(), "n2".into()]);
        let words = slurm.submission(&round(&left_out));
        assert_eq!(
            words.join("\n"),
            "--parsable\n--no-requeue\n--export=ALL\n--job-name=pt-1\n--array=0-4%3\n--nodes=1\n--ntasks=1\n\
             --output=/shared/run/logs/pt-1-%a.txt\n--exclude=n1,n2\n--partition=gpu\n--gres=gpu:1\n--hint=nomultithread\n\
             --time=1:31\n--exclusive\n--qos=high\n\
             --wrap=exec srun --ntasks=1 --cpus-per-task=\"$SLURM_CPUS_ON_NODE\" --cpu-bind=cores \
             '/opt/my tools/phasetune' __task /shared/run pt-1 \"$SLURM_ARRAY_TASK_ID\" \"$SLURMD_NODENAME\""
        );
        let plain = Slurm {
            settings: Settings::default(),
            user: "7".into(),
        };
        let script = plain.script(&round(&left_out));
        assert!(
            script.starts_with("exec '/opt/my tools/phasetune' __task"),
            "{script}"
        );
    }
}
