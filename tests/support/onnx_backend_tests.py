"""onnx's own backend tests, read for Neural-ART and converted to int8 TFLite, one after another."""

from __future__ import annotations

import math
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper
from two_runtimes import run_onnx, run_tflite

from npu_tune.errors import NpuTuneError
from npu_tune.network import Network, network_from_bytes
from npu_tune.network.onnx.proto import operator_name
from npu_tune.network.quantize import convert
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.graph import graph_of

Array = NDArray[Any]
Result = TypeVar("Result")

_ARRAYS = (np.ndarray, np.generic)
DATA = Path(onnx.__file__).parent / "backend" / "test" / "data"
NETWORKS = "light"
"""Folder of whole networks, whose weights are made by operators and all alike."""
FOLDERS = ("simple", "pytorch-converted", "pytorch-operator")
"""Of other model files; the tests of single nodes are made by the onnx package when asked for."""
_NEURAL_ART = load_target("neural-art-stm32n6")


@dataclass(frozen=True)
class BackendTest:
    """One test.

    Args:
        kind: ``node``, or the folder it is from.
        name: of the test.
        model: what is read.
        feed: the test's own inputs by name, as far as they are arrays.
        wanted: the test's own outputs, in order; empty if they are not known.
        bound: whether all inputs but the first were made constant.
    """

    kind: str
    name: str
    model: onnx.ModelProto
    feed: dict[str, Any]
    wanted: list[Any]
    bound: bool = False

    @property
    def operators(self) -> set[str]:
        return {operator_name(node) for node in self.model.graph.node}


@dataclass(frozen=True)
class Outcome:
    """What became of one test.

    Args:
        test: the test.
        kinds: how Neural-ART runs each operator that is not folded or fused away: its name in
            ONNX, the kind of unit, and the reason if that is the CPU. None if it is refused.
        refused: the error where it is refused on Neural-ART.
        decibels: of the converted network's worst output; None if it is not converted.
        unconverted: the error where it is not converted.
        faults: tracebacks of exceptions that are not meant for a user.
    """

    test: BackendTest
    kinds: tuple[tuple[str, str, str], ...] | None = None
    refused: NpuTuneError | None = None
    decibels: float | None = None
    unconverted: NpuTuneError | None = None
    faults: tuple[str, ...] = ()


def node_tests() -> Iterator[BackendTest]:
    """The tests of single operators, and of the functions that some of them stand for."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        inputs, outputs = case.data_sets[0]
        names = [value.name for value in case.model.graph.input]
        feed = dict(zip(names, inputs, strict=False))
        yield BackendTest("node", case.name, case.model, feed, list(outputs))


def file_tests(folders: Sequence[str] = FOLDERS) -> Iterator[BackendTest]:
    """The tests that the onnx package brings as files, without those that it would download."""
    for folder in folders:
        for file in sorted((DATA / folder).rglob("*.onnx")):
            model = onnx.load(file)
            name = file.stem if file.parent.name == folder else file.parent.name
            constants = {tensor.name for tensor in model.graph.initializer}
            names = [v.name for v in model.graph.input if v.name not in constants]
            feed = dict(zip(names, _arrays(file.parent, "input"), strict=False))
            yield BackendTest(folder, name, model, feed, list(_arrays(file.parent, "output")))


def _arrays(folder: Path, what: str) -> Iterator[Array]:
    """The tensors of a test's first set of data; none where these are sequences."""
    for file in sorted((folder / "test_data_set_0").glob(f"{what}_*.pb")):
        try:
            yield numpy_helper.to_array(onnx.load_tensor(file))
        except (DecodeError, ValueError, TypeError):
            return


def with_constants(test: BackendTest) -> BackendTest | None:
    """A test as networks have its operator: every input but the first is constant.

    None if there is but one input, or one that is no array.
    """
    graph = test.model.graph
    names = [value.name for value in graph.input]
    arrays = {name: test.feed.get(name) for name in names[1:]}
    if not arrays or not all(isinstance(value, _ARRAYS) for value in arrays.values()):
        return None
    model = onnx.ModelProto()
    model.CopyFrom(test.model)
    try:
        tensors = [
            numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()
        ]
    except (ValueError, TypeError, NotImplementedError):
        return None
    model.graph.initializer.extend(tensors)
    del model.graph.input[1:]
    first = {names[0]: test.feed[names[0]]} if names[0] in test.feed else {}
    return replace(test, name=f"{test.name} with constants", model=model, feed=first, bound=True)


def outcome_of(test: BackendTest) -> Outcome:
    """Reads a test's network, evaluates its default on Neural-ART, and converts it."""
    network, outcome = _read(test)
    if network is None:
        return replace(outcome, unconverted=outcome.refused)
    decibels, error, faults = _attempt(lambda: _decibels(test, network))
    faults = outcome.faults + faults
    return replace(outcome, decibels=decibels, unconverted=error, faults=faults)


def read_outcome_of(test: BackendTest) -> Outcome:
    """The same without converting it."""
    return _read(test)[1]


def _read(test: BackendTest) -> tuple[Network | None, Outcome]:
    network, error, faults = _attempt(
        lambda: network_from_bytes(test.model.SerializeToString(), "onnx", test.name)
    )
    if network is None:
        return None, Outcome(test, refused=error, faults=faults)
    kinds, error, faults = _attempt(lambda: _kinds(network))
    return network, Outcome(test, kinds, error, faults=faults)


def _attempt(
    work: Callable[[], Result],
) -> tuple[Result | None, NpuTuneError | None, tuple[str, ...]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work(), None, ()
    except NpuTuneError as error:
        return None, error, ()
    except Exception:  # noqa: BLE001 - what the tests are after
        return None, None, (traceback.format_exc(),)


def _kinds(network: Network) -> tuple[tuple[str, str, str], ...]:
    with _NEURAL_ART.bind(network) as problem:
        problem.evaluate(problem.space.default)
    return tuple(
        (operation.op, str(operation.kind), operation.software_reason)
        for operation in graph_of(network).operations
    )


def _decibels(test: BackendTest, network: Network) -> float:
    """Converts with the test's own inputs, and compares on these; random ones where it has none."""
    feed = {
        name: np.asarray(test.feed[name], np.float32)
        for name in network.inputs
        if isinstance(test.feed.get(name), _ARRAYS)
    }
    if set(feed) != set(network.inputs):
        generator = np.random.default_rng(0)
        feed = {
            name: generator.uniform(-1, 1, network.tensors[name].shape).astype(np.float32)
            for name in network.inputs
        }
    calibration = {name: value.reshape(value.shape or (1,)) for name, value in feed.items()}
    conversion = convert(network, calibration=calibration, check=False)
    try:
        wanted = run_onnx(network, feed)
    except Exception:  # noqa: BLE001 - onnxruntime does not run every operator set
        wanted = test.wanted
    got = run_tflite(conversion, feed)
    return min(_ratio(want, have) for want, have in zip(wanted, got, strict=True))


def _ratio(want: Array, have: Array) -> float:
    """Decibels of a signal over its error; infinite where there is none, or no signal either."""
    if want.shape != have.shape:
        return -math.inf
    reference = want.astype(np.float64)
    signal, noise = np.sum(np.square(reference)), np.sum(np.square(reference - have))
    if noise == 0:
        return math.inf
    return float(10 * np.log10(signal / noise)) if signal else -math.inf
