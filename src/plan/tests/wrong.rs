//! Plans with one mistake each: what is said, where, and what helps.
use super::{COMMAND, GOOD, parse};
use crate::diagnostic::Origin;

/// (what in the good plan, becomes what, the message says, the help says)
pub(in crate::plan) type Wrong = (&'static str, &'static str, &'static str, &'static str);

const WRONG: &[Wrong] = &[
    (
        "title: Test",
        "titel: Test",
        "unknown key in the plan `titel`",
        "did you mean `title`?",
    ),
    ("name: t\n", "", "the plan has no `name:`", "folders"),
    (
        "name: t\n",
        "name: My Plan\n",
        "`My Plan` cannot name a folder",
        "lower-case",
    ),
    (
        "name: t\n",
        "name: [t]\n",
        "`name` must be a text, this is a list",
        "",
    ),
    (
        "builtin: toy",
        "builtin: toi",
        "unknown built-in workload `toi`",
        "did you mean `toy`?",
    ),
    (
        "builtin: toy",
        "bultin: toy",
        "unknown key in `workload` `bultin`",
        "did you mean `builtin`?",
    ),
    (
        "  builtin: toy\n",
        "",
        "neither `builtin:` nor `command:` nor `kernel:`",
        "built-ins are toy",
    ),
    (
        "builtin: toy",
        "builtin: toy\n  command: ls",
        "a workload is one of builtin and command, not several",
        "",
    ),
    (
        "builtin: toy",
        "builtin: toy\n  env: {A: b}",
        "`env` has no effect on a built-in workload",
        "leave it out",
    ),
    (
        "preset: tiny",
        "preset: tinny",
        "unknown preset `tinny`",
        "did you mean `tiny`?",
    ),
    (
        "preset: tiny",
        "presett: tiny",
        "unknown key of the problem `presett`",
        "did you mean `preset`?",
    ),
    (
        "preset: tiny",
        "preset: [tiny]",
        "`preset` must be one value, this is a list",
        "",
    ),
    (
        "against: exact",
        "against: exakt",
        "`against` must be baseline, exact or {file: ref.npy}",
        "",
    ),
    (
        "rel_l2: 1e-3",
        "rel_l3: 1e-3",
        "unknown accuracy metric `rel_l3`",
        "did you mean `rel_l2`?",
    ),
    (
        "rel_l2: 1e-3",
        "rel_l2: small",
        "the limit of `rel_l2` must be a number",
        "",
    ),
    ("rel_l2: 1e-3", "rel_l2: .nan", "non-finite", ""),
    ("1 GiB", "1 GiBB", "no size", ""),
    ("1 GiB", "-1 GiB", "no size", ""),
    (
        "peak_memory:",
        "peak_memry:",
        "unknown key in `limits` `peak_memry`",
        "did you mean `peak_memory`?",
    ),
    (
        "min: 8, max: 20",
        "min: 30, max: 20",
        "min is above max",
        "",
    ),
    ("min: 8, max: 20", "min: 0", "whole number from 3", ""),
    ("min: 8, max: 20", "min: eight", "whole number from 3", ""),
    (
        "time_limit: 1m",
        "time_limit: 1 fortnight",
        "no duration",
        "",
    ),
    (
        "time_limit: 1m",
        "time_limit: 0s",
        "longer than nothing",
        "",
    ),
    ("time_limit: 1m", "time_limit: 60", "no duration", ""),
    (
        "time_limit: 1m",
        "confidence: 1.5",
        "`confidence` must be at least 0.5 and below 1",
        "",
    ),
    (
        "time_limit: 1m",
        "confidence: 95",
        "`confidence` must be at least 0.5 and below 1",
        "",
    ),
    (
        "time_limit: 1m",
        "precision: -1%",
        "`precision` must be at least 0",
        "",
    ),
    ("time_limit: 1m", "equivalence: lots", "no share", ""),
    (
        "time_limit: 1m",
        "repetitions: 0",
        "whole number from 1",
        "",
    ),
    ("time_limit: 1m", "seed: -4", "whole number from 0", ""),
    (
        "time_limit: 1m",
        "cache: cold",
        "`cache: cold` has no effect: nothing in this plan runs on a GPU",
        "choose device: wgpu or cuda",
    ),
    (
        "time_limit: 1m",
        "cache: wram",
        "unknown state of the caches `wram`",
        "did you mean `warm`?",
    ),
    ("time_limit: 1m", "cache: [cold]", "`cache` must be", ""),
    ("time_limit: 1m", "warmup: [1]", "`warmup` must be auto", ""),
    (
        "time_limit: 1m",
        "warm_up: 3",
        "unknown key in `protocol` `warm_up`",
        "did you mean `warmup`?",
    ),
    (
        "baseline: {tile: 8",
        "baseline: {tille: 8",
        "unknown parameter `tille`",
        "did you mean `tile`?",
    ),
    (
        "baseline: {tile: 8",
        "baseline: {tile: 9",
        "`tile` cannot be 9",
        "tile takes 8, 16, 32",
    ),
    (
        "mode: slow}\n",
        "mode: slwo}\n",
        "`mode` cannot be slwo",
        "did you mean `slow`?",
    ),
    (
        "baseline: {tile: 8, mode: slow}",
        "baseline: {}",
        "`baseline` is empty",
        "",
    ),
    (
        "baseline: {tile: 8, mode: slow}",
        "baseline: {tile: 8, tile: 16}",
        "duplicate mapping key",
        "",
    ),
    ("phase: tiles", "phase: base", "two phases `base`", ""),
    (
        "  - phase: tiles\n    kind",
        "  - kind",
        "a phase without its name",
        "phase: NAME",
    ),
    (
        "phase: tiles",
        "phase: final",
        "`final` is the name of the last confirmation",
        "",
    ),
    (
        "kind: tiling",
        "kind: tilling",
        "unknown kind `tilling`",
        "did you mean `tiling`?",
    ),
    (
        "after: [base]\n    hypothesis",
        "after: [bse]\n    hypothesis",
        "unknown phase `bse`",
        "did you mean `base`?",
    ),
    (
        "{phase: base, kind: baseline}",
        "{phase: base, kind: baseline, after: [tiles]}",
        "go round in a circle",
        "",
    ),
    (
        "after: [base]\n    hypothesis",
        "after: [tiles]\n    hypothesis",
        "go round in a circle",
        "",
    ),
    (
        "    keep: none",
        "    accuracy: {limits: {rel_l2: 1}}",
        "hands nothing on",
        "keep: none",
    ),
    (
        "    keep: none",
        "    keep: none\n    accuracy: {limits: {rel_l3: 1}}",
        "unknown accuracy metric `rel_l3`",
        "rel_l2",
    ),
    (
        "    keep: none",
        "    keep: none\n    accuracy: {against: exact}",
        "unknown key in a phase's `accuracy`",
        "limits",
    ),
    (
        "speedup: 5-15%",
        "speedup: a lot",
        "no expected speedup",
        "",
    ),
    (
        "speedup: 5-15%",
        "speedupp: 5%",
        "unknown key in `hypothesis` `speedupp`",
        "did you mean `speedup`?",
    ),
    (
        "      t16: {tile: 16}\n      t32: {tile: 32}\n",
        "      {}\n",
        "`variants` is empty",
        "",
    ),
    ("t16: {tile: 16}", "t16: {}", "`t16` is empty", ""),
    ("t16: {tile: 16}", "t16: 16", "`t16` must be a mapping", ""),
    (
        "t16: {tile: 16}",
        "t16: {tile: 16}\n      t16: {tile: 32}",
        "duplicate mapping key",
        "",
    ),
    (
        "t16: {tile: 16}",
        "t16: {tile: 32}",
        "`t32` is the same as `t16`",
        "",
    ),
    (
        "t16: {tile: 16}",
        "t16: {tile: 17}",
        "`tile` cannot be 17",
        "8, 16, 32",
    ),
    (
        "t16: {tile: 16}",
        "reference: {tile: 16}",
        "`reference` is a name that the report uses",
        "",
    ),
    (
        "speedup >= 1.05",
        "speedup is large",
        "compares nothing",
        "write `speedup >= 1.05`",
    ),
    (
        "speedup >= 1.05",
        "speed >= 1.05",
        "unknown quantity `speed`",
        "speedup",
    ),
    (
        "speedup >= 1.05",
        "speedup(t64) >= 1.05",
        "unknown variant `t64`",
        "t16, t32",
    ),
    (
        "speedup >= 1.05",
        "speedup(t16 >= 1.05",
        "no closing parenthesis",
        "",
    ),
    ("speedup >= 1.05", "runtime <= 5", "no duration", ""),
    (
        "speedup >= 1.05",
        "speedup >= fast",
        "`fast` is no number",
        "",
    ),
    (
        "tile > 8 or",
        "tyle > 8 or",
        "unknown parameter `tyle`",
        "did you mean tile?",
    ),
    ("tile > 8 or", "tile >", "in the restriction", ""),
    (
        "tile > 8 or",
        "tile + \"a\" > 8 or",
        "in the restriction",
        "",
    ),
    ("tile: [8, 16]", "tile: []", "`tile` is an empty list", ""),
    (
        "tile: [8, 16]",
        "tile: [8, 8]",
        "8 is twice in the list of `tile`",
        "",
    ),
    ("tile: [8, 16]", "tile: 8", "`tile` must be a list", ""),
    (
        "evaluations: 3",
        "evaluations: 0",
        "whole number from 1",
        "",
    ),
    (
        "evaluations: 3",
        "evaluation: 3",
        "unknown key in `budget` `evaluation`",
        "did you mean `evaluations`?",
    ),
    (
        "search: {parameters",
        "search: {strategy: genetik, parameters",
        "unknown strategy `genetik`",
        "",
    ),
    (
        "keep: none",
        "keep: all",
        "unknown choice of `keep` `all`",
        "best, none",
    ),
    (
        "combine: [tiles, extra]",
        "combine: [tiles]",
        "needs two phases",
        "",
    ),
    (
        "combine: [tiles, extra]",
        "combine: [tiles, extr]",
        "unknown phase `extr`",
        "did you mean `extra`?",
    ),
    (
        "combine: [tiles, extra]",
        "combine: [base, modes]",
        "combines phases that keep nothing",
        "",
    ),
    (
        "sweep: {mode: [fast]}",
        "sweep: {mode: [fast]}, search: {}",
        "one question",
        "two phases",
    ),
    (
        "phases:",
        "phase:",
        "unknown key in the plan `phase`",
        "did you mean `phases`?",
    ),
    (
        "    keep: none\n  - {phase: all, kind: combined, combine: [tiles, extra]}",
        "  - {phase: all, kind: x1, after: [tiles, modes]}",
        "`tiles` and `modes` may keep different values of `tile`",
        "combine: [tiles, modes]",
    ),
];

const WRONG_COMMANDS: &[Wrong] = &[
    (
        "'{tile}'",
        "'{tyle}'",
        "unknown parameter `tyle`",
        "did you mean `tile`?",
    ),
    (
        "'{tile}'",
        "'{tile'",
        "a brace without its partner",
        "{{ or }}",
    ),
    ("'{tile}'", "'{a b}'", "is not the name of a parameter", ""),
    (
        "'{tile}'",
        "'8'",
        "nothing uses the parameter `tile`",
        "write {tile}",
    ),
    ("[prog, --tile, '{tile}']", "''", "`command` is empty", ""),
    (
        "[prog, --tile, '{tile}']",
        "'prog \"{tile}'",
        "a quote without its end",
        "",
    ),
    (
        "([0-9.]+)'",
        "([0-9.+'",
        "the regular expression of `gflops` is wrong",
        "",
    ),
    (
        "pointer: /a/0",
        "pointer: a/0",
        "no JSON pointer",
        "begins with /",
    ),
    (
        "pointer: /a/0",
        "file: a.json",
        "needs either a regex or a pointer",
        "",
    ),
    ("dtype: f32", "dtype: float", "unknown dtype `float`", ""),
    (", shape: [4]", "", "needs both `dtype` and `shape`", ""),
    ("shape: [4]", "shape: [0]", "whole numbers above 0", ""),
    (
        "timer: metric t",
        "timer: metric tt",
        "unknown metric `tt`",
        "did you mean `t`?",
    ),
    ("timer: metric t", "timer: stopwatch", "is no timer", "wall"),
    (
        "timer: metric t",
        "problem: {a: 1}",
        "`problem` has no effect on a command",
        "",
    ),
    (
        "timer: metric t",
        "shell: maybe",
        "`shell` must be true or false",
        "",
    ),
    (
        "timer: metric t",
        "shell: true",
        "`command` is one text",
        "",
    ),
    (
        "metrics: {gflops",
        "metrics: {speedup",
        "`speedup` cannot name a metric",
        "",
    ),
];

pub(in crate::plan) fn assert_wrong(good: &str, (from, to, message, help): Wrong) {
    assert!(good.contains(from), "the good plan has no {from:?}");
    let text = good.replacen(from, to, 1);
    let findings = parse(&text).expect_err(&format!("{to:?} passes"));
    let found = findings.iter().find(|d| d.message.contains(message));
    let found = found.unwrap_or_else(|| panic!("{to:?} says {findings:#?}, not {message:?}"));
    assert!(
        found.help.as_deref().unwrap_or("").contains(help),
        "{to:?}: {found:?}"
    );
    let Origin::File { start, end } = found.origin else {
        panic!("{found:?} has no place")
    };
    assert!(start <= end && end <= text.len());
    // What was changed is what is pointed at, or the section around it.
    let at = good.find(from).unwrap_or(0);
    let line = |i: usize| text[..i.min(text.len())].matches('\n').count();
    let is_section = message.contains("has no")
        || message.contains("neither")
        || message.contains("circle")
        || message.contains("may keep")
        || message.contains("nothing uses")
        || message.contains("is one text");
    let is_near = (line(at)..=line(at + to.len())).contains(&line(start))
        || line(start).abs_diff(line(at)) <= 3;
    assert!(
        is_section || is_near,
        "{to:?}: pointed at line {}, changed line {}",
        line(start),
        line(at)
    );
}

#[test]
fn every_wrong_plan_has_its_message_at_its_place() {
    assert!(WRONG.len() + WRONG_COMMANDS.len() >= 60);
    WRONG.iter().for_each(|wrong| assert_wrong(GOOD, *wrong));
    WRONG_COMMANDS
        .iter()
        .for_each(|wrong| assert_wrong(COMMAND, *wrong));
}
