#!/usr/bin/env python3
"""Does a search find the beamformer's best chunks in a quarter of the evaluations?

    cargo build --release --bins
    python3 benches/chunks.py [--seeds 10] [--strategy auto] [--share 0.25] [--preset laptop] [--task-points]

1. Every chunk of experiments/beamform3d_chunks.yaml (112; with --task-points the 672 of the plan as it stands): the exhaustive best.
2. The strategy with --share of the evaluations, once a seed.
3. All winners against the exhaustive best in the same blocks, with an equivalence margin of 2 %. A seed holds if its winner is
   the exhaustive best itself, or its verdict is equivalent, slightly faster or faster.
Target: 9 of 10 seeds. Takes about half an hour on two cores that nothing else uses, two with --task-points; standard library only.
"""
import argparse, json, os, subprocess, sys, tempfile, time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PHASETUNE = ROOT / "target/release/phasetune"
PLAN = ROOT / "experiments/beamform3d_chunks.yaml"
MARGIN = "2%"
HOLDS = ("equivalent", "slightly_faster", "faster")

def run(plan, folder, sets):
    """What `phasetune run --json` tells, and its wall time."""
    words = [PHASETUNE, "run", plan, "--fresh", "--json", "--results", f"{folder}/results", "--reports", f"{folder}/reports"]
    started = time.perf_counter()
    done = subprocess.run([*words, *(w for s in sets for w in ("--set", s))], capture_output=True, text=True)
    # 3 and 4 are about criteria.
    if done.returncode not in (0, 3, 4):
        sys.exit(f"phasetune ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout), time.perf_counter() - started


def search(plan, folder, sets):
    """The kept configuration, how many were evaluated, and seconds."""
    told, seconds = run(plan, folder, sets)
    outcome = next(o for o in told["outcomes"] if o["phase"] == "chunks")
    if outcome["is_descriptive"]:
        sys.exit(f"the time limit left too few blocks to decide anything: {outcome['note']}")
    tried = [t for t in told["trials"] if t["phase"] == "chunks" and t["name"] not in ("reference", "canary")]
    return tuple(map(tuple, outcome["kept"])), len(tried), seconds


def show(configuration, names):
    return ", ".join(f"{n}={v}" for n, v in configuration if n in names)


def side_by_side(best, others, options, folder):
    """Verdict and comparison of each of the others against the best, in the same blocks."""
    phases = []
    # At most five a phase: more than eight would be thinned out first.
    for start in range(0, len(others), 5):
        variants = {f"winner {i}": dict(others[i]) for i in range(start, min(start + 5, len(others)))}
        phases.append({"phase": f"winners_{start}", "keep": "none", "variants": variants})
    plan = {
        "name": "chunks_side_by_side",
        "workload": {"builtin": "beamform3d", "problem": {"preset": options.preset, "seed": 1}},
        "device": "cpu",
        "protocol": {"blocks": {"min": 16, "max": 400}, "equivalence": MARGIN, "precision": "0.5%", "time_limit": "15m",
                     "trial_timeout": "60s"},
        "baseline": dict(best),
        "phases": phases,
    }
    file = Path(folder) / "side_by_side.yaml"
    file.write_text(json.dumps(plan))  # JSON is YAML
    told, _ = run(file, folder, [])
    return {t["name"]: (t["verdict"], t["comparison"]) for t in told["trials"] if t["name"].startswith("winner")}


def main():
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("--seeds", type=int, default=10)
    about.add_argument("--strategy", default="auto")
    about.add_argument("--share", type=float, default=0.25)
    about.add_argument("--preset", default="laptop")
    about.add_argument("--task-points", action="store_true")
    options = about.parse_args()
    if not PHASETUNE.exists():
        sys.exit("build it first: cargo build --release --bins")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        # Without a budget of its own, or only the first quarter would be tried.
        every = "phases.chunks.search.budget={evaluations: 1000000}"
        common = [f"workload.problem.preset={options.preset}", "protocol.time_limit=2h"]
        if not options.task_points:
            common.append("phases.chunks.search.parameters.task_points=[256]")
        best, count, seconds = search(PLAN, folder, [*common, every, "phases.chunks.search.strategy=exhaustive"])
        budget = int(count * options.share)
        names = [name for name, _ in best if name.endswith("_chunk") or name == "task_points"]
        print(f"exhaustive: {count} configurations in {seconds:.0f} s, best {show(best, names)}", flush=True)
        winners = []
        for seed in range(1, options.seeds + 1):
            found, tried, seconds = search(PLAN, folder, [
                *common, f"protocol.seed={seed}", f"phases.chunks.search.strategy={options.strategy}",
                f"phases.chunks.search.budget={{evaluations: {budget}}}"])
            winners.append(found)
            print(f"seed {seed}: {tried} of {count} evaluated in {seconds:.0f} s, {show(found, names)}", flush=True)
        others = sorted(set(winners) - {best}, key=str)
        verdicts = side_by_side(best, others, options, folder) if others else {}
        held = 0
        for seed, winner in enumerate(winners, 1):
            if winner == best:
                verdict, text, holds = "the same", "", True
            else:
                verdict, comparison = verdicts[f"winner {others.index(winner)}"]
                holds = verdict in HOLDS
                interval = (comparison or {}).get("equivalence_interval") or ("?", "?")
                text = f", speedup over the exhaustive best {(comparison or {}).get('speedup')} {list(interval)}"
            held += holds
            print(f"seed {seed}: {verdict}{text}")
    needed = -(-9 * options.seeds // 10)
    print(f"verdict: within {MARGIN} of the exhaustive best in {held} of {options.seeds} seeds, wanted {needed}: "
          f"{'met' if held >= needed else 'NOT MET'}")
    sys.exit(held < needed)


main()
