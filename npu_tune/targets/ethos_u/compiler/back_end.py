"""Vela's steps behind the scheduler: constants, command streams, performance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ethosu.vela import (
    high_level_command_stream_generator,
    high_level_command_to_npu_op,
    live_range,
    lut,
    npu_performance,
    npu_serialisation,
    stats_writer,
    tensor_allocation,
    tflite_writer,
)
from ethosu.vela.nn_graph import PassPlacement, TensorAllocator
from ethosu.vela.operation import Op, create_activation_function
from ethosu.vela.tensor import MemType


def generate(graph: Any, arch: Any, kind: Any, options: Any) -> None:
    """Does what ``ethosu.vela.compiler_driver`` does once the passes are scheduled."""
    npu = _npu_subgraphs(graph)
    _allocate_npu_constants(graph, arch, npu)
    scratch = scratch_fast = flash = None
    for subgraph in npu:
        high_level_command_stream_generator.generate_high_level_command_stream_for_schedule(
            graph, subgraph, arch, False
        )
        lut.optimize_high_level_cmd_stream(subgraph, arch)
        high_level_command_to_npu_op.generate_register_command_stream_for_sg(
            graph, subgraph, arch, False
        )
        scratch, scratch_fast, flash = npu_serialisation.serialise_npu_subgraph_into_tensors(
            subgraph, arch, scratch, scratch_fast, flash
        )
    for subgraph in graph.subgraphs:
        if subgraph.placement == PassPlacement.Cpu:
            npu_serialisation.rewrite_npu_call_ops(subgraph, arch)
    root = graph.get_root_subgraph()
    if scratch is not None:
        scratch.set_all_shapes([root.memory_used_per_type.get(MemType.Scratch, 0)])
    if scratch_fast is not None:
        scratch_fast.set_all_shapes([root.memory_used_per_type.get(MemType.Scratch_fast, 0)])
    tensor_allocation.allocate_tensors(
        graph,
        root,
        arch,
        arch.permanent_storage_mem_area,
        {MemType.Permanent_CPU},
        tensor_allocator=TensorAllocator.LinearAlloc,
        cpu_tensor_alignment=options.cpu_tensor_alignment,
    )
    npu_performance.calc_new_performance_for_network(graph, arch, kind, False)


def estimate(graph: Any, arch: Any, kind: Any) -> None:
    """Estimates performance as :func:`generate` does, without constants and command streams.

    SRAM has its addresses from the scheduler already.
    """
    for subgraph in _npu_subgraphs(graph):
        for op in subgraph.sched_ops:
            _note_activation(op.parent_ps)
    npu_performance.calc_new_performance_for_network(graph, arch, kind, False)


def _note_activation(ps: Any) -> None:
    """Notes an activation that shares its pass with another operator.

    ``generate_high_level_commands_for_sched_op`` of Vela 5.2.0 does it, and the estimate reads it.
    """
    for op in ps.ops:
        if op.type.is_relu_op() or op.type in (Op.Tanh, Op.Sigmoid):
            ps.primary_op.activation = create_activation_function(
                op.type, min=op.attrs.get("min"), max=op.attrs.get("max")
            )


def _npu_subgraphs(graph: Any) -> list[Any]:
    return [sg for sg in graph.subgraphs if sg.placement == PassPlacement.Npu]


def _allocate_npu_constants(graph: Any, arch: Any, npu: list[Any]) -> None:
    if not npu:
        return
    ranges = live_range.LiveRangeGraph()
    for subgraph in npu:
        ranges = live_range.create_linear_live_range_graph(
            subgraph, arch.permanent_storage_mem_area, MemType.Permanent_NPU, lr_graph=ranges
        )
    tensor_allocation.allocate_tensors(
        graph,
        npu[0],
        arch,
        arch.permanent_storage_mem_area,
        {MemType.Permanent_NPU},
        tensor_allocator=TensorAllocator.LinearAlloc,
        lr_graph=ranges,
    )


def write_model(graph: Any, path: Path) -> None:
    """Writes the compiled network as a deployable TFLite file."""
    tflite_writer.write_tflite(graph, str(path))


def write_tables(graph: Any, arch: Any, kind: Any, folder: Path, name: str) -> dict[str, Path]:
    """Writes the two tables that Vela's command writes, of the graph as it is compiled.

    Args:
        graph: compiled.
        arch: Vela's description of the system.
        kind: of network as Vela numbers them.
        folder: where to write.
        name: of the network, with which the names of the files begin.

    Returns:
        paths by role.
    """
    summary = folder / f"{name}_summary_{arch.system_config}.csv"
    called, graph.name = graph.name, name
    try:
        stats_writer.write_summary_metrics_csv(graph, str(summary), arch)
        npu_performance.calc_new_performance_for_network(
            graph, arch, kind, True, str(folder / name)
        )
    finally:
        graph.name = called
    return {"vendor_layers": folder / f"{name}_per-layer.csv", "vendor_summary": summary}
