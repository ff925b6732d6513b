"""Makes the problem of a network for the core of Vela that compiles it, or says why there is none."""

from __future__ import annotations

from npu_tune.errors import ModelError, ModelFormatError
from npu_tune.network import Network
from npu_tune.network.tflite.graphs import require_no_control_flow
from npu_tune.targets.ethos_u.compiler.settings import make_architecture
from npu_tune.targets.ethos_u.problem import CppCoreProblem, EthosUProblem, PythonCoreProblem
from npu_tune.targets.ethos_u.system import System
from npu_tune.targets.problem import Target


def make_problem(
    target: Target, network: Network, system: System, *, allow_cpu: bool
) -> EthosUProblem:
    """Makes the problem of a network, for the core that compiles it.

    Args:
        target: what is compiled for.
        network: what is compiled.
        system: the same target in Vela's words.
        allow_cpu: accept operators that stay on the CPU.

    Raises:
        ModelError: for a float network, a format that Vela does not read, a file of several
            graphs, one that runs others, or operators that would stay on the CPU where that is
            not allowed.
    """
    if network.format == "onnx":
        raise ModelFormatError(
            f"{network.name!r} is an ONNX network; Vela reads TFLite and TOSA.",
            remedy="`npu-tune tune` quantises it by itself, `npu-tune convert` writes the file.",
        )
    if network.other_graphs:
        raise ModelError(
            f"The file of {network.name!r} has {1 + len(network.other_graphs)} graphs "
            "(signatures), and only one can be compiled.",
            remedy="Convert one signature to a file of its own.",
            other_graphs=list(network.other_graphs),
        )
    require_no_control_flow(network)
    problem: EthosUProblem
    if network.format == "tosa" or system.accelerator.startswith("ethos-u85"):
        make_architecture(system)  # says what does not fit in better words than the command
        problem = CppCoreProblem(target, network, system)
    else:
        problem = PythonCoreProblem(target, network, system)
    try:
        _require_npu(problem, allow_cpu=allow_cpu)
    except BaseException:
        problem.close()
        raise
    return problem


def _require_npu(problem: EthosUProblem, *, allow_cpu: bool) -> None:
    """Refuses what would not run on the NPU. Raises ModelError."""
    npu, cpu = problem.operators()
    if npu and (allow_cpu or not cpu):
        return
    network = problem.network
    if network.is_float and not npu:
        raise ModelError(
            f"{network.name!r} is a floating-point network; an Ethos-U computes integers "
            "only, and nothing of it would run there.",
            remedy="Quantise it to int8, from ONNX with `npu-tune convert`.",
        )
    listed = ", ".join(cpu[:5]) + (f" and {len(cpu) - 5} more" if len(cpu) > 5 else "")
    raise ModelError(
        f"{len(cpu)} operators of {network.name!r} would stay on the CPU: {listed}.",
        remedy="Replace them, or accept them with allow_cpu = true; Vela's metrics leave "
        "their time out."
        if npu
        else "Nothing would run on the NPU.",
        cpu_operators=list(cpu),
    )
