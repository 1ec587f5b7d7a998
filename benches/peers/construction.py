#!/usr/bin/env python3
"""Kernel Tuner's side of `cargo bench --bench construction`: constructs the spaces that it is told with Kernel Tuner's default
constructor (python-constraint2).

    python3 -m venv /tmp/venv_kt && /tmp/venv_kt/bin/pip install 'kernel_tuner==1.5.*'

Reads a path a line, answers with a JSON object a line: seconds (best of ROUNDS), count, and the sum of all configurations'
hashes, by which both sides see that they found the same ones.
"""
import json, os, sys, time

# Kernel Tuner talks on stdout; the answers are to be alone there.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import kernel_tuner
import numpy as np
from kernel_tuner.searchspace import Searchspace

ROUNDS = 3


def digest(found, parameters):
    """FNV-1a over the indices of a configuration's values, summed modulo 2^64."""
    total = np.full(len(found), 0xCBF29CE484222325, dtype=np.uint64)
    for column, values in enumerate(parameters.values()):
        index = {value: i for i, value in enumerate(values)}
        digits = np.array([index[row[column]] for row in found], dtype=np.uint64)
        total = (total ^ digits) * np.uint64(0x100000001B3)
    return str(int(total.sum(dtype=np.uint64)))


print(json.dumps({"version": kernel_tuner.__version__}), file=answers)
for path in sys.stdin:
    with open(path.strip()) as file:
        space = json.load(file)
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        found = Searchspace(space["tune_params"], space["restrictions"], max_threads=1024)
        times.append(time.perf_counter() - started)
    rows = found.list
    same = {"seconds": min(times), "count": len(rows), "digest": digest(rows, space["tune_params"])}
    print(json.dumps(same), file=answers)
