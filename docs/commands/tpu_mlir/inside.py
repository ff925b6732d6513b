"""What runs in the vendor's own Python: samples for calibration, and the noise of a network.

inside.py samples MODEL CALIBRATION FOLDER   writes inputs and right answers, prints input shapes
inside.py noise MLIR FOLDER                  prints the signal to noise of an MLIR file, in dB
"""

from __future__ import annotations

import json
import math
import os
import sys

import numpy as np

SAMPLES = 8
"""For calibration, and as many others to check by, where none are given; at most so many of those."""


def write_samples(model, calibration, folder):
    """Writes inputs to calibrate and to check by, and what the float network answers."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    shapes = {each.name: _shape(each) for each in session.get_inputs()}
    runs = _given(calibration, shapes) if calibration else _seeded(session, shapes, seed=0)
    checks = runs if calibration else _seeded(session, shapes, seed=1)
    os.makedirs(os.path.join(folder, "calibrate"))
    for number, run in enumerate(runs):
        np.savez(os.path.join(folder, "calibrate", f"{number}.npz"), **run)
    names = [each.name for each in session.get_outputs()]
    for number, run in enumerate(checks):
        answers = session.run(None, run)
        arrays = {f"output_{i}": value for i, value in enumerate(answers)}
        arrays.update({f"input_{name}": value for name, value in run.items()})
        np.savez(os.path.join(folder, f"check_{number}.npz"), **arrays)
    print(json.dumps({"shapes": list(shapes.values()), "outputs": names, "checks": len(checks)}))


def noise(mlir, folder):
    """Decibels of the noisiest output: 10 log10 (answers squared / differences squared)."""
    import pymlir

    pymlir.set_mem_mode("value_mem")
    module = pymlir.module()
    module.load(mlir)
    files = sorted(f for f in os.listdir(folder) if f.startswith("check_"))
    signal = error = 0.0
    for file in files:
        with np.load(os.path.join(folder, file)) as run:
            for name in module.input_names:
                value = run[f"input_{name}"].astype(np.float32)
                module.set_tensor(name, value, value.shape)
            right = [run[f"output_{i}"] for i in range(len(module.output_names))]
        module.invoke(True)
        tensors = module.get_all_tensor()
        got = [tensors[name] for name in module.output_names]
        for r, g in zip(right, got):
            if r.size != g.size:
                raise SystemExit("The compiled network answers in another shape or order.")
        differ = [np.float64(r).ravel() - np.float64(g).ravel() for r, g in zip(right, got)]
        signal = signal + np.array([np.sum(np.float64(r) ** 2) for r in right])
        error = error + np.array([np.sum(d**2) for d in differ])
    ratios = [10 * math.log10(max(s, 1e-30) / max(e, 1e-30)) for s, e in zip(signal, error)]
    print(json.dumps({"snr_db": min(ratios)}))


def _shape(described):
    """Sizes of an input; an open batch size counts as one."""
    sizes = list(described.shape)
    if sizes and not isinstance(sizes[0], int):
        sizes[0] = 1
    if not all(isinstance(size, int) for size in sizes):
        raise SystemExit(f"The input {described.name!r} has sizes that are not fixed: {sizes}.")
    if described.type != "tensor(float)":
        raise SystemExit(f"The input {described.name!r} is no float32.")
    return sizes


def _seeded(session, shapes, seed):
    random = np.random.default_rng(seed)
    return [
        {name: random.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}
        for _ in range(SAMPLES)
    ]


def _given(calibration, shapes):
    """Runs from an .npz with samples along the first dimension."""
    with np.load(calibration) as file:
        arrays = {name: file[name].astype(np.float32) for name in shapes}
    batch = {name: shape[0] if shape else 1 for name, shape in shapes.items()}
    runs = min(len(array) // batch[name] for name, array in arrays.items())
    return [
        {name: a[i * batch[name] : (i + 1) * batch[name]].reshape(shapes[name]) for name, a in arrays.items()}
        for i in range(min(runs, SAMPLES))
    ]


if __name__ == "__main__":
    {"samples": write_samples, "noise": noise}[sys.argv[1]](*sys.argv[2:])
