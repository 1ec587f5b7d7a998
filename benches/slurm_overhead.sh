#!/bin/sh
# What a campaign on Slurm costs beside its blocks: blocks of 5 s (they sleep, so that two cores are enough) on three virtual nodes.
#
#     cargo build --release && sh benches/slurm_overhead.sh [BLOCKS]
#
# Target: at most 1.2 x (blocks x 5 s / 3) for the whole campaign: checks, screening, both confirmations, records, report.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
blocks=${1:-30}
state=$(mktemp -d /tmp/ptXXXXXX)
trap 'sh "$root/tests/slurm/stop-test-cluster.sh" "$state" 2>/dev/null; rm -rf "$state"' EXIT
env=$(sh "$root/tests/slurm/start-test-cluster.sh" "$state" 2>/dev/null)
eval "$env"
mkdir "$state/bed" && cd "$state/bed"
cat >plan.yaml <<PLAN
name: t
workload: {command: [sleep, '{seconds}']}
protocol: {blocks: {min: $blocks, max: $blocks}, repetitions: 1, trial_timeout: 60s, time_limit: 1h}
baseline: {seconds: 2.6}
on: {nodes: 3}
phases:
  - {phase: nap, kind: tiling, variants: {shorter: {seconds: 2.4}}}
PLAN
began=$(date +%s.%N)
"$root/target/release/phasetune" run plan.yaml --json >told.json
ended=$(date +%s.%N)
python3 - "$began" "$ended" <<'PYTHON'
import json, sys
told = json.load(open("told.json"))
blocks = sum(o["blocks"] + o["confirmation_blocks"] for o in told["outcomes"])
blocks += sum((f["confirmation"] or {}).get("blocks", 0) for f in told["finals"])
wall, ideal = float(sys.argv[2]) - float(sys.argv[1]), blocks * 5 / 3
met = "met" if wall <= 1.2 * ideal else "not met"
print(f"{blocks} blocks of 5 s on 3 nodes: {wall:.1f} s, {wall / ideal:.3f} x (blocks x 5 s / 3); target 1.2: {met}")
PYTHON
