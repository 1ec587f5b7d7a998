#!/usr/bin/env python3
"""The workload `reduce` against its peers, in one run and on the same arrays.

    cargo build --release --example builtin
    python benches/peers/reduce.py [--preset paper|laptop|tiny] [--set NAME=VALUE ...] [--rounds N] [--no-vbeam]

Needs numpy, numba, scipy; vbeam 1.0.10, spekk 1.0.9 and jax 0.10.2 for its part.

1. Speed: phasetune, every pair computed and only the active ones, against a numba kernel (parallel, fastmath, f32, phases
   factored, masked pairs skipped, tables made before the clock starts), warm, in turns.
2. vbeam with JAX in its four orders (masked pairs cannot be skipped there); the best of them in turns with phasetune's dense form.
3. Agreement of all with the definition in double precision (phasetune's `exact`).
"""
import argparse, math, os, subprocess, sys, tempfile, time
from pathlib import Path
THREADS = str(len(os.sched_getaffinity(0)))
os.environ.setdefault("NUMBA_NUM_THREADS", THREADS)
os.environ.setdefault("XLA_FLAGS", f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={THREADS}")
import numpy as np, numba as nb
from numba import njit, prange

ROOT = Path(__file__).resolve().parents[2]
SIZES = dict(tiny=(32, 32, 16, 9), laptop=(128, 128, 32, 33), paper=(256, 256, 96, 99))
C, F0, FS, SAMPLES, BW, MIN_APERTURE = 1540.0, 5e6, 10e6, 856, 0.40, 1e-3
SIGMA = math.sqrt(2 * math.log(2)) / (math.pi * BW * F0)


def tx_distance(v, p):
    return np.linalg.norm(v) * np.sign(v[2]) - np.linalg.norm(v - p, axis=-1) * np.sign(v[2] - p[..., 2])


def weight(v, p, left, right):
    """Retrospective transmit beamforming's hourglass, x-z plane."""
    f, q = v[[0, 2]], p[..., [0, 2]]
    unit = lambda a: (f - a) / np.linalg.norm(f - a)
    cross = lambda u, d: u[..., 0] * d[1] - u[..., 1] * d[0]
    a, b = np.array([left, 0.0]), np.array([right, 0.0])
    da, db = unit(a), unit(b)
    angle = (math.atan2(da[1], da[0]) + math.atan2(db[1], db[0])) / 2
    middle = cross(q - f, np.array([math.cos(angle), math.sin(angle)]))
    return (cross(q - a, da) * cross(q - b, db) <= 0) | (np.abs(middle) < MIN_APERTURE)


class Problem:
    """WORKLOADS §4a, §4b: the arrays are made here once, rounded to f32, and all sides read them."""

    def __init__(self, preset):
        self.preset = preset
        nx, nz, nr, nt = SIZES[preset]
        self.shape = (nx, nz)
        x, z = np.linspace(-20e-3, 20e-3, nx), np.linspace(5e-3, 60e-3, nz)
        ex = (np.arange(nr) - (nr - 1) / 2) * 0.154e-3 * (96 / nr)
        self.elements = np.stack([ex, 0 * ex, 0 * ex], -1).astype(np.float32)
        a = np.linspace(-math.radians(35), math.radians(35), nt)
        self.sources = (40e-3 * np.stack([np.sin(a), 0 * a, np.cos(a)], -1)).astype(np.float32)
        X, Z = np.meshgrid(x, z, indexing="ij")
        self.points = np.stack([X.ravel(), 0 * X.ravel(), Z.ravel()], -1).astype(np.float32)
        e, v, p = (array.astype(float) for array in (self.elements, self.sources, self.points))
        t = np.arange(SAMPLES) / FS
        signal = np.zeros((nt, nr, SAMPLES), complex)
        for (i, j), amplitude in zip([(nx // 4, nz // 3), (nx // 2, nz // 2), (3 * nx // 4, nz // 5)], (1.0, 1.0, 0.5)):
            s = p[i * nz + j]
            for k in range(nt):
                if not weight(v[k], s, e[0, 0], e[-1, 0]): continue
                tau = (tx_distance(v[k], s) + np.linalg.norm(e - s, axis=-1)) / C
                signal[k] += amplitude * np.exp(-0.5 * ((t[None] - tau[:, None]) / SIGMA) ** 2) * np.exp(-2j * math.pi * F0 * tau)[:, None]
        self.signal = signal.astype(np.complex64)

    def save(self, folder):
        files = dict(signal=self.signal, elements=self.elements, sources=self.sources, points=self.points)
        for name, array in files.items(): np.save(f"{folder}/{name}.npy", array)
        nx, nz = self.shape
        return [f"{name}={folder}/{name}.npy" for name in files] + [f"nx={nx}", f"nz={nz}"]


@njit(parallel=True, fastmath=True)
def factored(sre, sim, TX, RX, PTr, PTi, PRr, PRi, W, out_re, out_im):
    nt, nr, ns = sre.shape
    for p in prange(TX.shape[0]):
        ar = nb.float32(0); ai = nb.float32(0)
        for t in range(nt):
            if not W[p, t]: continue
            br = nb.float32(0); bi = nb.float32(0)
            for r in range(nr):
                s = TX[p, t] + RX[p, r]
                if s < 0 or s > ns - 1: continue
                i = min(int(s), ns - 2); a = s - nb.float32(i)
                x0 = sre[t, r, i]; y0 = sim[t, r, i]
                vr = x0 + (sre[t, r, i + 1] - x0) * a; vi = y0 + (sim[t, r, i + 1] - y0) * a
                br += vr * PRr[p, r] - vi * PRi[p, r]; bi += vr * PRi[p, r] + vi * PRr[p, r]
            ar += br * PTr[p, t] - bi * PTi[p, t]; ai += br * PTi[p, t] + bi * PTr[p, t]
        out_re[p] = ar; out_im[p] = ai


class Numba:
    def __init__(self, p):
        f, w = np.float32, 2 * math.pi * F0
        e, v, q = (array.astype(float) for array in (p.elements, p.sources, p.points))
        tx = np.stack([tx_distance(s, q) for s in v], 1) / C
        rx = np.stack([np.linalg.norm(q - s, axis=-1) for s in e], 1) / C
        active = np.stack([weight(s, q, e[0, 0], e[-1, 0]) for s in v], 1)
        self.share = active.mean()
        self.arguments = (p.signal.real.copy(), p.signal.imag.copy(), (tx * FS).astype(f), (rx * FS).astype(f), np.cos(w * tx).astype(f),
                          np.sin(w * tx).astype(f), np.cos(w * rx).astype(f), np.sin(w * rx).astype(f), active)
        self.re, self.im = np.zeros(len(q), f), np.zeros(len(q), f)

    def run(self):
        started = time.perf_counter()
        factored(*self.arguments, self.re, self.im)
        return time.perf_counter() - started

    def image(self):
        return self.re.astype(float) + 1j * self.im


class Vbeam:
    """One order of vbeam's, compiled by JAX."""
    ORDERS = ("none", "rx", "tx", "rx+tx")

    def __init__(self, p, order):
        import jax, jax.numpy as jnp
        from spekk import Spec
        from vbeam.fastmath import backend_manager
        backend_manager.active_backend = "jax"
        from vbeam.apodization import RTBApodization
        from vbeam.core import ElementGeometry, ReflectedWavefront, WaveData, signal_for_point
        from vbeam.interpolation import FastInterpLinspace
        from vbeam.util.transformations import Apply, Axis, ForAll, Reduce, Wrap, compose
        from vbeam.wavefront import FocusedSphericalWavefront
        self.jax, f = jax, jnp.float32
        nt, nr = p.signal.shape[:2]
        end = lambda i: jnp.array([p.elements[i, 0], 0.0, 0.0], f)
        self.arguments = dict(
            sender=ElementGeometry(jnp.zeros(3, f), 0.0, 0.0), point_position=jnp.asarray(p.points),
            receiver=ElementGeometry(jnp.asarray(p.elements), jnp.zeros(nr, f), jnp.zeros(nr, f)), signal=jnp.asarray(p.signal),
            transmitted_wavefront=FocusedSphericalWavefront(), reflected_wavefront=ReflectedWavefront(), speed_of_sound=f(C),
            wave_data=WaveData(azimuth=jnp.zeros(nt, f), elevation=jnp.zeros(nt, f), source=jnp.asarray(p.sources), t0=jnp.zeros(nt, f)),
            interpolate=FastInterpLinspace(min=0.0, d=1.0 / FS, n=SAMPLES), modulation_frequency=f(F0),
            apodization=RTBApodization(array_bounds=(end(0), end(-1)), minimum_aperture=MIN_APERTURE))
        spec = Spec({"signal": ["transmits", "receivers", "signal_time"], "receiver": ["receivers"], "point_position": ["points"],
                     "wave_data": ["transmits"]})
        s, both = jnp.sum, [Axis("receivers"), Axis("transmits")]
        steps = {"none": [ForAll("points"), ForAll("receivers"), ForAll("transmits"), Apply(s, both)],
                 "rx": [ForAll("points"), ForAll("transmits"), Apply(s, Axis("transmits")), Reduce.Sum("receivers")],
                 "tx": [ForAll("points"), ForAll("receivers"), Apply(s, Axis("receivers")), Reduce.Sum("transmits")],
                 "rx+tx": [ForAll("points"), Reduce.Sum("receivers"), Reduce.Sum("transmits")]}[order]
        self.function = compose(signal_for_point, *steps, Wrap(jax.jit)).build(spec)

    def run(self):
        started = time.perf_counter()
        self.result = self.jax.block_until_ready(self.function(**self.arguments))
        return time.perf_counter() - started

    def image(self):
        return np.asarray(self.result).reshape(-1).astype(complex)


class Ours:
    """One configuration of phasetune's, in examples/builtin.rs."""

    def __init__(self, problem, settings, folder):
        program = ROOT / "target/release/examples/builtin"
        if not program.exists():
            sys.exit("build it first: cargo build --release --example builtin")
        self.folder = folder
        self.process = subprocess.Popen([program, "reduce", *problem, *settings], text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
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
        return a.reshape(-1)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def agreement(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def interval(ratios):
    """Geometric centre (Hodges-Lehmann of logs) and signed-rank 95 % interval, as STATISTICS.md."""
    d = np.log(ratios); i, j = np.triu_indices(len(d)); walsh = np.sort((d[i] + d[j]) / 2); m, n = len(walsh), len(d)
    # The exact signed-rank distribution, by counting subsets of 1..n.
    counts = np.zeros(m + 1); counts[0] = 1
    for r in range(1, n + 1):
        counts[r:] += counts[:-r].copy()
    k = int(np.searchsorted(np.cumsum(counts) / 2.0**n, 0.025, side="right"))
    centre = math.exp(np.median(walsh))
    return (centre, math.exp(walsh[k - 1]), math.exp(walsh[m - k])) if k else (centre, math.nan, math.nan)


def in_turns(a, b, rounds):
    pairs = []
    for i in range(rounds):
        if i % 2: x = a.run(); y = b.run()
        else: y = b.run(); x = a.run()
        pairs.append((x, y))
    return np.array(pairs)


def main():
    about = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    about.add_argument("--preset", choices=SIZES, default="paper")
    about.add_argument("--set", nargs="+", metavar="NAME=VALUE", help="phasetune's configuration, without `pairs`",
                       default=["reduce=rx+tx", "phase=factored", "lookup=window", "prefetch=next_transmit"])
    about.add_argument("--rounds", type=int, default=10)
    about.add_argument("--vbeam-rounds", type=int, default=6)
    about.add_argument("--no-vbeam", action="store_true")
    o = about.parse_args()
    p = Problem(o.preset)
    rows, checks = [], []
    with tempfile.TemporaryDirectory() as folder:
        problem = p.save(folder)
        ours = {pairs: Ours(problem, [*o.set, f"pairs={pairs}"], folder) for pairs in ("dense", "active")}
        peer = Numba(p)
        print(f"preset {o.preset}: {len(p.points)} points x {p.signal.shape[1]} receivers x {p.signal.shape[0]} transmits, {THREADS} threads each; "
              f"{100 * peer.share:.2f} % of the pairs are active")
        print("phasetune:", " ".join(o.set))
        for one in (*ours.values(), peer):
            for _ in range(2): one.run()  # compiles, and touches all pages
        for pairs, one in ours.items():
            times = in_turns(one, peer, o.rounds)
            ratio, low, high = interval(times[:, 1] / times[:, 0])
            rows += [(f"phasetune, pairs={pairs}, s/image (median, best)", f"{np.median(times[:, 0]):.4f}, {times[:, 0].min():.4f}"),
                     (f"numba factored, skipping, s/image (median, best), beside it", f"{np.median(times[:, 1]):.4f}, {times[:, 1].min():.4f}"),
                     (f"numba / phasetune pairs={pairs}, 95 % interval", f"{ratio:.2f} [{low:.2f}, {high:.2f}]")]
            if pairs == "active": checks.append(("at least 2 x the skipping numba kernel (lower bound)", low >= 2))
        exact = ours["dense"].array("exact")
        for name, image in (*((f"phasetune pairs={k}", one.array("output")) for k, one in ours.items()), ("numba", peer.image())):
            rows.append((f"{name} against exact, rel_l2", f"{agreement(image, exact):.2e}"))
        if not o.no_vbeam:
            best = None
            for order in Vbeam.ORDERS:
                try:
                    one = Vbeam(p, order); first = one.run(); again = one.run()
                except Exception as error:  # The cube does not fit everywhere.
                    rows.append((f"vbeam, order {order}", f"{type(error).__name__}")); continue
                rows.append((f"vbeam, order {order}: first call, second call, s", f"{first:.3f}, {again:.3f}"))
                rows.append((f"vbeam, order {order} against exact, rel_l2", f"{agreement(one.image(), exact):.2e}"))
                if best is None or again < best[0]: best = (again, order, one)
                else: del one
            for pairs, one in ours.items():
                times = in_turns(one, best[2], o.vbeam_rounds)
                ratio, low, high = interval(times[:, 1] / times[:, 0])
                rows.append((f"vbeam {best[1]} / phasetune pairs={pairs}, 95 % interval", f"{ratio:.1f} [{low:.1f}, {high:.1f}]; {np.median(times[:, 1]):.3f} and {np.median(times[:, 0]):.4f} s"))
                checks.append((f"at least 20 x vbeam at its best order, pairs={pairs} (lower bound)", low >= 20))
        for one in ours.values(): one.close()
    print("\n".join(["", "| what | figure |", "|---|---|"] + [f"| {a} | {b} |" for a, b in rows]) + "\n")
    for what, met in checks: print(f"verdict: {what}: {'met' if met else 'NOT MET'}")
    sys.exit(0 if all(met for _, met in checks) else 1)


main()
