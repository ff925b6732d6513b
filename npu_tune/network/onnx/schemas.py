"""ONNX's own definitions of its operators."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


@functools.cache
def operator_schema(op: str, opset: int) -> onnx.defs.OpSchema | None:
    """The definition of an operator that is in force in an operator set; None if it has none."""
    from onnx import defs  # noqa: PLC0415 - heavy

    try:
        return defs.get_schema(op, opset, "")
    except defs.SchemaError:
        return None
