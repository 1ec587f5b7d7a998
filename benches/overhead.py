#!/usr/bin/env python3
"""What `phasetune tune` costs beside hyperfine, for the same command and the same number of executions.

    cargo build --release --bins
    python3 benches/overhead.py [--rounds N] [--only 1ms 10ms 100ms true]

Both tools run two equal commands, in turns, at two lengths: a short run (a quarter of the blocks) and a long one. The long
run's wall times give the ratio of totals. The difference of long and short, divided by the executions between them, is what one
execution costs; what is left of the long run is paid once (plan, git, workers, Parquet, report with its plots).
Target: a ratio of at most 1.05. Needs hyperfine; standard library only.
"""
import argparse, json, math, os, shutil, statistics, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PHASETUNE = ROOT / "target/release/phasetune"

# Bytes that md5sum hashes (0: /bin/true), blocks of the long run, samples a cell (what phasetune would choose itself).
CASES = {"true": (0, 160, 3), "1ms": (300_000, 160, 3), "10ms": (5_500_000, 80, 3), "100ms": (60_000_000, 40, 1)}


def timed(command, **more):
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, **more)
    elapsed = time.perf_counter() - started
    # 3 and 4 are about criteria; there are none here.
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}: {done.stderr}")
    return elapsed, done.stdout


def phasetune(words, blocks, repetitions, folder):
    """Wall time and number of executions."""
    settings = dict(blocks=f"{{min: {blocks}, max: {blocks}}}", repetitions=repetitions, time_limit="1h")
    sets = [w for k, v in settings.items() for w in ("--set", f"protocol.{k}={v}")]
    shutil.rmtree(f"{folder}/results", ignore_errors=True)
    elapsed, out = timed([PHASETUNE, "tune", "--json", "--results", f"{folder}/results", "--reports", f"{folder}/reports",
                          *sets, "--param", "side=a,b", "--", *(w.replace("@", "{side}") for w in words)])
    told = json.loads(out)
    measured = sum(o["blocks"] + o["confirmation_blocks"] for o in told["outcomes"])
    measured += sum((f["confirmation"] or {}).get("blocks", 0) for f in told["finals"])
    return elapsed, 2 + 2 * repetitions * measured  # 2: each variant's check


def hyperfine(words, executions):
    each = executions // 2
    commands = [" ".join(words).replace("@", side) for side in "ab"]
    return timed(["hyperfine", "-N", "--style", "none", "--runs", str(each), *commands])[0]


def interval(logs):
    """Student's 95 % interval of a mean of logs, as a ratio."""
    n, mean = len(logs), statistics.fmean(logs)
    if n < 2:
        return math.exp(mean), math.nan, math.nan
    t = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}.get(n, 2.1)
    half = t * statistics.stdev(logs) / math.sqrt(n)
    return tuple(math.exp(v) for v in (mean, mean - half, mean + half))


def measure(name, rounds, folder):
    size, blocks, repetitions = CASES[name]
    words = ["/bin/true", "@"]
    if size:
        for side in "ab":
            Path(f"{folder}/{name}_{side}").write_bytes(b"x" * size)
        words = ["md5sum", f"{folder}/{name}_@"]
    found = []
    for i in range(rounds + 1):  # the first round is warm-up
        one = {}
        for length, n in (("short", max(blocks // 4, 10)), ("long", blocks)):
            # In turns; the count of executions comes from phasetune, so it leads, and hyperfine leads in time every other round.
            if i % 2:
                expected = 2 + 2 * repetitions * n
                h = hyperfine(words, expected)
                p, executions = phasetune(words, n, repetitions, folder)
                h *= 1 if executions == expected else executions / expected
            else:
                p, executions = phasetune(words, n, repetitions, folder)
                h = hyperfine(words, executions)
            one[length] = (p, h, executions)
        if i:
            found.append(one)
    total = interval([math.log(o["long"][0] / o["long"][1]) for o in found])
    median = lambda values: statistics.median(list(values))
    def one_execution(tool):
        return median((o["long"][tool] - o["short"][tool]) / (o["long"][2] - o["short"][2]) for o in found)
    p, h = one_execution(0), one_execution(1)
    fixed = lambda tool, each: median(o["long"][tool] - each * o["long"][2] for o in found)
    return dict(name=name, n=found[0]["long"][2], total=total, seconds=(median(o["long"][0] for o in found), median(o["long"][1] for o in found)),
                each=(p, h), fixed=(fixed(0, p), fixed(1, h)))


def main():
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("--rounds", type=int, default=6)
    about.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    o = about.parse_args()
    if not PHASETUNE.exists(): sys.exit("build it first: cargo build --release --bins")
    if not shutil.which("hyperfine"): sys.exit("hyperfine is not installed")
    print(f"{o.rounds} rounds; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| command | executions | phasetune | hyperfine -N | ratio of totals, 95 % interval | one execution (ratio) | once a run |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name in o.only:
            r = measure(name, o.rounds, folder); found.append(r)
            (ratio, low, high), (tp, th), (ep, eh), (fp, fh) = r["total"], r["seconds"], r["each"], r["fixed"]
            print(f"| {name} | {r['n']} | {tp:.2f} s | {th:.2f} s | {ratio:.3f} [{low:.3f}, {high:.3f}] | "
                  f"{ep*1e3:.2f} ms, {eh*1e3:.2f} ms ({ep/eh:.3f}) | {fp:.2f} s, {fh:.2f} s |", flush=True)
    print()
    failed = 0
    for r in found:
        if r["name"] == "true": continue
        for what, value in (("total", r["total"][0]), ("one execution", r["each"][0] / r["each"][1])):
            met = value <= 1.05; failed += not met
            print(f"verdict: {r['name']}, {what} at most 1.05: {value:.3f}: {'met' if met else 'NOT MET'}")
    sys.exit(1 if failed else 0)


main()
