"""An optimiser of one's own on onnxruntime, for npu-tune's target `command`.

Makes int8 of the layers that the configuration names, saves what onnxruntime's graph optimizations
make of the network, and measures it beside the float network. Needs onnxruntime, onnx and NumPy.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

LEVELS = {
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
RUNS = 9


class Reader(CalibrationDataReader):
    """Hands typical inputs to onnxruntime, one at a time."""

    def __init__(self, feeds: list[dict[str, np.ndarray]]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)


def main() -> None:
    """Reads a request, writes the network, measures it, prints the answer."""
    request = json.load(sys.stdin)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[request["network"]["optimization"]]
    options.intra_op_num_threads = 1
    plain = session(request["model"], onnxruntime.SessionOptions())
    feeds = typical_inputs(plain, request["calibration"])
    source = quantized(request, feeds)
    options.optimized_model_filepath = "optimized.onnx"
    tuned = session(source, options)
    metrics = {
        "latency_ms": statistics.median(times_ms(tuned, feeds[0])),
        "snr_db": min(decibels(plain.run(None, feed), tuned.run(None, feed)) for feed in feeds),
        "model_bytes": Path("optimized.onnx").stat().st_size,
    }
    print(json.dumps({"metrics": metrics, "files": {"model": "optimized.onnx"}}))


def session(model: str, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    """A network that is loaded."""
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def typical_inputs(
    plain: onnxruntime.InferenceSession, path: str | None
) -> list[dict[str, np.ndarray]]:
    """The samples of a file one by one, or a few seeded ones where there is none."""
    if path is None:
        generator = np.random.default_rng(0)
        return [
            {each.name: generator.uniform(-1, 1, each.shape).astype(np.float32)
             for each in plain.get_inputs()}
            for _ in range(4)
        ]  # fmt: skip
    with np.load(path) as arrays:
        count = min(len(arrays[name]) for name in arrays.files)
        return [{name: arrays[name][i : i + 1] for name in arrays.files} for i in range(count)]


def quantized(request: dict, feeds: list[dict[str, np.ndarray]]) -> str:
    """The path of the network with some of its layers in int8."""
    outputs = {
        layer["outputs"][0]
        for layer in request["layers"]
        if layer["knobs"].get("precision") == "int8"
    }
    if not outputs:
        return str(request["model"])
    model = onnx.load(request["model"])
    for number, node in enumerate(model.graph.node):  # onnxruntime chooses nodes by their names
        node.name = f"node{number}"
    onnx.save(model, "named.onnx")
    quantize_static(
        "named.onnx",
        "quantized.onnx",
        Reader(feeds),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        nodes_to_quantize=[n.name for n in model.graph.node if n.output[0] in outputs],
    )
    return "quantized.onnx"


def times_ms(tuned: onnxruntime.InferenceSession, feed: dict[str, np.ndarray]) -> list[float]:
    """Milliseconds of some inferences, after one that warms up."""
    tuned.run(None, feed)
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        tuned.run(None, feed)
        times.append(1e3 * (time.perf_counter() - start))
    return times


def decibels(expected: list[np.ndarray], found: list[np.ndarray]) -> float:
    """Signal to noise of the first output, 200 at most."""
    signal = float(np.square(expected[0], dtype=np.float64).sum())
    noise = float(np.square(np.subtract(expected[0], found[0], dtype=np.float64)).sum())
    return min(10 * math.log10(signal / noise), 200.0) if noise and signal else 200.0


if __name__ == "__main__":
    main()
