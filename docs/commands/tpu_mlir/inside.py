"""What runs in the vendor's own Python: samples for calibration, and the noise of a network.

inside.py samples MODEL CALIBRATION FOLDER   writes inputs and right answers, prints input shapes
inside.py noise MLIR FOLDER                  prints the signal to noise of an MLIR file, in dB
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

SAMPLES = 8
"""To calibrate by, and as many others to check by, where none are given; at most, where some are."""

Run = dict[str, np.ndarray]


def write_samples(model: str, calibration: str, folder: str) -> None:
    """Writes inputs to calibrate and to check by, and what the float network answers.

    Given samples serve for both; else those to check by have a seed of their own.
    """
    import onnxruntime  # noqa: PLC0415 -- the other command does without

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    shapes = {each.name: _shape(each) for each in session.get_inputs()}
    runs = _given(calibration, shapes) if calibration else _seeded(shapes, seed=0)
    checks = runs if calibration else _seeded(shapes, seed=1)
    place = Path(folder)
    (place / "calibrate").mkdir()
    for number, run in enumerate(runs):
        np.savez(place / "calibrate" / f"{number}.npz", **run)
    for number, run in enumerate(checks):
        answers = session.run(None, run)
        arrays = {f"output_{i}": value for i, value in enumerate(answers)}
        arrays.update({f"input_{name}": value for name, value in run.items()})
        np.savez(place / f"check_{number}.npz", **arrays)
    print(json.dumps({"shapes": list(shapes.values()), "samples": len(runs)}))


def noise(mlir: str, folder: str) -> None:
    """Decibels of the noisiest output: 10 log10 (answers squared / differences squared)."""
    import pymlir  # noqa: PLC0415 -- the other command does without

    pymlir.set_mem_mode("value_mem")
    module = pymlir.module()
    module.load(mlir)
    outputs = len(module.output_names)
    signal, error = [0.0] * outputs, [0.0] * outputs
    for file in sorted(Path(folder).glob("check_*.npz")):
        with np.load(file) as run:
            for name in module.input_names:
                value = run[f"input_{name}"].astype(np.float32)
                module.set_tensor(name, value, value.shape)
            right = [run[f"output_{i}"].astype(np.float64).ravel() for i in range(outputs)]
        module.invoke(True)
        tensors = module.get_all_tensor()
        for number, name in enumerate(module.output_names):
            got = tensors[name].astype(np.float64).ravel()
            if got.size != right[number].size:
                raise SystemExit("The compiled network answers in another shape or order.")
            signal[number] += float(np.sum(right[number] ** 2))
            error[number] += float(np.sum((right[number] - got) ** 2))
    ratios = [max(s, 1e-30) / max(e, 1e-30) for s, e in zip(signal, error, strict=True)]
    print(json.dumps({"snr_db": 10 * math.log10(min(ratios))}))


def _shape(described: Any) -> list[int]:
    """Sizes of an input; an open batch size counts as one."""
    sizes = list(described.shape)
    if sizes and not isinstance(sizes[0], int):
        sizes[0] = 1
    if not all(isinstance(size, int) for size in sizes):
        raise SystemExit(f"The input {described.name!r} has sizes that are not fixed: {sizes}.")
    if described.type != "tensor(float)":
        raise SystemExit(f"The input {described.name!r} is no float32.")
    return sizes


def _seeded(shapes: Mapping[str, Sequence[int]], seed: int) -> list[Run]:
    random = np.random.default_rng(seed)
    return [
        {name: random.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}
        for _ in range(SAMPLES)
    ]


def _given(calibration: str, shapes: Mapping[str, Sequence[int]]) -> list[Run]:
    """Runs from an .npz with samples along the first dimension."""
    with np.load(calibration) as file:
        arrays = {name: file[name].astype(np.float32) for name in shapes}
    batch = {name: shape[0] if shape else 1 for name, shape in shapes.items()}
    runs = min(len(array) // batch[name] for name, array in arrays.items())

    def sample(name: str, i: int) -> np.ndarray:
        return arrays[name][i * batch[name] : (i + 1) * batch[name]].reshape(shapes[name])

    return [{name: sample(name, i) for name in arrays} for i in range(min(runs, SAMPLES))]


if __name__ == "__main__":
    {"samples": write_samples, "noise": noise}[sys.argv[1]](*sys.argv[2:])
