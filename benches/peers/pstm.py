#!/usr/bin/env python3
"""The migration against its peers, in one run and on the same arrays.

    cargo build --release --example builtin
    python benches/peers/pstm.py [--preset laptop|medium|tiny] [--set NAME=VALUE ...] [--rounds N]

Needs numpy, numba; pylops 2.8 for its part (`pip install numba pylops`).

1. Speed: phasetune's configuration (--set, else the recommended one of reports/pstm/results_summary.md) and its baseline
   against a numba kernel of the same formula (parallel, fastmath, f32; the kernel of the workload's specification), warm, in turns.
   Ours reads its traces from a file in every invocation; numba has them in memory.
2. Agreement of both images with the definition in double precision (phasetune's `exact`), and of the folds.
3. PyLops' Kirchhoff operator (mode byot, engine numba) at `tiny` without an aperture, against the same `exact`.
"""
import argparse, math, os, re, subprocess, sys, tempfile, warnings
from pathlib import Path
from time import perf_counter
os.environ.setdefault("NUMBA_NUM_THREADS", str(len(os.sched_getaffinity(0))))
# OpenMP's threads would spin on for milliseconds after numba's turn, on the processors that it is then ours to use.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
warnings.filterwarnings("ignore")
import numpy as np
from numba import njit, prange

ROOT = Path(__file__).resolve().parents[2]
# nodes a side, times, midpoints a side, samples, offset, aperture, time of the diffractor
SIZES = dict(tiny=(12, 101, 20, 201, 200., 300., 0.14), laptop=(24, 201, 40, 351, 300., 500., 0.24), medium=(32, 251, 48, 401, 300., 600., 0.30))
V, SPACING, DT, FREQUENCY, TAPER, END = 2000., 25., 2e-3, 25., 0.1, 20


class Problem:
    """WORKLOADS §2b, a diffractor: the arrays are made here once, and both sides read them. Coordinates from the first node."""

    def __init__(self, preset, aperture=None):
        self.preset = preset
        self.n, self.nt, side, self.ns, offset, radius, t0d = SIZES[preset]
        self.aperture = radius if aperture is None else aperture
        middle = (self.n - 1) / 2 * SPACING
        at = middle + (np.arange(side) - (side - 1) / 2) * SPACING
        mx, my = (a.ravel() for a in np.meshgrid(at, at, indexing="ij"))
        self.geometry = np.stack([mx - offset / 2, my, mx + offset / 2, my], 1).astype(np.float32)
        x, y = self.n // 3 * SPACING, self.n // 2 * SPACING
        b = (np.pi * FREQUENCY * (np.arange(self.ns) * DT - self.travel(x, y, t0d)[:, None])) ** 2
        end = np.ones(self.ns)
        end[-END:] = 0.5 * (1 + np.cos(np.pi * (np.arange(END) + 1) / END))
        self.traces = ((1 - 2 * b) * np.exp(-b) * end).astype(np.float32)

    def travel(self, x, y, t0):
        g = self.geometry.astype(float)
        leg = lambda px, py: np.sqrt((t0 / 2) ** 2 + ((x - px) ** 2 + (y - py) ** 2) / V ** 2)
        return leg(g[:, 0], g[:, 1]) + leg(g[:, 2], g[:, 3])


@njit(parallel=True, fastmath=True)
def migrate(d, geo, n, nt, ap, taper, img, fold):
    ns = d.shape[1]; iv2 = np.float32(1 / (V * V)); idt = np.float32(1 / DT); ts = ap * (1 - taper)
    for p in prange(n * n):
        ix = p // n; iy = p % n; x = ix * SPACING; y = iy * SPACING
        row = np.zeros(nt, np.float32); fr = np.zeros(nt, np.int32)
        for k in range(d.shape[0]):
            mx = .5 * (geo[k, 0] + geo[k, 2]); my = .5 * (geo[k, 1] + geo[k, 3]); dm = math.sqrt((x - mx) ** 2 + (y - my) ** 2)
            if dm > ap: continue
            w = np.float32(1)
            if dm > ts: w = np.float32(.5 * (1 + math.cos(math.pi * (dm - ts) / (ap - ts))))
            a = np.float32(((x - geo[k, 0]) ** 2 + (y - geo[k, 1]) ** 2)) * iv2; b = np.float32(((x - geo[k, 2]) ** 2 + (y - geo[k, 3]) ** 2)) * iv2
            for it in range(nt):
                h = np.float32(.5 * it * DT); h2 = h * h
                s = (math.sqrt(h2 + a) + math.sqrt(h2 + b)) * idt
                i = int(s)
                if i < ns - 1:
                    f = s - np.float32(i); row[it] += w * (d[k, i] + (d[k, i + 1] - d[k, i]) * f); fr[it] += 1
        for it in range(nt): img[ix, iy, it] = row[it]; fold[ix, iy, it] = fr[it]


class Numba:
    def __init__(self, p):
        shape = (p.n, p.n, p.nt)
        self.image, self.fold = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
        self.arguments = (p.traces, p.geometry, p.n, p.nt, p.aperture, TAPER, self.image, self.fold)

    def run(self):
        started = perf_counter()
        migrate(*self.arguments)
        return perf_counter() - started


class Ours:
    """One configuration of phasetune's, in examples/builtin.rs."""

    def __init__(self, p, files, settings, folder):
        program = ROOT / "target/release/examples/builtin"
        if not program.exists():
            sys.exit("build it first: cargo build --release --example builtin")
        self.folder, self.shape = folder, (2, p.n, p.n, p.nt)
        words = [f"preset={p.preset}", f"traces={files[0]}", f"geometry={files[1]}", f"amax={p.aperture}", *settings]
        self.process = subprocess.Popen([program, "pstm", *words], text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        return line.strip() if line else sys.exit("phasetune's side has ended; its reason is above")

    def order(self, text):
        self.process.stdin.write(text + "\n")
        return self.answer()

    def run(self):
        return float(self.order("run"))

    def array(self, what):
        """Image and fold."""
        file = f"{self.folder}/{what}.npy"
        self.order(f"{what} {file}")
        return np.load(file).astype(float).reshape(self.shape)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def recommended():
    """From the committed report; what is not of this machine's plan is left out."""
    text = (ROOT / "reports/pstm/results_summary.md").read_text()
    block = re.search(r"```yaml\nbaseline:\n(.*?)```", text, re.S).group(1)
    pairs = (line.split("#")[0].strip().split(": ") for line in block.splitlines())
    return [f"{k}={v.strip(chr(34))}" for k, v in pairs if k not in ("bins_in_flight",)]


def ratio(a, b, draws=4000):
    """Median of b/a over rounds, with a bootstrap interval."""
    r = np.array(b) / np.array(a)
    boot = np.median(np.random.default_rng(1).choice(r, (draws, len(r))), axis=1)
    return f"{np.median(r):.2f} [{np.percentile(boot, 2.5):.2f}, {np.percentile(boot, 97.5):.2f}]"


def norm(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def speed(arguments, folder):
    p = Problem(arguments.preset)
    files = [f"{folder}/traces.npy", f"{folder}/geometry.npy"]
    np.save(files[0], p.traces)
    np.save(files[1], p.geometry)
    settings = arguments.set or recommended()
    print("phasetune:", " ".join(settings))
    peer, ours, base = Numba(p), Ours(p, files, settings, folder), Ours(p, files, [], folder)
    for side in (peer, ours, base):
        side.run(), side.run()
    times = {"numba": [], "phasetune": [], "its baseline": []}
    for _ in range(arguments.rounds):
        for name, side in zip(times, (peer, ours, base)):
            times[name].append(side.run())
    exact = ours.array("exact")
    contributions = exact[1].sum()
    for name, t in times.items():
        print(f"{name:>13}: median {np.median(t) * 1e3:8.2f} ms, {contributions / np.median(t) / 1e9:6.2f}e9 contributions/s")
    print("numba / phasetune:       ", ratio(times["phasetune"], times["numba"]))
    print("its baseline / phasetune:", ratio(times["phasetune"], times["its baseline"]))
    got = ours.array("output")
    print(f"rel_l2 against the definition in f64: phasetune {norm(got[0], exact[0]):.2e}, numba {norm(peer.image, exact[0]):.2e}")
    print(f"nodes with another fold: phasetune {int((got[1] != exact[1]).sum())}, numba {int((peer.fold != exact[1]).sum())} of {exact[1].size}")
    ours.close(), base.close()


def pylops(folder):
    import pylops
    p = Problem("tiny", aperture=1e6)
    files = [f"{folder}/tiny-traces.npy", f"{folder}/tiny-geometry.npy"]
    np.save(files[0], p.traces)
    np.save(files[1], p.geometry)
    ours = Ours(p, files, ["axis=time"], folder)
    ours.run()
    exact, got = ours.array("exact")[0], ours.array("output")[0]
    ours.close()
    times, at = np.arange(p.nt) * DT, np.arange(p.n) * SPACING
    count = len(p.geometry)
    travel = np.stack([p.travel(x, y, t) for x in at for y in at for t in times])
    results = []
    for dtype in ("float64", "float32"):
        operator = pylops.waveeqprocessing.Kirchhoff(
            z=times, x=at, y=at, t=np.arange(p.ns) * DT, srcs=np.zeros((3, count)), recs=np.zeros((3, 1)), vel=V,
            wav=np.array([1.0]), wavcenter=0, mode="byot", trav=travel.astype(dtype), engine="numba", dtype=dtype)
        image = np.asarray(operator.H @ p.traces.astype(dtype).reshape(count, 1, p.ns).ravel()).reshape(exact.shape)
        results.append(f"{dtype}: definition {norm(exact, image):.2e}, phasetune's kernel {norm(got, image):.2e}")
    print(f"PyLops {pylops.__version__} Kirchhoff at tiny, rel_l2 against its image in", "; in ".join(results))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=SIZES, default="laptop")
    parser.add_argument("--set", action="append", metavar="NAME=VALUE")
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        speed(arguments, folder)
        try:
            pylops(folder)
        except ImportError as error:
            print("PyLops was not compared:", error)


if __name__ == "__main__":
    main()
