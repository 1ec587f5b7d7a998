#!/usr/bin/env python3
"""The beamformer against its peers, in one run and on the same arrays.

    cargo build --release --example builtin
    python benches/peers/beamform3d.py [--preset paper|laptop|tiny] [--set NAME=VALUE ...] [--rounds N]

Needs numpy, numba, scipy; PyMUST 0.1.9 for its part (`pip install numba scipy PyMUST`).

1. Speed: phasetune's configuration (--set, else the recommended one of reports/beamform3d/results_summary.md) against a
   numba kernel of the same formula (parallel, fastmath, f32, with the same factoring of units), warm, in turns.
2. Agreement of both volumes with the definition in double precision (phasetune's `exact`), rel_l2 and max_rel.
3. PyMUST's dasmtx3, on a subset of the points of a smaller preset, against the same `exact`.
"""
import argparse, math, os, re, subprocess, sys, tempfile, warnings
from pathlib import Path
os.environ.setdefault("NUMBA_NUM_THREADS", str(len(os.sched_getaffinity(0))))
warnings.filterwarnings("ignore")
import numpy as np
from numba import njit, prange

ROOT = Path(__file__).resolve().parents[2]
SIZES = dict(tiny=(8, 1.2e-3, (16, 16, 32)), laptop=(16, 0.6e-3, (32, 32, 64)), paper=(32, 0.3e-3, (64, 64, 128)))
C, FC, SAMPLES = 1540.0, 3e6, 560
FS = 4 * FC
SIGMA = math.sqrt(2 * math.log(2)) / (math.pi * 0.70 * FC)


class Problem:
    """WORKLOADS §1a, §1b: the arrays are made here once, and both sides read them."""

    def __init__(self, preset):
        self.preset = preset
        side, self.pitch, (nx, ny, nz) = SIZES[preset]
        place = ((np.arange(side) - (side - 1) / 2) * self.pitch).astype(np.float32)
        self.ex, self.ey = np.tile(place, side), np.repeat(place, side)  # x runs fastest
        axis = lambda n, low, high: (low + (high - low) * np.arange(n) / (n - 1)).astype(np.float32)
        self.x, self.y, self.z = axis(nx, -10e-3, 10e-3), axis(ny, -10e-3, 10e-3), axis(nz, 20e-3, 40e-3)
        self.shape = (nx, ny, nz)
        nodes = [(nx // 2, ny // 2, nz // 2), (nx // 4, ny // 2, nz // 4), (5 * nx // 8, ny // 4, 3 * nz // 8)]
        t = np.arange(SAMPLES) / FS
        iq = np.zeros((SAMPLES, len(self.ex)), complex)
        ex, ey = self.ex.astype(float), self.ey.astype(float)
        for (i, j, k), a in zip(nodes, (1.0, 0.7, 0.5)):
            r = np.sqrt((ex - float(self.x[i])) ** 2 + (ey - float(self.y[j])) ** 2 + float(self.z[k]) ** 2)
            tau = (r.min() + r) / C
            iq += a * np.exp(-0.5 * ((t[:, None] - tau) / SIGMA) ** 2) * np.exp(-2j * np.pi * FC * tau)
        self.iq = iq.astype(np.complex64)


@njit(parallel=True, fastmath=True)
def das32(re, im, ex, ey, gx, gy, gz, ore, oim):
    # Lengths are in samples (m · fs/c), so that a distance is a position in the trace; the phase is position · fc/fs cycles.
    ne, ns = re.shape; ny, nz = gy.size, gz.size; cyc = np.float32(FC / FS); tp = np.float32(2 * math.pi)
    for p in prange(gx.size * ny * nz):
        x = gx[p // (ny * nz)]; y = gy[(p // nz) % ny]; z = gz[p % nz]; z2 = z * z; dt = np.float32(1e30)
        for e in range(ne):
            dt = min(dt, np.float32(math.sqrt((x - ex[e]) ** 2 + (y - ey[e]) ** 2 + z2)))
        ar = np.float32(0); ai = np.float32(0)
        for e in range(ne):
            s = dt + np.float32(math.sqrt((x - ex[e]) ** 2 + (y - ey[e]) ** 2 + z2)); i = int(s)
            if i > ns - 2: continue
            a = s - np.float32(i); ph = s * cyc; ph = tp * (ph - np.float32(int(ph)))
            c_, s_ = np.float32(math.cos(ph)), np.float32(math.sin(ph))
            vr = re[e, i] + (re[e, i + 1] - re[e, i]) * a; vi = im[e, i] + (im[e, i + 1] - im[e, i]) * a
            ar += vr * c_ - vi * s_; ai += vr * s_ + vi * c_
        ore[p] = ar; oim[p] = ai


class Numba:
    def __init__(self, p):
        f, k = np.float32, FS / C
        scaled = lambda a: (a.astype(float) * k).astype(f)
        self.arguments = (np.ascontiguousarray(p.iq.real.T), np.ascontiguousarray(p.iq.imag.T),
                          scaled(p.ex), scaled(p.ey), scaled(p.x), scaled(p.y), scaled(p.z))
        n = math.prod(p.shape)
        self.re, self.im, self.shape = np.zeros(n, f), np.zeros(n, f), p.shape

    def run(self):
        from time import perf_counter
        started = perf_counter()
        das32(*self.arguments, self.re, self.im)
        return perf_counter() - started

    def volume(self):
        return (self.re.astype(float) + 1j * self.im).reshape(self.shape)


class Ours:
    """One configuration of phasetune's, in examples/builtin.rs."""

    def __init__(self, p, iq, settings, folder):
        program = ROOT / "target/release/examples/builtin"
        if not program.exists():
            sys.exit("build it first: cargo build --release --example builtin")
        self.folder, self.shape = folder, p.shape
        self.process = subprocess.Popen([program, "beamform3d", f"preset={p.preset}", f"iq={iq}", *settings], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
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
        file = f"{self.folder}/{what}.npy"
        self.order(f"{what} {file}")
        a = np.load(file)
        a = a[..., 0] + 1j * a[..., 1].astype(float) if not np.iscomplexobj(a) else a.astype(complex)
        return a.reshape(self.shape)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def recommended(report):
    """NAME=VALUE of the first baseline: block below "Recommended configuration"."""
    text = Path(report).read_text().split("## Recommended configuration", 1)[1]
    block = re.search(r"```yaml\nbaseline:\n(.*?)```", text, re.S).group(1)
    return [f"{n}={v}" for n, v in re.findall(r"^\s+(\w+): ([^\s#]+)", block, re.M)]


def agreement(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b), np.abs(a - b).max() / np.abs(b).max()


def interval(ratios):
    """Geometric centre (Hodges-Lehmann of logs) and signed-rank 95 % interval, as STATISTICS.md."""
    from scipy.stats import wilcoxon
    d = np.log(ratios); i, j = np.triu_indices(len(d)); walsh = np.sort((d[i] + d[j]) / 2); m, n = len(walsh), len(d)
    # The exact signed-rank distribution, by counting subsets of 1..n.
    counts = np.zeros(m + 1); counts[0] = 1
    for r in range(1, n + 1):
        counts[r:] += counts[:-r].copy()
    k = int(np.searchsorted(np.cumsum(counts) / 2.0**n, 0.025, side="right"))
    centre = math.exp(np.median(walsh))
    return (centre, math.exp(walsh[k - 1]), math.exp(walsh[m - k])) if k else (centre, math.nan, math.nan)


def pymust(preset, folder):
    """dasmtx3 builds a sparse matrix of points x samples, so it gets a smaller problem: every plane along x that fits."""
    import importlib.metadata, pymust as must
    p = Problem(preset); iq = f"{folder}/iq_{preset}.npy"; np.save(iq, p.iq)
    ours = Ours(p, iq, [], folder); exact = ours.array("exact"); ours.close()
    a = must.utils.Param(); a.fc, a.fs, a.c, a.bandwidth = FC, FS, C, 70
    a.width = a.height = 250e-6; a.radius = np.inf; a.pitch = p.pitch; a.passive = False
    a.elements = np.array([p.ex.astype(float), p.ey.astype(float)]); a.Nelements = len(p.ex)
    a.fnumber = np.array([0.0, 0.0]); a.t0 = np.zeros(1)
    planes = slice(None) if preset == "tiny" else slice(0, 4)
    X, Y, Z = (g[planes] for g in np.meshgrid(*(v.astype(float) for v in (p.x, p.y, p.z)), indexing="ij"))
    matrix = must.dasmtx3(p.iq, X, Y, Z, np.zeros((1, len(p.ex))), a)
    volume = np.asarray(matrix @ p.iq.ravel(order="F")).ravel().reshape(X.shape, order="F")
    return importlib.metadata.version("PyMUST"), X.size, agreement(volume, exact[planes])


def main():
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("--preset", choices=SIZES, default="paper")
    about.add_argument("--set", nargs="+", metavar="NAME=VALUE", help="phasetune's configuration")
    about.add_argument("--report", default=ROOT / "reports/beamform3d/results_summary.md")
    about.add_argument("--rounds", type=int, default=10)
    about.add_argument("--no-pymust", action="store_true")
    o = about.parse_args()
    settings = o.set or recommended(o.report)
    p = Problem(o.preset)
    with tempfile.TemporaryDirectory() as folder:
        iq = f"{folder}/iq.npy"; np.save(iq, p.iq)
        ours, peer = Ours(p, iq, settings, folder), Numba(p)
        print(f"preset {o.preset}: {math.prod(p.shape)} points x {len(p.ex)} elements, {os.environ['NUMBA_NUM_THREADS']} threads each")
        print("phasetune:", " ".join(settings))
        for _ in range(2): ours.run(); peer.run()  # compiles, and touches all pages
        pairs = []
        for i in range(o.rounds):
            if i % 2: a = ours.run(); b = peer.run()
            else: b = peer.run(); a = ours.run()
            pairs.append((a, b))
        pairs = np.array(pairs); ratio, low, high = interval(pairs[:, 1] / pairs[:, 0])
        exact = ours.array("exact"); mine, theirs = ours.array("output"), peer.volume(); ours.close()
        rows = [("phasetune, s/volume (median, best)", f"{np.median(pairs[:,0]):.4f}, {pairs[:,0].min():.4f}"),
                ("numba, s/volume (median, best)", f"{np.median(pairs[:,1]):.4f}, {pairs[:,1].min():.4f}"),
                ("numba / phasetune, 95 % interval", f"{ratio:.2f} [{low:.2f}, {high:.2f}]")]
        for name, (l2, mx) in (("phasetune against exact", agreement(mine, exact)), ("numba against exact", agreement(theirs, exact)),
                               ("phasetune against numba", agreement(mine, theirs))):
            rows.append((f"{name}, rel_l2, max_rel", f"{l2:.2e}, {mx:.2e}"))
        must = None
        if not o.no_pymust:
            version, points, must = pymust("tiny" if o.preset == "tiny" else "laptop", folder)
            rows.append((f"PyMUST {version} against exact ({points} points), rel_l2, max_rel", f"{must[0]:.2e}, {must[1]:.2e}"))
        print("\n".join(["", "| what | figure |", "|---|---|"] + [f"| {a} | {b} |" for a, b in rows]) + "\n")
        checks = [("at least 10 x numba (lower bound)", low >= 10)]
        if o.preset == "paper": checks.append(("at most 0.26 s a volume (median)", np.median(pairs[:, 0]) <= 0.26))
        if must: checks.append(("PyMUST agrees to 1e-5", must[0] <= 1e-5))
        for what, met in checks: print(f"verdict: {what}: {'met' if met else 'NOT MET'}")
        sys.exit(0 if all(met for _, met in checks) else 1)


main()
