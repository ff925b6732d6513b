"""Checks that a translated network computes what it should, in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from npu_tune.errors import (
    CompilerCrashError,
    CompilerError,
    InaccurateOutputError,
    ModelError,
)
from npu_tune.network import Network
from npu_tune.network.onnx.proto import graph_to_onnx
from npu_tune.network.quantize.runtimes import onnx_session, run_session
from npu_tune.targets.measured.engine import Array, Engine, Feed
from npu_tune.targets.measured.fidelity import make_fidelity
from npu_tune.targets.measured.layers import LayeredGraph
from npu_tune.targets.measured.messages import MeasuringSetup, WrittenConfiguration
from npu_tune.targets.measured.rounds import RoundSettings
from npu_tune.targets.measured.session import MeasuringSession
from npu_tune.targets.ncnn.engine import NcnnEngine
from npu_tune.targets.ncnn.files import write_files
from npu_tune.targets.ncnn.plan import FLOAT, LayerPlan
from npu_tune.targets.ncnn.program import NcnnProgram, Port
from npu_tune.targets.ncnn.writer import NcnnWriter

LEAST_DB = 60.0
"""Translated networks reach 114 to 145 dB in float32."""

_REMEDY = "Use the target cpu-onnxruntime, and report the network: its translation is wrong."


@dataclass(frozen=True)
class CheckingEngine(NcnnEngine):
    """Loads nothing in the measuring process itself, as what is checked may crash."""

    @property
    def outlives_fork(self) -> bool:
        return False


def check_translation(
    network: Network,
    layered: LayeredGraph,
    program: NcnnProgram,
    feed: Feed,
    *,
    engine: Engine = CheckingEngine(),
) -> None:
    """Runs a network in float32 on a CPU and compares its outputs with onnxruntime's.

    Args:
        network: as it was given.
        layered: as it was folded.
        program: as it was translated.
        feed: a typical input.
        engine: that runs it.

    Raises:
        ModelError: if the outputs differ, or ncnn does not run it; names the first tensor that
            differs where that can be told.
    """
    fidelity = make_fidelity(network, layered.graph, (feed,), None)
    about = {}
    try:
        decibels = fidelity.decibels([_run(program, feed, engine)])
    except (CompilerError, CompilerCrashError, InaccurateOutputError) as error:
        said = error.message
    else:
        if decibels >= LEAST_DB:
            return
        said = f"Its outputs have {decibels:.1f} dB against onnxruntime's, in float32."
        first = _first_difference(layered, program, feed, engine)
        if first:
            said += f" The first tensor that differs is {first!r}."
            about["tensor"] = first
    raise ModelError(
        f"ncnn does not compute {network.name!r} as it should. {said}", remedy=_REMEDY, **about
    )


def _run(program: NcnnProgram, feed: Feed, engine: Engine) -> Sequence[Array]:
    """The outputs of a program in float32."""
    plan = LayerPlan(dict.fromkeys(program.products, FLOAT), {})
    with tempfile.TemporaryDirectory(prefix="npu-tune-") as name:
        folder = Path(name)
        write_files(NcnnWriter(program), plan, lambda _: 1.0, folder)
        candidate = WrittenConfiguration(folder, {})
        with MeasuringSession(
            MeasuringSetup(engine, (candidate,), (feed,), RoundSettings())
        ) as session:
            return session.measure(candidate, timed=False).outputs[0]


def _first_difference(
    layered: LayeredGraph, program: NcnnProgram, feed: Feed, engine: Engine
) -> str:
    """The first tensor that is wrong; "" if none can be told."""
    blobs: dict[str, str] = {}
    for blob, tensor in program.tensors.items():
        if tensor not in feed:
            blobs.setdefault(tensor, blob)  # the first one is not reshaped
    names = list(blobs)
    shapes = layered.graph.shapes
    ports = tuple(Port(name, blobs[name], shapes[name]) for name in names)
    session = onnx_session(graph_to_onnx(layered.graph, outputs=names))
    expected = run_session(session, names, feed)
    try:
        found = _run(replace(program, outputs=ports), feed, engine)
    except (CompilerError, CompilerCrashError):
        return ""
    for port, true, seen in zip(ports, expected, found, strict=True):
        if not _is_near(true, seen):
            return port.tensor
    return ""


def _is_near(true: Array, seen: Array) -> bool:
    """Whether the noise is below the limit; of what is not a number it is not."""
    signal = float(np.sum(np.square(true, dtype=np.float64)))
    noise = float(np.sum(np.square(np.subtract(true, seen, dtype=np.float64))))
    return noise <= signal * 10 ** (-LEAST_DB / 10)
