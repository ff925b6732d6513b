"""What becomes of each operator of LiteRT's schema on each target, as rows of a table."""

from __future__ import annotations

import warnings

from litert_operators import OPERATORS, operator_file

from npu_tune.errors import ModelError
from npu_tune.network import Network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.graph import OperationKind, graph_of


def operator_rows() -> list[tuple[str, str, str]]:
    """(operator, on Neural-ART, on Ethos-U) for every operator of the schema.

    On Neural-ART it is the ``unit``, the ``CPU`` with the reason, or ``no work``; on Ethos-U the
    ``NPU`` or the ``CPU``; anywhere ``refused`` with the reason.
    """
    rows = []
    for op in OPERATORS:
        try:
            network = operator_file(op).network(op.lower())
        except ModelError as error:
            rows.append((op, _refused(error), _refused(error)))
        else:
            rows.append((op, on_neural_art(op, network), on_ethos_u(op, network)))
    return rows


def on_neural_art(op: str, network: Network) -> str:
    """How Neural-ART runs an operator of a network."""
    try:
        graph = graph_of(network)
    except ModelError as error:
        return _refused(error)
    own = [operation for operation in graph.operations if operation.op.split(":")[0] == op]
    if not own:
        return "no work"
    on_cpu = [each for each in own if each.kind is OperationKind.SOFTWARE]
    return f"CPU ({on_cpu[0].software_reason})" if on_cpu else "unit"


def on_ethos_u(op: str, network: Network, target: str = "ethos-u55-128") -> str:
    """Where Vela puts an operator of a network."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            problem = load_target(target, {"allow_cpu": True}).bind(network)
    except ModelError as error:
        return "CPU" if error.data.get("cpu_operators") or network.is_float else _refused(error)
    with problem:
        # Vela calls an operator by its kind, then by its output; a reason follows in brackets.
        on_cpu = {each.split(" (")[0].split()[-1] for each in problem.operators()[1]}
    own = [layer for layer in network.layers if layer.op.split(":")[0] == op]
    left = any(layer.outputs and layer.outputs[0] in on_cpu for layer in own)
    return "CPU" if left or not any(layer.outputs for layer in own) else "NPU"


def _refused(error: ModelError) -> str:
    words = error.message.splitlines()[0].rstrip(".")
    return f"refused: {words}"
