#!/usr/bin/env python3
"""Remapping of whole-sphere frames against OpenCV's, in one run and on the same frames.

    cargo build --release --example builtin
    python benches/peers/e2p.py [--preset laptop|tiny] [--f32 NAME=VALUE ...] [--fixed NAME=VALUE ...] [--rounds N]

Needs numpy and opencv-python-headless 5 (`pip install "opencv-python-headless==5.*"`; 4.x has other weights with f32 maps).

1. Speed of remapping alone, in turns and on as many threads: phasetune's stage `remap` with map=f32 and with map=fixed, each
   against `cv2.remap` with maps of the same class (two f32 maps; CV_16SC2 with its table, 1/32 of a pixel), and phasetune's
   baseline. Frames are in memory on both sides, and both write every image of eight frames to a place of its own.
2. Agreement with the definition in double precision (phasetune's `exact`), for frames of directions and of a checkerboard.
"""
import argparse, math, os, subprocess, sys, tempfile
from pathlib import Path
from time import perf_counter
import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
# frames, their width, cameras, height and width of an image; 90° across
SIZES = dict(tiny=(4, 384, 4, 54, 96), laptop=(16, 1920, 8, 270, 480))
BATCH = 8
FAST = ["order=camera_outer", "fusion=all_cameras", "tile=1024x4", "maps=shared", "stores=streaming", f"batch={BATCH}"]


class Problem:
    """WORKLOADS §5a and §5b. The frames are made here once, as files, and both sides read them."""

    def __init__(self, preset, folder):
        self.frames, self.width, self.cameras, self.rows, self.columns = SIZES[preset]
        self.folder, self.height = folder, self.width // 2
        for k in range(self.frames):
            np.save(f"{folder}/{k:05}.npy", self.frame(k))
        self.maps = [self.camera(360.0 * c / self.cameras) for c in range(self.cameras)]

    def frame(self, k):
        """Directions and checkerboards in turns."""
        i, j = np.arange(self.width), np.arange(self.height)
        if k % 2:
            cell = ((i * 32 // self.width + k)[None] ^ (j * 16 // self.height)[:, None]) & 1
            return np.repeat((28 + 200 * cell).astype(np.uint8)[..., None], 3, -1)
        phi, theta = ((i + .5) / self.width * 2 - 1) * np.pi + 2 * np.pi * k / 240, (.5 - (j + .5) / self.height) * np.pi
        cos = np.cos(theta)[:, None]
        n = np.stack([cos * np.sin(phi), np.sin(theta)[:, None] * np.ones((1, self.width)), cos * np.cos(phi)], -1)
        return np.clip(np.rint(127.5 + 127.5 * n), 0, 255).astype(np.uint8)

    def camera(self, yaw):
        """Columns and rows as OpenCV wants them: f32, the rows clamped."""
        h, v = math.radians(90) / 2, math.radians(90 * self.rows / self.columns) / 2
        x = ((np.arange(self.columns) + .5) / self.columns * 2 - 1) * math.tan(h)
        y = -((np.arange(self.rows) + .5) / self.rows * 2 - 1) * math.tan(v)
        x, y = np.meshgrid(x, y)
        n, a = np.sqrt(x * x + y * y + 1), math.radians(yaw)
        x, y, z = (x * math.cos(a) + math.sin(a)) / n, y / n, (math.cos(a) - x * math.sin(a)) / n
        u = (np.arctan2(x, z) / (2 * np.pi) + .5) * self.width - .5
        v = np.clip((.5 - np.arcsin(y) / np.pi) * self.height - .5, 0, self.height - 1)
        return u.astype(np.float32), v.astype(np.float32)


class OpenCV:
    def __init__(self, p, is_fixed):
        self.maps = [cv2.convertMaps(*m, cv2.CV_16SC2) if is_fixed else m for m in p.maps]
        self.frames = [np.load(f"{p.folder}/{k:05}.npy") for k in range(p.frames)]
        self.images = np.zeros((BATCH, p.cameras, p.rows, p.columns, 3), np.uint8)
        self.run()

    def remap(self, frame, images):
        for maps, image in zip(self.maps, images):
            cv2.remap(frame, *maps, cv2.INTER_LINEAR, dst=image, borderMode=cv2.BORDER_WRAP)
        return images

    def run(self):
        started = perf_counter()
        for k, frame in enumerate(self.frames):
            self.remap(frame, self.images[k % BATCH])
        return perf_counter() - started

    def judged(self):
        """Of the first two frames, [frame][camera][channel][row][column]."""
        images = [self.remap(frame, image).copy() for frame, image in zip(self.frames[:2], self.images)]
        return np.moveaxis(np.stack(images).astype(float), -1, 2)


class Ours:
    """One configuration of phasetune's, in examples/builtin.rs."""

    def __init__(self, p, preset, settings):
        program = ROOT / "target/release/examples/builtin"
        if not program.exists():
            sys.exit("build it first: cargo build --release --example builtin")
        self.folder = p.folder
        words = [f"preset={preset}", f"images={p.folder}", *settings]
        self.process = subprocess.Popen([program, "e2p", *words], text=True, bufsize=1, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answer()
        self.run()

    def answer(self):
        line = self.process.stdout.readline()
        return line.strip() if line else sys.exit("phasetune's side has ended; its reason is above")

    def order(self, text):
        self.process.stdin.write(text + "\n")
        return self.answer()

    def run(self):
        self.order("run")
        stages = dict(pair.split("=") for pair in self.order("stages").split())
        return float(stages["remap"])

    def array(self, what):
        file = f"{self.folder}/{what}.array"
        self.order(f"{what} {file}")
        with open(file, "rb") as stream:
            return np.load(stream).astype(float)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ratio(a, b, draws=4000):
    """Median of b/a over rounds, with a bootstrap interval."""
    r = np.array(b) / np.array(a)
    boot = np.median(np.random.default_rng(1).choice(r, (draws, len(r))), axis=1)
    return f"{np.median(r):.2f} [{np.percentile(boot, 2.5):.2f}, {np.percentile(boot, 97.5):.2f}]"


def agreement(images, exact):
    """PSNR and largest difference, of each kind of frame."""
    words = []
    for name, found, wanted in zip(("dir", "checker"), images, exact):
        mean = ((found - wanted) ** 2).mean()
        psnr = "equal" if mean == 0 else f"{10 * math.log10(255 ** 2 / mean):.1f} dB"
        words.append(f"{name} {psnr}, at most {np.abs(found - wanted).max():.0f} levels")
    return "; ".join(words)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=SIZES, default="laptop")
    parser.add_argument("--f32", nargs="+", metavar="NAME=VALUE", default=["map=f32", *FAST])
    parser.add_argument("--fixed", nargs="+", metavar="NAME=VALUE", default=["map=fixed", *FAST])
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    cv2.setNumThreads(threads)
    with tempfile.TemporaryDirectory() as folder:
        p = Problem(arguments.preset, folder)
        ours = {name: Ours(p, arguments.preset, settings) for name, settings in (
            ("phasetune f32", arguments.f32), ("phasetune fixed", arguments.fixed), ("its baseline", []))}
        sides = {**ours, "OpenCV f32": OpenCV(p, False), "OpenCV fixed": OpenCV(p, True)}
        times = {name: [] for name in sides}
        for _ in range(arguments.rounds):
            for name, side in sides.items():
                times[name].append(side.run())
        pixels = p.frames * p.cameras * p.rows * p.columns
        print(f"OpenCV {cv2.__version__}, {threads} threads, {pixels / 1e6:.1f} Mpixel; f32: {' '.join(arguments.f32)}; fixed: {' '.join(arguments.fixed)}")
        for name, t in times.items():
            print(f"{name:>15}: median {np.median(t) * 1e3:7.2f} ms, least {min(t) * 1e3:7.2f} ms, {pixels / np.median(t) / 1e6:7.1f} Mpixel/s")
        for name in ("f32", "fixed"):
            print(f"OpenCV / phasetune, {name:>5}: {ratio(times['phasetune ' + name], times['OpenCV ' + name])}")
        best = min(("OpenCV f32", "OpenCV fixed"), key=lambda name: np.median(times[name]))
        print(f"OpenCV's best ({best}) / phasetune f32: {ratio(times['phasetune f32'], times[best])}")
        exact = ours["phasetune f32"].array("exact")
        for name, side in sides.items():
            images = side.judged() if isinstance(side, OpenCV) else side.array("output")
            print(f"{name:>15} against the definition in f64: {agreement(images, exact)}")
        for side in ours.values():
            side.close()


if __name__ == "__main__":
    main()
