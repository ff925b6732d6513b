"""The program that is exported beside a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npu_tune.targets.ncnn.engine import NcnnEngine

_TEXT = '''\
"""Runs the network beside it once on input.npz and prints its outputs and its time."""
import json, os, time, ncnn, numpy
os.chdir(os.path.dirname(os.path.abspath(__file__)))
ports, feed, net = json.load(open("model.json")), numpy.load("input.npz"), ncnn.Net()
for name, value in {options!r}.items():
    setattr(net.opt, name, value)
net.load_param("model.param"), net.load_model("model.bin")
inputs = {{b: feed[name].astype("f").reshape(shape) for name, (b, shape) in ports["inputs"].items()}}
def run(extractor):
    for blob, value in inputs.items():
        extractor.input(blob, ncnn.Mat(value).clone())
    return [numpy.array(extractor.extract(blob)[1]).reshape(shape) for blob, shape in ports["outputs"]]
run(net.create_extractor())
start = time.perf_counter()
outputs = run(net.create_extractor())
print(f"{{(time.perf_counter() - start) * 1e3:.3f}} ms", *outputs, sep="\\n")
net.clear()
'''


def script(engine: NcnnEngine, options: Mapping[str, Any]) -> str:
    """The program for an engine with options of the whole network."""
    return _TEXT.format(options=engine.settings(options))
