//! Commands as a user sees them: what a program does becomes a row, and nothing of it stays behind.
#![allow(
    clippy::disallowed_methods,
    reason = "starts launchers and looks at processes and files"
)]
use phasetune::device::Device;
use phasetune::plan::{
    CommandChoice, DeclaredMetric, MetricSource, OutputFile, TemplateFile, Timer,
};
use phasetune::space::Configuration;
use phasetune::trial::{Ending, Invocation};
use phasetune::value::{Bytes, Nanoseconds, Value};
use phasetune::workload::command::launcher::{End, Launch, Launched, Launcher, LauncherProgram};
use phasetune::workload::command::load_with;
use phasetune::workload::{Executable, Surroundings, Workload};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn program() -> LauncherProgram {
    LauncherProgram {
        path: env!("CARGO_BIN_EXE_phasetune").into(),
        arguments: vec!["__launch".into()],
    }
}

fn launcher() -> Launcher {
    Launcher::start(program()).unwrap()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

fn launch(line: &[&str]) -> Launch {
    Launch {
        program: line[0].into(),
        arguments: words(&line[1..]),
        time_limit: Some(Nanoseconds(30e9)),
        keeps_stdout: true,
        ends_strays: true,
        ..Launch::default()
    }
}

fn run(line: &[&str]) -> Launched {
    launcher().run(&launch(line)).unwrap()
}

/// Whether a process runs that was given this argument.
fn is_running(argument: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|b| *b == 0)
            .any(|word| word == argument.as_bytes())
    })
}

/// A number that no other process has as its argument.
fn unique(test: u32) -> String {
    format!("{}.{test}{}", 1000 + test, std::process::id())
}

fn becomes_true(what: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(10) {
        if what() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn a_small_command_is_small_whatever_its_callers_size() {
    let large = std::hint::black_box(vec![1_u8; 300 << 20]);
    let small = LauncherProgram {
        path: env!("CARGO_BIN_EXE_phasetune-launcher").into(),
        arguments: vec![],
    };
    // Where the small program is not installed, the whole one is the floor.
    for (program, floor) in [(small, 4), (program(), 16)] {
        let mut launcher = Launcher::start(program).unwrap();
        let peak = launcher.run(&launch(&["true"])).unwrap().peak;
        assert!(peak < Bytes(floor << 20), "{peak}");
        // Nor does the launcher grow with what went through it.
        let talkative = launcher
            .run(&launch(&["head", "-c", "4000000", "/dev/zero"]))
            .unwrap();
        assert!(talkative.stdout.len() > 1 << 20);
        let peak = launcher.run(&launch(&["true"])).unwrap().peak;
        assert!(peak < Bytes(floor << 20), "{peak}");
    }
    drop(large);
}

#[test]
fn times_and_memory_are_those_of_the_command_and_what_it_waited_for() {
    let slept = run(&["sleep", "0.2"]);
    assert!(
        (0.2e9..3e9).contains(&slept.wall.0) && slept.user.0 < 0.1e9,
        "{slept:?}"
    );
    let busy = run(&[
        "sh",
        "-c",
        "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; true",
    ]);
    assert!(
        busy.user.0 > 0.02e9 && busy.user.0 <= 1.2 * busy.wall.0,
        "{busy:?}"
    );
    let child = run(&[
        "sh",
        "-c",
        "head -c 60000000 /dev/zero | tail -c 50000000 | wc -c; true",
    ]);
    assert!(child.peak > Bytes(40_000_000), "{child:?}");
}

#[test]
fn what_a_command_says_is_kept_and_much_of_it_does_not_block() {
    let said = run(&["sh", "-c", "echo out; echo err >&2; cat; exit 3"]);
    assert_eq!(
        (said.end, &*said.stdout, &*said.stderr),
        (End::Exit(3), "out\n", "err\n")
    );
    let much = run(&[
        "sh",
        "-c",
        "yes 123456789 | head -c 10000000; echo last; yes | head -c 10000000 >&2; echo END >&2",
    ]);
    assert_eq!(much.end, End::Exit(0));
    assert!(much.stdout.starts_with("123456789\n") && much.stdout.ends_with("last\n"));
    assert!(much.stdout.contains("bytes left out]") && much.stdout.len() < 1_100_000);
    assert!(much.stderr.starts_with("y\ny\n") && much.stderr.ends_with("END\n"));
    let silent = launcher()
        .run(&Launch {
            keeps_stdout: false,
            ..launch(&["echo", "hello"])
        })
        .unwrap();
    assert_eq!((silent.end, &*silent.stdout), (End::Exit(0), ""));
    let foreign = run(&["printf", "\\377\\000a"]);
    assert_eq!(foreign.stdout, "\u{fffd}\0a");
}

#[test]
fn a_timeout_ends_the_whole_group_and_the_launcher_goes_on() {
    let (child, session) = (unique(1), unique(2));
    let script = format!("sleep {child} & setsid sleep {session} & sleep {child}");
    let mut launcher = launcher();
    let started = Instant::now();
    let launch_it = Launch {
        time_limit: Some(Nanoseconds(0.3e9)),
        ..launch(&["sh", "-c", &script])
    };
    let ended = launcher.run(&launch_it).unwrap();
    assert_eq!(ended.end, End::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(10) && ended.wall.0 >= 0.3e9);
    assert!(!is_running(&child) && !is_running(&session));
    assert_eq!(launcher.run(&launch(&["true"])).unwrap().end, End::Exit(0));
}

#[test]
fn what_a_command_leaves_behind_is_ended_unless_it_must_live_on() {
    let (child, session) = (unique(3), unique(4));
    let script = format!("sleep {child} & setsid sleep {session} >/dev/null 2>&1 & sleep 0.05");
    let mut launcher = launcher();
    let spared = Launch {
        ends_strays: false,
        ..launch(&["sh", "-c", &script])
    };
    assert_eq!(launcher.run(&spared).unwrap().end, End::Exit(0));
    assert!(is_running(&child) && is_running(&session));
    assert_eq!(launcher.run(&launch(&["true"])).unwrap().end, End::Exit(0));
    assert!(!is_running(&child) && !is_running(&session));
}

#[test]
fn a_crash_has_its_signal_and_a_missing_program_its_remedy() {
    assert_eq!(run(&["sh", "-c", "kill -SEGV $$"]).end, End::Signal(11));
    // The worker ignores SIGPIPE, as every Rust program does; a command must not inherit that.
    let pipe = run(&["sh", "-c", "kill -PIPE $$; echo survived"]);
    assert_eq!((pipe.end, &*pipe.stdout), (End::Signal(13), ""));
    let mut launcher = launcher();
    let why = |launcher: &mut Launcher, launch: &Launch| launcher.run(launch).unwrap_err();
    let missing = why(&mut launcher, &launch(&["no-such-program"]));
    assert!(
        missing.contains("`no-such-program`") && missing.contains("install it"),
        "{missing}"
    );
    assert!(why(&mut launcher, &launch(&["./none"])).contains("check the path"));
    let script = tempfile::NamedTempFile::new().unwrap();
    assert!(why(&mut launcher, &launch(&[script.path().to_str().unwrap()])).contains("chmod +x"));
    let nowhere = Launch {
        folder: Some("/no/where".into()),
        ..launch(&["true"])
    };
    assert!(why(&mut launcher, &nowhere).contains("no folder /no/where"));
    assert_eq!(launcher.run(&launch(&["true"])).unwrap().end, End::Exit(0));
}

#[test]
fn a_command_that_allocates_without_end_is_stopped_and_one_that_shares_its_memory_is_not() {
    let limited = |line: &[&str]| Launch {
        memory_limit: Some(Bytes(200_000_000)),
        ..launch(line)
    };
    let mut launcher = launcher();
    let ended = launcher.run(&limited(&["tail", "/dev/zero"])).unwrap();
    let End::OverMemory(used) = ended.end else {
        panic!("{ended:?}")
    };
    assert!(used > Bytes(200_000_000));
    // In a child that is not waited for, in a session of its own.
    let ended = launcher
        .run(&limited(&["sh", "-c", "setsid tail /dev/zero & sleep 20"]))
        .unwrap();
    assert!(matches!(ended.end, End::OverMemory(_)), "{ended:?}");
    let perl = "my $x = 'a' x 60_000_000; for (1..3) { fork or last } select(undef, undef, undef, 0.5); 1 while wait > 0";
    if Command::new("perl")
        .arg("-v")
        .stdout(Stdio::null())
        .status()
        .is_ok()
    {
        let shared = launcher.run(&limited(&["perl", "-e", perl])).unwrap();
        assert_eq!(shared.end, End::Exit(0), "{shared:?}");
    }
}

#[test]
fn each_process_gets_its_padding_its_environment_and_its_folder() {
    let script = "echo ${#PHASETUNE_PADDING} $A; pwd";
    let mut launcher = launcher();
    let mut launch = launch(&["sh", "-c", script]);
    launch.environment = vec![("A".into(), "b c".into())];
    launch.folder = Some("/usr".into());
    for padding in [0, 1, 4095] {
        launch.padding = padding;
        assert_eq!(
            launcher.run(&launch).unwrap().stdout,
            format!("{padding} b c\n/usr\n")
        );
    }
}

#[test]
fn the_death_of_the_caller_ends_the_command_and_the_launcher() {
    use std::io::Write;
    let (child, session) = (unique(5), unique(6));
    // The caller is this shell, which holds the launcher's stdin and is killed.
    let script = format!("{} __launch | cat", env!("CARGO_BIN_EXE_phasetune"));
    let mut caller = Command::new("sh");
    let mut caller = caller
        .arg("-c")
        .arg(format!("cat | {script}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let order = launch(&[
        "sh",
        "-c",
        &format!("setsid sleep {session} & sleep {child}"),
    ]);
    let body = serde_json::to_string(&order).unwrap();
    caller
        .stdin
        .as_mut()
        .unwrap()
        .write_all(format!("{} {body}\n", body.len()).as_bytes())
        .unwrap();
    assert!(becomes_true(|| is_running(&child) && is_running(&session)));
    caller.kill().unwrap();
    caller.wait().unwrap();
    drop(caller.stdin.take());
    assert!(becomes_true(|| !is_running(&child) && !is_running(&session)));
}

#[test]
fn a_launcher_that_was_killed_is_an_error_once_and_is_replaced() {
    let mut launcher = launcher();
    assert_eq!(launcher.run(&launch(&["true"])).unwrap().end, End::Exit(0));
    let process = launcher.process().unwrap().to_string();
    // A polite signal is not for the launcher: only the end of the worker ends it.
    assert!(
        Command::new("kill")
            .args(["-TERM", &process])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(launcher.run(&launch(&["true"])).unwrap().end, End::Exit(0));
    assert!(
        Command::new("kill")
            .args(["-KILL", &process])
            .status()
            .unwrap()
            .success()
    );
    assert!(
        launcher
            .run(&launch(&["true"]))
            .unwrap_err()
            .contains("was it killed?")
    );
    assert_eq!(launcher.run(&launch(&["true"])).unwrap().end, End::Exit(0));
}

struct Bench {
    folder: tempfile::TempDir,
    choice: CommandChoice,
    memory_limit: Option<Bytes>,
    timeout: f64,
}

fn bench(line: &[&str]) -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let choice = CommandChoice {
        command: words(line),
        folder: folder.path().to_str().unwrap().into(),
        ..CommandChoice::default()
    };
    Bench {
        folder,
        choice,
        memory_limit: None,
        timeout: 20e9,
    }
}

impl Bench {
    fn workload(&self) -> Box<dyn Workload> {
        let surroundings = Surroundings {
            trial_timeout: Nanoseconds(self.timeout),
            memory_limit: self.memory_limit,
            scratch: self.folder.path().join("scratch"),
            seed: 1,
            tracer: None,
        };
        load_with(&self.choice, &surroundings, program()).unwrap()
    }

    fn prepare(&self, tile: i64) -> Result<Box<dyn Executable>, Ending> {
        prepare(self.workload().as_ref(), tile)
    }

    fn run(&self) -> Result<Invocation, Ending> {
        self.prepare(8)?.run()
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }
}

fn prepare(workload: &dyn Workload, tile: i64) -> Result<Box<dyn Executable>, Ending> {
    let values = vec![
        ("tile".into(), Value::Int(tile)),
        ("name".into(), Value::Text("it's".into())),
    ];
    workload.prepare(&Device::Host, &Configuration::new(values))
}

fn failure<T>(result: Result<T, Ending>) -> String {
    match result.map(|_| ()).unwrap_err() {
        Ending::Failed { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn parameters_are_filled_in_everywhere() {
    let mut bench = bench(&[
        "sh",
        "-c",
        "echo {tile} \"$T\" $PWD >> {scratch}/log; cat {scratch}/log",
    ]);
    bench.choice.env = vec![("T".into(), "t{tile}".into())];
    bench.choice.cwd = Some("{scratch}/in/side".into());
    bench.choice.metrics = vec![DeclaredMetric {
        name: "tile".into(),
        source: MetricSource::Regex("^(8) t8 /.*/in/side".into()),
    }];
    assert_eq!(bench.run().unwrap().metrics, [8.0]);
    bench.choice.command = words(&["echo", "{tyle}"]);
    assert!(failure(bench.run()).contains("unknown parameter `tyle`"));
}

#[test]
fn a_shell_gets_values_as_words() {
    let mut bench = bench(&["printf '%s|' {name} \"{name}\" '{name}' | tr -d \"a-z'\" | wc -c"]);
    bench.choice.shell = true;
    bench.choice.metrics = vec![DeclaredMetric {
        name: "n".into(),
        source: MetricSource::Regex(r"(\d+)".into()),
    }];
    assert_eq!(bench.run().unwrap().metrics, [3.0]);
    bench.choice.command = words(&["sh -c 'kill -SEGV $$'; exit $?"]);
    let Err(Ending::Crashed { cause }) = bench.run() else {
        panic!("no crash")
    };
    assert!(
        cause.starts_with("signal 11 (segmentation fault)"),
        "{cause}"
    );
}

#[test]
fn every_way_to_end_badly_is_an_ending_with_its_cause() {
    let reason =
        failure(bench(&["sh", "-c", "echo working; echo 'no such tile' >&2; exit 3"]).run());
    assert_eq!(reason, "the command exited with status 3: no such tile");
    assert!(failure(bench(&["phasetune-none"]).run()).contains("install it"));
    let crashed = bench(&["sh", "-c", "echo oh >&2; kill -SEGV $$"])
        .run()
        .unwrap_err();
    assert_eq!(
        crashed,
        Ending::Crashed {
            cause: "signal 11 (segmentation fault): oh".into()
        }
    );
    let slow = Bench {
        timeout: 0.2e9,
        ..bench(&["sleep", "100"])
    };
    assert_eq!(
        slow.run().unwrap_err(),
        Ending::TimedOut {
            limit: Nanoseconds(0.2e9)
        }
    );
    let hog = Bench {
        memory_limit: Some(Bytes(100 << 20)),
        ..bench(&["tail", "/dev/zero"])
    };
    let Ending::OverLimit { limit } = hog.run().unwrap_err() else {
        panic!("no limit")
    };
    assert!(limit.contains("100.0 MiB (limits.peak_memory)"), "{limit}");
}

#[test]
fn a_timer_may_be_a_metric_and_must_be_a_time() {
    let mut bench = bench(&["echo", "took 0.25 s"]);
    bench.choice.metrics = vec![DeclaredMetric {
        name: "took".into(),
        source: MetricSource::Regex(r"took (\S+)".into()),
    }];
    bench.choice.timer = Timer::Metric("took".into());
    assert_eq!(bench.run().unwrap().timing.wall, Nanoseconds(0.25e9));
    bench.choice.command = words(&["echo", "took 0 s"]);
    assert!(failure(bench.run()).contains("above 0"));
    bench.choice.command = words(&["echo", "took long"]);
    assert!(failure(bench.run()).contains("`long` is no finite number"));
    bench.choice.command = words(&["echo", "nothing"]);
    assert!(failure(bench.run()).contains("metric `took`"));
}

#[test]
fn templates_are_rendered_for_each_configuration_apart() {
    let mut bench = bench(&["cat", "{scratch}/tile.h"]);
    bench.write("tile.in", "TILE {{ tile }}\n");
    bench.choice.files = vec![TemplateFile {
        template: "tile.in".into(),
        to: "tile.h".into(),
    }];
    bench.choice.metrics = vec![DeclaredMetric {
        name: "t".into(),
        source: MetricSource::Regex(r"TILE (\d+)\n".into()),
    }];
    let workload = bench.workload();
    let [mut a, mut b] = [8, 16].map(|tile| prepare(workload.as_ref(), tile).unwrap());
    for _ in 0..2 {
        assert_eq!(a.run().unwrap().metrics, [8.0]);
        assert_eq!(b.run().unwrap().metrics, [16.0]);
    }
    bench.write("tile.in", "TILE {{ tyle }}\n");
    assert!(failure(bench.prepare(8)).contains("tile.in:1"));
    std::fs::remove_file(bench.folder.path().join("tile.in")).unwrap();
    assert!(failure(bench.prepare(8)).contains("tile.in"));
}

#[test]
fn a_build_is_made_once_for_a_configuration_even_across_workers() {
    let mut bench = bench(&["cat", "{scratch}/built-for"]);
    bench.choice.build = Some(words(&[
        "sh",
        "-c",
        "echo {tile} >> log; sleep 0.05; echo {tile} > {scratch}/built-for",
    ]));
    bench.choice.metrics = vec![DeclaredMetric {
        name: "t".into(),
        source: MetricSource::Regex(r"(\d+)".into()),
    }];
    for worker in 0..2 {
        let workload = bench.workload();
        let [mut a, mut b] = [8, 16].map(|tile| prepare(workload.as_ref(), tile).unwrap());
        assert_eq!(
            (a.run().unwrap().metrics, b.run().unwrap().metrics),
            (vec![8.0], vec![16.0])
        );
        // Whoever finds it made learns how long it took.
        assert_eq!(a.build_time().is_some_and(|t| t.0 > 0.04e9), worker > 0);
    }
    assert_eq!(bench.read("log"), "8\n16\n");
}

#[test]
fn builds_that_write_to_one_place_are_never_mixed_up() {
    let mut bench = bench(&["cat", "built-for"]);
    bench.choice.build = Some(words(&[
        "sh",
        "-c",
        "echo {tile} >> log; echo {tile} > built-for",
    ]));
    bench.choice.metrics = vec![DeclaredMetric {
        name: "t".into(),
        source: MetricSource::Regex(r"(\d+)".into()),
    }];
    let workload = bench.workload();
    let [mut a, mut b] = [8, 16].map(|tile| prepare(workload.as_ref(), tile).unwrap());
    for _ in 0..2 {
        assert_eq!(
            [a.run(), a.run(), b.run()].map(|r| r.unwrap().metrics[0]),
            [8.0, 8.0, 16.0]
        );
    }
    assert_eq!(bench.read("log"), "8\n16\n8\n16\n8\n16\n");
}

#[test]
fn a_build_that_fails_is_its_configurations_ending_and_is_tried_again() {
    let mut bench = bench(&["true"]);
    bench.choice.build = Some(words(&[
        "sh",
        "-c",
        "echo {scratch} >/dev/null; echo tile.c:3: error >&2; exit 1",
    ]));
    for _ in 0..2 {
        assert_eq!(
            failure(bench.prepare(8)),
            "`build` exited with status 1: tile.c:3: error"
        );
    }
}

#[test]
fn preparing_and_cleaning_up_surround_every_sample_and_are_not_timed() {
    let server = unique(7);
    let mut bench = bench(&[
        "sh",
        "-c",
        "echo command >> log; test -e fail && exit 1; true",
    ]);
    bench.choice.prepare = Some(words(&[
        "sh",
        "-c",
        &format!("echo prepare >> log; sleep {server} & sleep 0.2"),
    ]));
    bench.choice.cleanup = Some(words(&[
        "sh",
        "-c",
        &format!("echo cleanup >> log; pgrep -f '[s]leep {server}' > alive || true"),
    ]));
    let mut executable = bench.prepare(8).unwrap();
    let invocation = executable.run().unwrap();
    assert!(invocation.timing.wall.0 < 0.2e9, "{invocation:?}");
    // What `prepare` started lived until the end, and not longer.
    assert!(!bench.read("alive").is_empty() && !is_running(&server));
    bench.write("fail", "");
    assert!(failure(executable.run()).contains("the command exited with status 1"));
    assert_eq!(bench.read("log"), "prepare\ncommand\ncleanup\n".repeat(2));
    bench.choice.cleanup = Some(words(&["sh", "-c", "echo differs; exit 1"]));
    std::fs::remove_file(bench.folder.path().join("fail")).unwrap();
    assert!(failure(bench.run()).contains("`cleanup` exited with status 1: differs"));
    bench.choice.prepare = Some(words(&["false"]));
    assert!(failure(bench.run()).contains("`prepare` exited with status 1"));
}

#[test]
fn an_output_is_read_and_an_old_or_missing_one_is_a_failure() {
    let mut bench = bench(&["cp", "answer", "out.raw"]);
    let output = OutputFile {
        file: "out.raw".into(),
        array: None,
        dtype: Some("f32".into()),
        shape: Some(vec![2]),
    };
    bench.choice.output = Some(output);
    let nan = [1.5_f32.to_le_bytes(), f32::NAN.to_le_bytes()].concat();
    std::fs::write(bench.folder.path().join("answer"), &nan).unwrap();
    let mut executable = bench.prepare(8).unwrap();
    executable.poison();
    executable.run().unwrap();
    let values = executable.output().unwrap().unwrap().to_f64();
    assert!(values[0] == 1.5 && values[1].is_nan());
    executable.poison();
    assert!(failure(executable.output()).contains("left no output"));
    std::fs::write(bench.folder.path().join("answer"), &nan[..6]).unwrap();
    executable.run().unwrap();
    assert!(failure(executable.output()).contains("6 bytes, but f32 [2] are 8"));
    assert!(Path::new(bench.folder.path()).join("out.raw").exists());
}
