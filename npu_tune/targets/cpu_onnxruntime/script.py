"""The program that is exported beside a model."""

from __future__ import annotations

from npu_tune.targets.cpu_onnxruntime.engine import OPTIMIZATIONS

_TEXT = '''\
"""Runs the network beside it once on input.npz and prints its outputs and its time."""
import pathlib, time, numpy, onnxruntime
here = pathlib.Path(__file__).resolve().parent
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.{level}
options.intra_op_num_threads = {threads}
session = onnxruntime.InferenceSession(
    str(here / "model.onnx"), options, providers=["CPUExecutionProvider"]
)
feed = dict(numpy.load(here / "input.npz"))
session.run(None, feed)
start = time.perf_counter()
outputs = session.run(None, feed)
print(f"{{(time.perf_counter() - start) * 1e3:.3f}} ms", *outputs, sep="\\n")
'''


def script(optimization: str, threads: int) -> str:
    """The program for a level of optimisation and a number of threads."""
    return _TEXT.format(level=OPTIMIZATIONS[optimization], threads=threads)
