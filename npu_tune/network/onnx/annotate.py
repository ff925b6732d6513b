"""Writes texts into an ONNX file that stays as it is otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from npu_tune.network.onnx.reader import named_nodes


def annotate_onnx(
    model_bytes: bytes, *, metadata: Mapping[str, str], nodes: Mapping[str, Mapping[str, str]]
) -> bytes:
    """A file that computes the same, with further metadata of the model and of its nodes.

    Args:
        model_bytes: content of an ONNX file that was read before.
        metadata: text by name.
        nodes: the same by the name of a layer; what the file has no node for becomes metadata of
            the model.
    """
    import onnx  # noqa: PLC0415 - heavy

    model = onnx.load_model_from_string(model_bytes)
    _extend(model.metadata_props, metadata)
    named = named_nodes(model.graph)
    for layer, texts in nodes.items():
        if layer in named:
            _extend(named[layer].metadata_props, texts)
        else:
            _extend(model.metadata_props, {f"{layer}: {name}": t for name, t in texts.items()})
    return bytes(model.SerializeToString(deterministic=True))


def _extend(properties: Any, texts: Mapping[str, str]) -> None:
    """Adds texts, in the place of those that have the same names."""
    there = {each.key: each for each in properties}
    for name, text in texts.items():
        if name in there:
            there[name].value = text
        else:
            properties.add(key=name, value=text)
