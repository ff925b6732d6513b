"""Vela's steps before the scheduler: read, optimise, mark, pack, divide between NPU and CPU."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ethosu.vela import (
    compiler_driver,
    extract_npu_subgraphs,
    graph_optimiser,
    mark_tensors,
    model_reader,
    pass_packing,
)
from ethosu.vela.rewrite_graph import visit_graph_post_order

from npu_tune.errors import ModelError
from npu_tune.network import Network
from npu_tune.targets.ethos_u.compiler.one_element import one_element_arrays_are_numbers
from npu_tune.targets.ethos_u.compiler.reasons import Reasons


def run_front_end(network: Network, arch: Any, reasons: Reasons) -> tuple[Any, Any]:
    """Brings a network to where it can be scheduled.

    Args:
        network: a TFLite network.
        arch: Vela's description of the system.
        reasons: gets why operators stay on the CPU.

    Returns:
        Vela's graph, and the kind of network as Vela numbers them.

    Raises:
        ModelError: where Vela cannot read the network.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        one_element_arrays_are_numbers(),
        reasons.recording(),
        silence() as printed,
    ):
        path = Path(folder) / "model.tflite"
        path.write_bytes(network.model_bytes)
        try:
            graph, kind = model_reader.read_model(str(path), model_reader.ModelReaderOptions())
            for subgraph in graph.subgraphs:
                visit_graph_post_order(
                    subgraph.output_tensors,
                    arch,
                    [],
                    [compiler_driver._record_operator],  # noqa: SLF001
                )
            graph = graph_optimiser.optimise_graph(graph, arch, kind, False, False)
            mark_tensors.mark_tensor_purpose(graph, arch, False)
            pass_packing.pack_into_passes(graph, arch, False)
            extract_npu_subgraphs.extract_npu_subgraphs(graph, arch)
        except (Exception, SystemExit) as error:
            # Vela's reader says what is wrong on standard output and exits the process.
            said = printed.getvalue().strip().splitlines()
            exits = isinstance(error, SystemExit) and said
            raise ModelError(
                f"Vela cannot read {network.name!r}: {said[-1] if exits else words_of(error)}",
                remedy="Convert the network to int8 TFLite with the operators Vela supports.",
            ) from error
    return graph, kind


def words_of(error: BaseException) -> str:
    """What one of Vela's errors says, behind its kind."""
    text = str(getattr(error, "data", error)).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def silence() -> Iterator[io.StringIO]:
    """Keeps what Vela prints from standard output."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        yield printed
