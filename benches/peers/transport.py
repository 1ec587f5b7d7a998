#!/usr/bin/env python3
"""The proton transport against its peers, in one run and from the same phase space.

    cargo build --release --example builtin
    python benches/peers/transport.py [--preset paper|laptop|tiny] [--steps N] [--rounds N] [--no-numpy]

Needs numpy, numba, scipy (`pip install numba scipy`).

1. Speed: phasetune dense (--dense) and with the active window (--window) against numba kernels of the same operators (parallel,
   fastmath, f32 cells, f64 sinks), all warm and in turns, every step of every cell: all steps of a run, by their mean.
2. The same against NumPy slices, a few rounds.
3. Agreement of all doses with the definition in double precision (phasetune's `exact`), on the points on which doses are compared.
"""
import argparse, math, os, subprocess, sys, tempfile
from pathlib import Path
from time import perf_counter
os.environ.setdefault("NUMBA_NUM_THREADS", str(len(os.sched_getaffinity(0))))
import numpy as np
from numba import njit, prange

ROOT = Path(__file__).resolve().parents[2]
SIZES = dict(tiny=(16, 32, 24, 60), laptop=(25, 25, 36, 120), paper=(40, 40, 72, 200))
MASS, RADIATION, ALPHA, P = 938.27208816, 360.8, 0.022, 1.77
HALF_WIDTH, DEPTH, HALF_ANGLE, LOWEST, HIGHEST, CUT, ENERGY, SPREAD, STEP = 20.0, 40.0, 36.0, 1.0, 66.0, 2.0, 60.0, 2.0, 0.8
DENSE = "fusion=all workers=0"
WINDOW = "fusion=all sparse=box cutoff=1e-12 workers=1"


def kernel(width):
    if width < 0.75: return np.array([width**2 / 2, 1 - width**2, width**2 / 2])
    reach = math.ceil(5 * width); w = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    return w / w.sum()


class Problem:
    """WORKLOADS §3a, §3b: the phase space is made here once, and both sides read it."""

    def __init__(self, preset):
        self.preset = preset
        self.nx, self.nz, self.nt, self.ne = nx, nz, nt, ne = SIZES[preset]
        self.dx, self.dz = 2 * HALF_WIDTH / nx, DEPTH / nz
        x = -HALF_WIDTH + (np.arange(nx) + 0.5) * self.dx
        width = math.radians(2 * HALF_ANGLE / nt)
        theta = math.radians(90 - HALF_ANGLE) + (np.arange(nt) + 0.5) * width
        de = (HIGHEST - LOWEST) / ne
        energy = LOWEST + (np.arange(ne) + 0.5) * de
        left = np.maximum(energy**P - STEP / ALPHA, 0) ** (1 / P)
        place = (left - energy[0]) / de
        moves = (left >= CUT) & (place >= 0)
        self.low = np.where(moves, np.minimum(np.floor(place), ne - 2), -1).astype(np.int32)
        self.lower = np.where(moves, 1 - (place - self.low), 0.0)
        self.deposit = np.where(moves, energy - left, energy)
        pv = energy * (energy + 2 * MASS) / (energy + MASS); lengths = STEP / RADIATION
        sigma = 13.6 / pv * math.sqrt(lengths) * max(0.0, 1 + 0.038 * math.log(lengths))
        kernels = [kernel(s / width) for s in sigma]
        self.reach = np.array([len(k) // 2 for k in kernels], np.int32); most = int(self.reach.max())
        self.taps = np.zeros((ne, 2 * most + 1))
        for e, k in enumerate(kernels): self.taps[e, most - len(k) // 2:most + len(k) // 2 + 1] = k
        sx, sz = STEP * np.cos(theta) / self.dx, STEP * np.sin(theta) / self.dz
        self.ix, self.iz = np.floor(sx).astype(np.int32), np.floor(sz).astype(np.int32)
        self.fx, self.fz = sx - self.ix, sz - self.iz
        self.start = np.zeros((ne, nt, nz, nx), np.float32)
        profile = np.exp(-0.5 * (x / SPREAD) ** 2); profile /= profile.sum()
        e, t = (ENERGY - energy[0]) / de, (math.pi / 2 - theta[0]) / width
        for je, we in ((math.floor(e), 1 - e % 1), (math.floor(e) + 1, e % 1)):
            for jt, wt in ((math.floor(t), 1 - t % 1), (math.floor(t) + 1, t % 1)):
                if we * wt > 1e-12: self.start[je, jt, 0] = (we * wt * profile).astype(np.float32)

    def on_points(self, dose):
        """As phasetune's output: MeV/mm² every 0.25 mm, away from the rims."""
        xs, zs = np.arange(-12, 12.01, 0.25), np.arange(1, 35.9, 0.25)
        x = -HALF_WIDTH + (np.arange(self.nx) + 0.5) * self.dx; z = (np.arange(self.nz) + 0.5) * self.dz
        rows = np.array([np.interp(xs, x, row) for row in dose / (self.dx * self.dz)])
        return np.array([np.interp(zs, z, column) for column in rows.T]).T


@njit(parallel=True, fastmath=True)
def scatter(source, result, taps, reach, middle, escaped):
    ne, nt, nz, nx = source.shape
    for e in prange(ne):
        h = reach[e]; lost = 0.0
        for t in range(nt):
            for z in range(nz):
                for x in range(nx): result[e, t, z, x] = 0
        for t in range(nt):
            for d in range(-h, h + 1):
                k = np.float32(taps[e, middle + d]); to = t + d
                if 0 <= to < nt:
                    for z in range(nz):
                        for x in range(nx): result[e, to, z, x] += k * source[e, t, z, x]
                else:
                    for z in range(nz):
                        for x in range(nx): lost += k * source[e, t, z, x]
        escaped[e] += lost


@njit(parallel=True, fastmath=True)
def stream(source, result, ix, fx, iz, fz, leaked):
    ne, nt, nz, nx = source.shape
    for e in prange(ne):
        lost = 0.0
        for t in range(nt):
            a, b = ix[t], iz[t]
            w00 = np.float32((1 - fz[t]) * (1 - fx[t])); w01 = np.float32((1 - fz[t]) * fx[t])
            w10 = np.float32(fz[t] * (1 - fx[t])); w11 = np.float32(fz[t] * fx[t])
            before = 0.0; after = 0.0
            for z in range(nz):
                for x in range(nx):
                    v = np.float32(0); z0 = z - b; x0 = x - a
                    if 0 <= z0 < nz:
                        if 0 <= x0 < nx: v += w00 * source[e, t, z0, x0]
                        if 0 <= x0 - 1 < nx: v += w01 * source[e, t, z0, x0 - 1]
                    if 0 <= z0 - 1 < nz:
                        if 0 <= x0 < nx: v += w10 * source[e, t, z0 - 1, x0]
                        if 0 <= x0 - 1 < nx: v += w11 * source[e, t, z0 - 1, x0 - 1]
                    result[e, t, z, x] = v; after += v; before += source[e, t, z, x]
            lost += before - after
        leaked[e] += lost


@njit(parallel=True, fastmath=True)
def lose(source, result, low, lower, deposit, dose, stopped):
    ne, nt, nz, nx = source.shape
    for z in prange(nz):
        for e in range(ne):
            for t in range(nt):
                for x in range(nx): result[e, t, z, x] = 0
        for e in range(ne):
            j = low[e]; d = deposit[e]; a = np.float32(lower[e]); b = np.float32(1 - lower[e])
            for t in range(nt):
                for x in range(nx):
                    v = source[e, t, z, x]
                    if v == 0: continue
                    dose[z, x] += v * d
                    if j >= 0: result[j, t, z, x] += a * v; result[j + 1, t, z, x] += b * v
                    else: stopped[z] += v


class Numba:
    name = "numba"

    def __init__(self, p, steps):
        self.p, self.steps = p, steps
        self.arrays = [np.empty_like(p.start), np.empty_like(p.start)]

    def run(self):
        p = self.p; a, b = self.arrays; escaped, leaked, stopped = np.zeros(p.ne), np.zeros(p.ne), np.zeros(p.nz)
        started = perf_counter()
        a[:] = p.start; self.dose = np.zeros((p.nz, p.nx))
        for _ in range(self.steps):
            scatter(a, b, p.taps, p.reach, p.taps.shape[1] // 2, escaped)
            stream(b, a, p.ix, p.fx, p.iz, p.fz, leaked)
            lose(a, b, p.low, p.lower, p.deposit, self.dose, stopped)
            a, b = b, a
        return perf_counter() - started


class Numpy:
    name = "numpy"

    def __init__(self, p, steps):
        self.p, self.steps = p, steps

    def run(self):
        p = self.p; started = perf_counter()
        psi = p.start.copy(); self.dose = np.zeros((p.nz, p.nx)); middle = p.taps.shape[1] // 2
        for _ in range(self.steps):
            scattered = np.zeros_like(psi)
            for e in range(p.ne):
                for d in range(-p.reach[e], p.reach[e] + 1):
                    if abs(d) < p.nt:
                        scattered[e, max(0, d):p.nt + min(0, d)] += np.float32(p.taps[e, middle + d]) * psi[e, max(0, -d):p.nt - max(0, d)]
            streamed = np.zeros_like(psi)
            for t in range(p.nt):
                for dz, wz in ((p.iz[t], 1 - p.fz[t]), (p.iz[t] + 1, p.fz[t])):
                    for dx, wx in ((p.ix[t], 1 - p.fx[t]), (p.ix[t] + 1, p.fx[t])):
                        to = (slice(max(0, dz), p.nz + min(0, dz)), slice(max(0, dx), p.nx + min(0, dx)))
                        of = (slice(max(0, -dz), p.nz - max(0, dz)), slice(max(0, -dx), p.nx - max(0, dx)))
                        streamed[:, t, *to] += np.float32(wz * wx) * scattered[:, t, *of]
            psi = np.zeros_like(psi)
            for e in range(p.ne):
                self.dose += p.deposit[e] * streamed[e].sum(0, dtype=np.float64)
                if p.low[e] >= 0:
                    psi[p.low[e]] += np.float32(p.lower[e]) * streamed[e]
                    psi[p.low[e] + 1] += np.float32(1 - p.lower[e]) * streamed[e]
        return perf_counter() - started


class Ours:
    """One configuration of phasetune's, in examples/builtin.rs."""

    def __init__(self, p, start, settings, steps, folder):
        program = ROOT / "target/release/examples/builtin"
        if not program.exists(): sys.exit("build it first: cargo build --release --example builtin")
        self.folder, self.name = folder, settings
        words = [program, "transport", f"preset={p.preset}", f"steps={steps}", f"psi0={start}", *settings.split()]
        self.process = subprocess.Popen(words, text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
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
        return np.load(file)

    def close(self):
        self.process.stdin.close(); self.process.wait()


def interval(ratios):
    """Geometric centre (Hodges-Lehmann of logs) and signed-rank 95 % interval, as STATISTICS.md."""
    d = np.log(ratios); i, j = np.triu_indices(len(d)); walsh = np.sort((d[i] + d[j]) / 2); m, n = len(walsh), len(d)
    counts = np.zeros(m + 1); counts[0] = 1
    for r in range(1, n + 1): counts[r:] += counts[:-r].copy()
    k = int(np.searchsorted(np.cumsum(counts) / 2.0**n, 0.025, side="right")); centre = math.exp(np.median(walsh))
    return (centre, math.exp(walsh[k - 1]), math.exp(walsh[m - k])) if k else (centre, math.nan, math.nan)


def main():
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("--preset", choices=SIZES, default="paper")
    about.add_argument("--steps", type=int, default=50)
    about.add_argument("--rounds", type=int, default=10)
    about.add_argument("--dense", default=DENSE, help="phasetune's configuration of every cell")
    about.add_argument("--window", default=WINDOW, help="and with the active window")
    about.add_argument("--no-numpy", action="store_true")
    o = about.parse_args()
    p = Problem(o.preset)
    with tempfile.TemporaryDirectory() as folder:
        start = f"{folder}/psi0.npy"; np.save(start, p.start)
        ours = [Ours(p, start, settings, o.steps, folder) for settings in (o.dense, o.window)]
        peer = Numba(p, o.steps); sides = [*ours, peer]
        print(f"preset {o.preset}: {p.nx} x {p.nz} x {p.nt} x {p.ne} = {p.start.size / 1e6:.2f} M cells, {o.steps} steps, {os.environ['NUMBA_NUM_THREADS']} processors")
        for side in sides: side.run(); side.run()  # compiles, and touches all pages
        times = []
        for i in range(o.rounds):
            order = sides[i % 3:] + sides[:i % 3]
            row = {side.name: side.run() for side in order}
            times.append([row[side.name] for side in sides])
        times = 1e3 * np.array(times) / o.steps
        exact = ours[0].array("exact")
        error = lambda dose: np.linalg.norm(dose - exact) / np.linalg.norm(exact)
        doses = [side.array("output") for side in ours] + [p.on_points(peer.dose)]
        for side in ours: side.close()
        rows = [(side.name, f"{np.median(t):.3f}, {t.min():.3f}", f"{error(d):.1e}") for side, t, d in zip(sides, times.T, doses)]
        slow = None
        if not o.no_numpy:
            numpy = Numpy(p, o.steps); slow = numpy.run() * 1e3 / o.steps
            rows.append(("numpy (once)", f"{slow:.3f}", f"{error(p.on_points(numpy.dose)):.1e}"))
        print("\n| side | ms a step (median, best) | rel_l2 against exact |\n|---|---|---|\n" + "\n".join(f"| {a} | {b} | {c} |" for a, b, c in rows))
        dense, window = interval(times[:, 2] / times[:, 0]), interval(times[:, 2] / times[:, 1])
        show = lambda r: f"{r[0]:.2f} [{r[1]:.2f}, {r[2]:.2f}]"
        print(f"\nnumba / phasetune dense: {show(dense)}\nnumba / phasetune with the active window: {show(window)}\n")
        checks = [("dense: at least 2 x numba (lower bound)", dense[1] >= 2), ("active window: at least 10 x numba (lower bound)", window[1] >= 10),
                  ("all doses within 1e-5 of the definition", all(error(d) <= 1e-5 for d in doses))]
        if o.preset == "paper": checks.append(("active window: under the 120 ms a step published for an RTX 4060", np.median(times[:, 1]) < 120))
        for what, met in checks: print(f"verdict: {what}: {'met' if met else 'NOT MET'}")
        sys.exit(0 if all(met for _, met in checks) else 1)


main()
