//! Fuzzes the plan parser: `cargo bench --bench fuzz_plan -- [INPUTS] [--seed N] [--only INDEX]`.
//!
//! Right, wrong and hostile plans are mutated (bytes, tokens, lines, nesting, aliases, numbers, overrides). Input i of a seed is
//! the same on every machine. A panic is caught, minimised and printed with its index; so is an input that takes more than a
//! second. Apart from the property test in src/plan/tests.rs, which has a few thousand small edits of two plans.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program of its own: prints, and looks at the clock"
)]
use phasetune::plan::{Plan, Source};
use phasetune::workload::{WORKLOADS, find};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(1);

/// A parser that has not come back by then never will: the process ends, since a thread cannot be stopped.
const HANG: Duration = Duration::from_secs(60);

/// Plans to start from. The committed ones are read as they are; the others have what those lack.
const PLANS: &[&str] = &[
    include_str!("../experiments/beamform3d.yaml"),
    include_str!("../experiments/sort_command.yaml"),
    "name: t\ntitle: Test\nworkload:\n  builtin: beamform3d\n  problem: {preset: tiny, seed: 3, noise: 0.1}\ndevice: cpu\nobjective: runtime\naccuracy: {against: exact, limits: {rel_l2: 1e-3, peak_shift: 0}}\nlimits: {peak_memory: 1 GiB}\nprotocol: {blocks: {min: 8, max: 20}, time_limit: 1m, warmup: 3, confidence: 99%, seed: 7}\nbaseline: {fusion: fused, x_chunk: 8}\nphases:\n  - {phase: base, kind: baseline}\n  - phase: tiles\n    kind: tiling\n    after: [base]\n    hypothesis: {speedup: 5-15%, effort: low, risk: none, because: x}\n    variants:\n      t16: {x_chunk: 16}\n      t32: {x_chunk: 32}\n    criteria: ['speedup >= 1.05', 'rel_l2(t16) < 1e-4']\n  - phase: modes\n    kind: algorithm\n    after: [base]\n    search: {parameters: {x_chunk: [8, 16], simd: [auto, portable], threads: [1, 2, 8]}, restrictions: ['x_chunk > 8 or simd == \"auto\"'], budget: {evaluations: 3}, strategy: random}\n    keep: none\n  - {phase: all, kind: combined, combine: [tiles, extra]}\n  - {phase: extra, kind: fusion, after: [base], sweep: {interp: [nearest], y_chunk: [1, 2, 4]}}\nmatrix: {device: [cpu, auto], problem.preset: [tiny, laptop]}\n",
    "name: t\nworkload:\n  command: [prog, --tile, '{tile}']\n  cwd: work\n  env: {MODE: '{mode}'}\n  build: [make, 'T={tile}']\n  prepare: ['true']\n  cleanup: rm -f x\n  files: {a.j2: 'b/{mode}'}\n  metrics: {gflops: 'GFLOPS: ([0-9.]+)', t: {pointer: /a/0, file: m.json}}\n  output: {file: out.raw, dtype: f32, shape: [4, 2]}\n  timer: metric t\nobjective: runtime\naccuracy: {against: {file: x.npy}}\nbaseline: {tile: 8, mode: a}\nphases:\n  - {phase: tiles, kind: tiling, variants: {t16: {tile: 16}, b: {mode: b}}}\n",
    // Wrong ones, each in its own way; their mutations reach the messages.
    "name: [t]\nworkload: {command: 'a b', shell: maybe}\nbaseline: {a: {b: 1}}\nphases: {}\n",
    "name: t\nname: u\nworkload: {builtin: beamform}\nphases: [{phase: a, after: [b]}, {phase: b, after: [a]}]\n",
    "name: t\nworkload: {command: ['{', '}', '{a', '{{b}}']}\nbaseline: {a: .nan, b: -.inf, c: 0x7fffffffffffffff, d: 1e999, e: ~}\nphases: [{phase: a, kind: tiling, sweep: {a: 1..9999999999, b: 5..1:x2, c: 1..9:x0}}]\n",
    "a0: &a0 [x, x, x]\na1: &a1 [*a0, *a0, *a0]\na2: &a2 [*a1, *a1, *a1]\nname: *a2\n<<: *a1\n",
    "%YAML 1.2\n---\nname: !!str t\ntitle: |+\n  long\n   text\n\nbaseline: !set {? a, ? b}\n...\n---\nb: >-\n  x\n",
    "name: \"\\u00e9\\ud800\\x00\"\ntitle: 'ü\u{2028}\u{feff}日本'\nworkload: {command: [\u{1f600}, '{é}']}\nbaseline: {é: 1}\nphases: [{phase: é, kind: tiling, variants: {é: {é: 2}}, criteria: ['é >= 1', 'speedup(é) <= \u{221e}']}]\n",
];

/// That many of them are right.
const RIGHT: usize = 4;

/// What gets put in the place of tokens. Words of plans are taken from the plans themselves.
const TOKENS: &[&str] = &[
    "",
    "~",
    "null",
    "true",
    "no",
    "''",
    "\"",
    "'",
    "|",
    ">",
    "? ",
    ": ",
    "- ",
    "---",
    "...",
    "#",
    "&a",
    "*a",
    "<<",
    "!!binary",
    "!!int",
    "%",
    "@",
    "`",
    "{",
    "}",
    "[",
    "]",
    "{}",
    "[]",
    "{{",
    "}}",
    "\t",
    "\r",
    "\u{0}",
    "\u{85}",
    "é",
    "\u{feff}",
    "\u{10ffff}",
    "exact",
    "baseline",
    "wgpu",
    "cuda:9",
    "wgpu:99999999999",
    "metric t",
    "metric ",
    "against",
    "matrix",
    "sweep",
    "search",
    "combine",
    "keep",
    "(",
    ")",
    "((",
    "and",
    "or",
    "not",
    "==",
    "<=",
    "%",
    "//",
    "**",
    "1..4",
    "1..",
    "..",
    "1..9:x2",
    "9..1:-1",
    "1..2:x1",
    "1..9223372036854775807",
    "0..1e18:1e-9",
    "5-15%",
    "3-30x",
    "%%",
    "1 GiB",
    "-1 GiB",
    "9e99 PiB",
    "1m",
    "1e99h",
    "-5s",
    "0s",
    "1h1m1s",
    "speedup >= ",
    "rel_l2(",
    "rel_l2(a) > 0.05",
    "(((((((((((((((((((((((((((((((((((((((((",
    "([0-9.]+",
    "(?P<a",
    "[[:alpha:]",
    "/a/~2",
    "../../..",
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-1",
    "1",
    "2",
    "127",
    "255",
    "65536",
    "4294967295",
    "4294967296",
    "-2147483649",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551616",
    "1e308",
    "1e309",
    "-1e309",
    "1e-320",
    "0.1",
    ".5",
    "5.",
    "1_000",
    "0x10",
    "0o17",
    "0b1",
    "+3",
    ".nan",
    ".inf",
    "-.inf",
    "1e5",
    "00",
    "12:30:45",
    "99999999999999999999999999999999999999",
];

type Overrides = Vec<(String, String)>;

/// One input: the file and its `--set`.
#[derive(Clone)]
struct Input {
    text: Vec<u8>,
    overrides: Overrides,
}

fn main() -> ExitCode {
    let options = Options::read();
    let options = match options {
        Ok(options) => options,
        Err(wrong) => {
            println!("{wrong}");
            return ExitCode::from(2);
        }
    };
    let panics = Panics::default();
    let seen = &*Box::leak(Box::new(panics));
    std::panic::set_hook(Box::new(|about| seen.note(about)));
    for plan in &PLANS[..RIGHT] {
        let input = Input {
            text: plan.as_bytes().to_vec(),
            overrides: vec![],
        };
        // Mutations of a plan that is refused at once reach nothing of the checker behind it.
        if outcome(&input, seen) != Outcome::Plan {
            println!("to start from:\n{plan}\nis refused:\n{}", findings(&input));
            return ExitCode::FAILURE;
        }
    }
    if let Some(index) = options.only {
        let input = make(options.seed, index);
        println!("{}", String::from_utf8_lossy(&input.text));
        println!("overrides: {:?}", input.overrides);
        let outcome = outcome(&input, seen);
        println!("{outcome:?}");
        if !matches!(outcome, Outcome::Panicked(_)) {
            println!("{}", findings(&input));
        }
        return ExitCode::SUCCESS;
    }
    let started = Instant::now();
    let found = campaign(&options, seen);
    let _ = std::panic::take_hook();
    report(&options, &found, started.elapsed(), seen)
}

struct Options {
    inputs: u64,
    seed: u64,
    only: Option<u64>,
}

impl Options {
    fn read() -> Result<Options, String> {
        let mut options = Options {
            inputs: 1_000_000,
            seed: 1,
            only: None,
        };
        // cargo says --bench.
        let mut words = std::env::args().skip(1).filter(|w| w != "--bench");
        let number = |word: Option<String>| -> Result<u64, String> {
            word.and_then(|w| w.replace('_', "").parse().ok())
                .ok_or_else(|| "usage: fuzz_plan [INPUTS] [--seed N] [--only INDEX]".into())
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seed" => options.seed = number(words.next())?,
                "--only" => options.only = Some(number(words.next())?),
                _ => options.inputs = number(Some(word))?,
            }
        }
        Ok(options)
    }
}

/// Where threads panicked last: the payload that `catch_unwind` returns has no place.
#[derive(Default)]
struct Panics(Mutex<BTreeMap<String, String>>);

impl Panics {
    fn key(thread: ThreadId) -> String {
        format!("{thread:?}")
    }

    fn note(&self, about: &std::panic::PanicHookInfo<'_>) {
        let place = about
            .location()
            .map_or_else(String::new, ToString::to_string);
        let what = about.payload_as_str().unwrap_or("not a text");
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(
                Panics::key(std::thread::current().id()),
                format!("{place}: {what}"),
            );
    }

    fn last(&self) -> String {
        let key = Panics::key(std::thread::current().id());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&key).cloned().unwrap_or_default()
    }
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Plan,
    Refused,
    /// A finding without a message, or none at all: the author would not know what is wrong.
    Speechless,
    Panicked(String),
}

fn outcome(input: &Input, seen: &Panics) -> Outcome {
    let names: Vec<&str> = WORKLOADS.iter().map(|w| w.name).collect();
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        Plan::parse(
            &Source {
                text: &input.text,
                overrides: &input.overrides,
                folder: ".",
            },
            &|name| find(name).map(|w| (w.declare)()),
            &names,
        )
    }));
    match parsed {
        Ok(Ok(_)) => Outcome::Plan,
        Ok(Err(findings))
            if findings.is_empty() || findings.iter().any(|f| f.message.is_empty()) =>
        {
            Outcome::Speechless
        }
        Ok(Err(_)) => Outcome::Refused,
        Err(_) => Outcome::Panicked(seen.last()),
    }
}

/// What the parser has to say, for a person.
fn findings(input: &Input) -> String {
    let names: Vec<&str> = WORKLOADS.iter().map(|w| w.name).collect();
    let source = Source {
        text: &input.text,
        overrides: &input.overrides,
        folder: ".",
    };
    match Plan::parse(&source, &|name| find(name).map(|w| (w.declare)()), &names) {
        Ok(_) => "a plan".into(),
        Err(findings) => {
            let messages: Vec<_> = findings.into_iter().map(|f| f.message).collect();
            messages.join("\n")
        }
    }
}

#[derive(Default)]
struct Found {
    plans: AtomicU64,
    refused: AtomicU64,
    /// By place and message: how often, and the first input.
    panics: Mutex<BTreeMap<String, (u64, u64)>>,
    slow: Mutex<Vec<(u64, Duration)>>,
    speechless: Mutex<Vec<u64>>,
    slowest_ns: AtomicU64,
}

fn campaign(options: &Options, seen: &'static Panics) -> Found {
    let found = Found::default();
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let busy: Vec<Mutex<Option<(u64, Instant)>>> = (0..threads).map(|_| Mutex::new(None)).collect();
    let running = AtomicUsize::new(threads);
    std::thread::scope(|scope| {
        for slot in &busy {
            let (found, next, running) = (&found, &next, &running);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= options.inputs {
                        break;
                    }
                    let input = make(options.seed, index);
                    let started = Instant::now();
                    *slot.lock().expect("no panic under it") = Some((index, started));
                    let outcome = outcome(&input, seen);
                    let mut elapsed = started.elapsed();
                    *slot.lock().expect("no panic under it") = None;
                    if elapsed > LIMIT {
                        // The machine may have been busy: the best of three counts.
                        for _ in 0..2 {
                            let started = Instant::now();
                            let _ = self::outcome(&input, seen);
                            elapsed = elapsed.min(started.elapsed());
                        }
                    }
                    found.take(index, outcome, elapsed);
                }
                running.fetch_sub(1, Ordering::Relaxed);
            });
        }
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) > 0 {
                std::thread::sleep(Duration::from_millis(200));
                for slot in &busy {
                    let Some((index, started)) = *slot.lock().expect("no panic under it") else {
                        continue;
                    };
                    if started.elapsed() > HANG {
                        println!("HANG: input {index} of seed {}", options.seed);
                        std::process::abort();
                    }
                }
            }
        });
    });
    found
}

impl Found {
    fn take(&self, index: u64, outcome: Outcome, elapsed: Duration) {
        let unpoisoned = "no panic under it";
        match outcome {
            Outcome::Plan => {
                self.plans.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Refused => {
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Speechless => self.speechless.lock().expect(unpoisoned).push(index),
            Outcome::Panicked(place) => {
                let mut panics = self.panics.lock().expect(unpoisoned);
                let entry = panics.entry(place).or_insert((0, index));
                entry.0 += 1;
                entry.1 = entry.1.min(index);
            }
        }
        self.slowest_ns
            .fetch_max(elapsed.as_nanos() as u64, Ordering::Relaxed);
        if elapsed > LIMIT {
            self.slow.lock().expect(unpoisoned).push((index, elapsed));
        }
    }
}

fn report(options: &Options, found: &Found, elapsed: Duration, seen: &Panics) -> ExitCode {
    let panics = found.panics.lock().unwrap_or_else(PoisonError::into_inner);
    let slow = found.slow.lock().unwrap_or_else(PoisonError::into_inner);
    let speechless = found
        .speechless
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    println!("inputs          {:>10}", options.inputs);
    println!("seed            {:>10}", options.seed);
    println!(
        "valid plans     {:>10}",
        found.plans.load(Ordering::Relaxed)
    );
    println!(
        "refused         {:>10}",
        found.refused.load(Ordering::Relaxed)
    );
    println!(
        "panics          {:>10} in {} places",
        panics.values().map(|p| p.0).sum::<u64>(),
        panics.len()
    );
    println!("over one second {:>10}", slow.len());
    println!("no message      {:>10}", speechless.len());
    println!(
        "slowest         {:>10.1} ms",
        found.slowest_ns.load(Ordering::Relaxed) as f64 / 1e6
    );
    println!("took            {:>10.1} s", elapsed.as_secs_f64());
    // Minimising panics again, on purpose.
    std::panic::set_hook(Box::new(|_| {}));
    for (place, (count, index)) in panics.iter() {
        let small = minimise(make(options.seed, *index), place, seen);
        println!(
            "\npanic at {place}\n  {count} times; first: --seed {} --only {index}\n  text: {:?}\n  overrides: {:?}",
            options.seed,
            String::from_utf8_lossy(&small.text),
            small.overrides
        );
    }
    for (index, elapsed) in slow.iter() {
        println!("slow: --seed {} --only {index}: {elapsed:?}", options.seed);
    }
    for index in speechless.iter() {
        println!("no message: --seed {} --only {index}", options.seed);
    }
    let is_clean = panics.is_empty() && slow.is_empty() && speechless.is_empty();
    println!("\nverdict: {}", if is_clean { "passed" } else { "FAILED" });
    if is_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Removes lines, then ever shorter stretches of bytes, as long as the parser still panics.
fn minimise(mut input: Input, _place: &str, seen: &Panics) -> Input {
    let fails = |input: &Input| matches!(outcome(input, seen), Outcome::Panicked(_));
    let bare = Input {
        overrides: vec![],
        ..input.clone()
    };
    if fails(&bare) {
        input = bare;
    }
    let mut tries = 3000;
    let mut width = (input.text.len() / 2).max(1);
    while width >= 1 && tries > 0 {
        let mut at = 0;
        while at < input.text.len() && tries > 0 {
            let mut shorter = input.clone();
            shorter.text.drain(at..(at + width).min(input.text.len()));
            tries -= 1;
            if fails(&shorter) {
                input = shorter;
            } else {
                at += width;
            }
        }
        if width == 1 {
            break;
        }
        width /= 2;
    }
    input
}

/// Input `index` of a seed.
fn make(seed: u64, index: u64) -> Input {
    // SplitMix64's constant spreads the indices; StdRng's seeding does the rest.
    let mut random = StdRng::seed_from_u64(seed ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    // Mostly few mutations of right plans: what is refused at once reaches little of the parser.
    let starts = match random.random_range(0..5) {
        0 => PLANS,
        _ => &PLANS[..RIGHT],
    };
    let mut text = pick(&mut random, starts).as_bytes().to_vec();
    for _ in 0..[1, 1, 1, 2, 2, 4, 8][random.random_range(0..7)] {
        mutate(&mut random, &mut text);
        text.truncate(1 << 16);
    }
    let mut overrides = vec![];
    if random.random_range(0..8) == 0 {
        for _ in 0..random.random_range(1..3) {
            overrides.push((path(&mut random), value(&mut random)));
        }
    }
    Input { text, overrides }
}

fn pick<'a>(random: &mut StdRng, among: &[&'a str]) -> &'a str {
    among[random.random_range(0..among.len())]
}

fn path(random: &mut StdRng) -> String {
    let steps = [
        "workload", "problem", "preset", "protocol", "blocks", "max", "baseline", "phases", "0",
        "1", "variants", "device", "", "é", "accuracy", "limits", "name", "99",
    ];
    let n = random.random_range(1..5);
    let parts: Vec<&str> = (0..n).map(|_| pick(random, &steps)).collect();
    parts.join(".")
}

fn value(random: &mut StdRng) -> String {
    match random.random_range(0..3) {
        0 => pick(random, NUMBERS).to_owned(),
        1 => pick(random, TOKENS).to_owned(),
        _ => format!("[{}, {}]", pick(random, TOKENS), pick(random, NUMBERS)),
    }
}

fn mutate(random: &mut StdRng, text: &mut Vec<u8>) {
    match random.random_range(0..12) {
        0 => bytes(random, text),
        1..=3 => token(random, text),
        4 | 5 => lines(random, text),
        6 => nest(random, text),
        7 => alias(random, text),
        8 | 9 => number(random, text),
        10 => stretch(random, text),
        _ => splice(random, text),
    }
}

fn place(random: &mut StdRng, text: &[u8]) -> usize {
    random.random_range(0..=text.len())
}

fn replace(text: &mut Vec<u8>, from: usize, to: usize, with: &[u8]) {
    text.splice(from..to, with.iter().copied());
}

fn bytes(random: &mut StdRng, text: &mut Vec<u8>) {
    let at = place(random, text);
    let to = (at + random.random_range(0..4)).min(text.len());
    let with: Vec<u8> = (0..random.random_range(0..4))
        .map(|_| match random.random_range(0..8) {
            0 => random.random::<u8>(),
            _ => random.random_range(32..127_u8),
        })
        .collect();
    replace(text, at, to, &with);
}

/// Byte ranges of the words, as a person sees them.
fn words(text: &[u8], is_word: fn(u8) -> bool) -> Vec<(usize, usize)> {
    let mut found = vec![];
    let mut start = None;
    for (i, &b) in text.iter().chain(b"\n").enumerate() {
        match (is_word(b), start) {
            (true, None) => start = Some(i),
            (false, Some(s)) => {
                found.push((s, i));
                start = None;
            }
            _ => {}
        }
    }
    found
}

fn is_token(b: u8) -> bool {
    !b" \n,:[]{}'\"#()".contains(&b)
}

fn one_of(random: &mut StdRng, ranges: &[(usize, usize)]) -> Option<(usize, usize)> {
    (!ranges.is_empty()).then(|| ranges[random.random_range(0..ranges.len())])
}

fn token(random: &mut StdRng, text: &mut Vec<u8>) {
    let Some((from, to)) = one_of(random, &words(text, is_token)) else {
        return;
    };
    let donor = pick(random, PLANS).as_bytes();
    let with = match random.random_range(0..3) {
        0 => one_of(random, &words(donor, is_token)).map_or(&b""[..], |(a, b)| &donor[a..b]),
        1 => pick(random, NUMBERS).as_bytes(),
        _ => pick(random, TOKENS).as_bytes(),
    };
    replace(text, from, to, with);
}

fn number(random: &mut StdRng, text: &mut Vec<u8>) {
    let ranges = words(text, |b| b.is_ascii_digit() || b == b'.');
    let Some((from, to)) = one_of(random, &ranges) else {
        return;
    };
    replace(text, from, to, pick(random, NUMBERS).as_bytes());
}

fn lines(random: &mut StdRng, text: &mut Vec<u8>) {
    let mut all: Vec<Vec<u8>> = text.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect();
    let (i, j) = (
        random.random_range(0..all.len()),
        random.random_range(0..all.len()),
    );
    match random.random_range(0..5) {
        0 => {
            all.remove(i);
        }
        1 => all.insert(j, all[i].clone()),
        2 => all.swap(i, j),
        3 => all[i].splice(0..0, *b"  ").for_each(drop),
        _ => {
            let indent = all[i].iter().take_while(|&&b| b == b' ').count();
            all[i].drain(..indent.min(random.random_range(0..4)));
        }
    }
    *text = all.join(&b'\n');
}

fn nest(random: &mut StdRng, text: &mut Vec<u8>) {
    let Some((from, to)) = one_of(random, &words(text, is_token)) else {
        return;
    };
    let depth = 1 << random.random_range(0..11);
    let (open, close) = [
        ("[", "]"),
        ("{a: ", "}"),
        ("- ", ""),
        ("a: ", ""),
        ("(", ")"),
    ][random.random_range(0..5)];
    let inner = String::from_utf8_lossy(&text[from..to]).into_owned();
    let closed = random.random_range(0..4) > 0;
    let close = if closed {
        close.repeat(depth)
    } else {
        String::new()
    };
    let nested = format!("{}{inner}{close}", open.repeat(depth));
    replace(text, from, to, nested.as_bytes());
}

fn alias(random: &mut StdRng, text: &mut Vec<u8>) {
    let Some((from, _)) = one_of(random, &words(text, is_token)) else {
        return;
    };
    replace(text, from, from, b"&z ");
    let Some((from, to)) = one_of(random, &words(text, is_token)) else {
        return;
    };
    let with: &[u8] = [&b"*z"[..], b"<<: *z", b"[*z, *z, *z, *z]"][random.random_range(0..3)];
    replace(text, from, to, with);
}

/// Repeats a stretch many times: long keys, long lists, many phases.
fn stretch(random: &mut StdRng, text: &mut Vec<u8>) {
    let from = place(random, text);
    let to = (from + random.random_range(1..60)).min(text.len());
    let times = 1 << random.random_range(0..8);
    let with = text[from..to].repeat(times);
    replace(text, from, to, &with);
}

fn splice(random: &mut StdRng, text: &mut Vec<u8>) {
    let donor = pick(random, PLANS).as_bytes();
    let from = place(random, donor);
    let to = (from + random.random_range(1..200)).min(donor.len());
    let at = place(random, text);
    let end = (at + random.random_range(0..200)).min(text.len());
    replace(text, at, end, &donor[from..to]);
}
