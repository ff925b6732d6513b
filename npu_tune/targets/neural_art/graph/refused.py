"""TFLite operators that are neither computed by a unit nor costed on the CPU."""

from __future__ import annotations

from npu_tune.errors import UnsupportedOperatorError
from npu_tune.network.model import Network
from npu_tune.network.tflite.graphs import require_no_control_flow

_VARIABLE = "keeps a variable or a table beside the tensors of the graph"
_RANDOM = "makes random values"
_UNKNOWN = "is no operator that this version knows"
_REASONS = {
    **dict.fromkeys(
        (
            "ASSIGN_VARIABLE",
            "CALL_ONCE",
            "HASHTABLE",
            "HASHTABLE_FIND",
            "HASHTABLE_IMPORT",
            "HASHTABLE_SIZE",
            "READ_VARIABLE",
            "VAR_HANDLE",
        ),
        _VARIABLE,
    ),
    **dict.fromkeys(
        (
            "MULTINOMIAL",
            "RANDOM_STANDARD_NORMAL",
            "RANDOM_UNIFORM",
            "STABLEHLO_RNG_BIT_GENERATOR",
        ),
        _RANDOM,
    ),
    **dict.fromkeys(("DELEGATE", "PLACEHOLDER_FOR_GREATER_OP_CODES"), _UNKNOWN),
}
_REMEDIES = {
    _VARIABLE: "Convert the network with its state as further inputs and outputs.",
    _RANDOM: "Convert the network for inference, or give the values as an input.",
    _UNKNOWN: "Convert the network with builtin operators.",
}


def require_costed(network: Network) -> None:
    """Checks that every operator of a TFLite network can be costed, by a unit or on the CPU.

    Raises:
        UnsupportedOperatorError: if one cannot; names it.
    """
    require_no_control_flow(network)
    for layer in network.layers:
        reason = _UNKNOWN if layer.op.startswith("UNKNOWN_") else _REASONS.get(layer.op)
        if reason is not None:
            raise UnsupportedOperatorError(
                f"The operator {layer.name!r} ({layer.op}) of {network.name!r} {reason}.",
                remedy=_REMEDIES[reason],
                node=layer.name,
                op=layer.op,
            )
