"""Weights that an ONNX file keeps in other files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from npu_tune.errors import ModelError
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.onnx.bodies import bodies

if TYPE_CHECKING:
    import onnx


def embed_weights(
    model: onnx.ModelProto, folder: Path | None, *, name: str, budget: ReadingBudget
) -> bool:
    """Loads external weights into the model; returns whether there were any.

    Files outside the model's folder are not read, so that a model from elsewhere cannot name any
    file of this machine.

    Args:
        model: is changed in place.
        folder: that the weights' files are in; None if unknown.
        name: of the network, for errors.
        budget: that the weights are counted in before they are read.

    Raises:
        ModelError: if a file of weights is missing, damaged or outside the folder; names the
            tensor.
    """
    found = False
    for tensor in all_tensors(model.graph):
        if tensor.data_location != type(tensor).EXTERNAL:
            continue
        found = True
        entries = {entry.key: entry.value for entry in tensor.external_data}
        tensor.raw_data = _content(tensor.name, entries, folder, name, budget)
        tensor.data_location = type(tensor).DEFAULT
        del tensor.external_data[:]
    return found


def all_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """All constants, those of attributes and bodies included."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
        for body in bodies(node):
            yield from all_tensors(body)


def _content(
    label: str, entries: dict[str, str], folder: Path | None, name: str, budget: ReadingBudget
) -> bytes:
    """The bytes of one tensor.

    Raises:
        ModelError: see :func:`embed_weights`.
    """
    location = entries.get("location", "")

    def error(reason: str, remedy: str) -> ModelError:
        return ModelError(
            f"The weights of the tensor {label!r} of {name!r} {reason}.",
            remedy=remedy,
            tensor=label,
        )

    try:
        file = None if folder is None else (folder / location).resolve()
        if file is not None and folder is not None and not file.is_relative_to(folder.resolve()):
            raise error(
                f"are in the file {location!r}, which lies outside the model's folder and is not "
                "read",
                "Put that file into the folder of the .onnx file and name it there, or export "
                "the network as one file.",
            )
        if file is None or not file.is_file():
            raise error(
                f"are not in the file {location!r}, where they should be",
                "Put that file beside the .onnx file, or export the network as one file.",
            )
        offset, length = _extent(entries, size := file.stat().st_size)
        if min(offset, length) < 0 or offset + length > size:
            raise error(
                f"are not where they should be in the file {location!r}, which has {size:,} bytes",
                "Copy or export both files again.",
            )
        # The bytes that are read, and those that the message keeps.
        budget.take(2 * length, f"the tensor {label!r}")
        with file.open("rb") as stream:
            stream.seek(offset)
            return stream.read(length)
    except OSError as cause:
        raise error(
            f"cannot be read from the file {location!r}: {cause.strerror or cause}",
            "Check the name and the permissions of that file.",
        ) from cause


def _extent(entries: dict[str, str], size: int) -> tuple[int, int]:
    """Where a tensor begins in its file of ``size`` bytes, and its length; -1 for no number."""
    try:
        offset = int(entries.get("offset") or 0)
        return offset, int(entries.get("length") or size - offset)
    except ValueError:
        return -1, -1
