#!/usr/bin/env python3
"""The 360° pipeline against one of OpenCV, in one run and on the same files.

    cargo build --release --example builtin
    python benches/peers/e2p_pipeline.py [--preset laptop|tiny] [--set NAME=VALUE ...] [--rounds N]

Needs numpy, opencv-python-headless 5 and xxhash (`pip install "opencv-python-headless==5.*" xxhash`).

Frames on disk (.npy, in the page cache) through remapping for every camera to a hash of every image (xxh3 on both sides), with
maps of the same class: in fixed point, 1/32 of a pixel. Once with reads as they are, once with reads that last 11.7 ms at least:
the published time, the rest of which both sides sleep. OpenCV's pipeline is the quickest of six: everything in turn, or a pool
of threads that read ahead of a loop that remaps; remapping with OpenCV's own threads, or frames side by side on threads of ours;
files that are read or mapped.
The quickest is chosen on rounds of its own, so that luck chooses nothing that is counted.

Then the bound that the slowest stage sets (WORKLOADS §5b, shared/peers/peer_wl5_pipeline.py): T_io until the first frame is there,
and max(N T_io / min(threads, depth), N T_c), with T_c the stage `remap` of the same settings without any reads beside it.
"""
import argparse, os, queue, tempfile, threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, sleep
import cv2
import numpy as np
import xxhash
from e2p import FAST, OpenCV, Ours, Problem, ratio

READERS, DEPTH = 16, 16
REMAP = ["map=fixed", *[word for word in FAST if not word.startswith("batch")]]
# On two processors that both remap, a thread for each stage would only take them from it: `streams` stays sequential.
TUNED = [f"ring=fixed_{DEPTH}", f"io_threads={READERS}", "pool=mapped", "batch=4"]


class Pipeline(OpenCV):
    """OpenCV's, in one of its forms."""

    def __init__(self, p, io_ms, reads_ahead, side_by_side, mmap_mode):
        self.p, self.io, self.reads_ahead, self.side_by_side, self.mmap_mode = p, io_ms / 1e3, reads_ahead, side_by_side, mmap_mode
        self.threads = len(os.sched_getaffinity(0))
        super().__init__(p, True)

    def load(self, k):
        started = perf_counter()
        frame = np.load(f"{self.p.folder}/{k:05}.npy", mmap_mode=self.mmap_mode)
        sleep(max(0.0, self.io - (perf_counter() - started)))
        return frame

    def work(self, k, frame):
        images = self.remap(frame, self.images[k % len(self.images)])
        return [xxhash.xxh3_64_intdigest(image) for image in images]

    def run(self):
        cv2.setNumThreads(1 if self.side_by_side else self.threads)
        started = perf_counter()
        frames = range(self.p.frames)
        if not self.reads_ahead:
            self.hashes = [self.work(k, self.load(k)) for k in frames]
        else:
            self.hashes = self.ahead(frames)
        return perf_counter() - started

    def ahead(self, frames):
        """As in shared/peers/peer_wl5_pipeline.py."""
        ready = queue.Queue(maxsize=DEPTH)

        def read():
            with ThreadPoolExecutor(READERS) as pool:
                pending = []
                for k in frames:
                    pending.append(pool.submit(self.load, k))
                    if len(pending) >= READERS:
                        ready.put(pending.pop(0).result())
                for frame in pending:
                    ready.put(frame.result())

        reader = threading.Thread(target=read)
        reader.start()
        if self.side_by_side:
            with ThreadPoolExecutor(self.threads) as pool:
                hashes = [h.result() for h in [pool.submit(self.work, k, ready.get()) for k in frames]]
        else:
            hashes = [self.work(k, ready.get()) for k in frames]
        reader.join()
        return hashes


class Whole(Ours):
    """A whole invocation, and what its stages took."""

    def run(self):
        seconds = float(self.order("run"))
        self.stages = {name: float(s) for name, s in (pair.split("=") for pair in self.order("stages").split())}
        return seconds


def compare(p, preset, io_ms, more, rounds):
    words = [*REMAP, f"io_ms={io_ms}"]
    tuned, in_turn = Whole(p, preset, [*words, *TUNED, *more]), Whole(p, preset, words)
    choices = [(ahead, beside, mode) for ahead, beside in ((False, False), (True, False), (True, True)) for mode in (None, "r")]
    forms = {choice: Pipeline(p, io_ms, *choice) for choice in choices}
    trials = {form: np.median([side.run() for _ in range(5)]) for form, side in forms.items()}
    best = min(trials, key=trials.get)
    peer = forms[best]
    sides = {"OpenCV": peer, "phasetune": tuned, "in turn": in_turn}
    times, remap = {name: [] for name in sides}, []
    for _ in range(rounds):
        for name, side in sides.items():
            times[name].append(side.run())
        remap.append(in_turn.stages["remap"])
    words = f"{'reads ahead' if best[0] else 'in turn'}, {'frames side by side' if best[1] else 'its own threads'}, {'mapped' if best[2] else 'read'}"
    print(f"reads of at least {io_ms} ms; OpenCV's quickest form: {words}")
    for name, t in times.items():
        print(f"{name:>12}: median {np.median(t) * 1e3:7.2f} ms, least {min(t) * 1e3:7.2f} ms")
    print(f"  OpenCV / phasetune: {ratio(times['phasetune'], times['OpenCV'])};  in turn / phasetune: {ratio(times['phasetune'], times['in turn'])}")
    bound = [io_ms / 1e3 + max(p.frames * io_ms / 1e3 / min(READERS, DEPTH), r) for r in remap]
    print(f"  phasetune / the bound of its slowest stage: {ratio(bound, times['phasetune'])}")
    tuned.close(), in_turn.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=("laptop", "tiny"), default="laptop")
    parser.add_argument("--set", nargs="+", metavar="NAME=VALUE", default=[])
    parser.add_argument("--rounds", type=int, default=30)
    arguments = parser.parse_args()
    print(f"OpenCV {cv2.__version__}, {len(os.sched_getaffinity(0))} threads; phasetune: {' '.join([*REMAP, *TUNED, *arguments.set])}")
    with tempfile.TemporaryDirectory() as folder:
        p = Problem(arguments.preset, folder)
        for io_ms in (0, 11.7):
            compare(p, arguments.preset, io_ms, arguments.set, arguments.rounds)


if __name__ == "__main__":
    main()
