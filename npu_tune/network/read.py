"""Reads model files of any supported format into networks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from npu_tune.errors import ModelError, remedy_for
from npu_tune.network.budget import ReadingBudget
from npu_tune.network.model import Network
from npu_tune.network.onnx.reader import read_onnx
from npu_tune.network.tflite.reader import read_tflite

Format = Literal["tflite", "onnx", "tosa"]

_SUFFIXES: dict[str, Format] = {".tflite": "tflite", ".onnx": "onnx", ".tosa": "tosa"}
_MARKS: dict[bytes, Format] = {b"TFL3": "tflite", b"TOSA": "tosa"}
"""Identifiers of FlatBuffers files, at bytes 4 to 8."""
_NAMES: dict[Format, str] = {"tflite": "TFLite", "onnx": "ONNX", "tosa": "TOSA"}
_CHUNK_BYTES = 1 << 24
_REMEDY = "Give a .tflite, .onnx or .tosa file."


def read_network(path: str | os.PathLike[str], *, name: str | None = None) -> Network:
    """Reads a TFLite, ONNX or TOSA file.

    The format is that of the identifier in the file (TFLite, TOSA) or else of its suffix. A TOSA
    file is not parsed: its network has no layers, and only its compiler validates it.

    Args:
        path: of the file; external weights of an ONNX file must be in the same folder.
        name: of the network; the file's stem if None.

    Raises:
        ModelError: if the file is missing, empty, damaged or in another format.
    """
    file = Path(path)
    budget = ReadingBudget(str(file))
    try:
        model_bytes = _content(file, budget)
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {str(file)!r}.", remedy=_REMEDY) from error
    except OSError as error:
        raise ModelError(
            f"The file {str(file)!r} cannot be read: {error.strerror or error}.",
            remedy=remedy_for(error, _REMEDY),
        ) from error
    if not model_bytes:
        raise ModelError(f"The file {str(file)!r} is empty.", remedy="Copy or convert it again.")
    model_format = _format_of(model_bytes, file)
    return network_from_bytes(
        model_bytes, model_format, name or file.stem, weights_folder=file.parent, budget=budget
    )


def _content(file: Path, budget: ReadingBudget) -> bytes:
    """The bytes of a file, or of something that looks like one and may never end.

    Raises:
        ModelError: if there are more than the budget has.
        OSError: if they cannot be read.
    """
    with file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size  # of a pipe, 0
        budget.take(size, "the file")
        content = stream.read(size)
        while more := stream.read(_CHUNK_BYTES):
            budget.take(len(more), "the file")
            content += more
    return content


def network_from_bytes(
    model_bytes: bytes,
    model_format: Format,
    name: str,
    *,
    weights_folder: Path | None = None,
    budget: ReadingBudget | None = None,
) -> Network:
    """Makes a network from the content of a model file.

    Args:
        model_bytes: content of the file.
        model_format: ``tflite``, ``onnx`` or ``tosa``.
        name: of the network.
        weights_folder: folder of an ONNX file's external weights; None if it has none.
        budget: of the file; one of its own if None.

    Raises:
        ModelError: if the content is damaged or of another format.
    """
    if model_format == "tflite":
        return read_tflite(model_bytes, name=name)
    if model_format == "tosa":
        if model_bytes[4:8] != b"TOSA":
            raise ModelError(f"{name!r} is not a TOSA file.", remedy=_REMEDY)
        return Network(name, "tosa", (), {}, (), (), model_bytes)
    budget = budget or ReadingBudget(name)
    return read_onnx(model_bytes, name=name, weights_folder=weights_folder, budget=budget)


def _format_of(model_bytes: bytes, file: Path) -> Format:
    marked = _MARKS.get(model_bytes[4:8])
    if marked is not None:
        return marked
    by_suffix = _SUFFIXES.get(file.suffix.lower())
    if by_suffix is None:
        raise ModelError(f"{str(file)!r} is not a model file that is known here.", remedy=_REMEDY)
    if by_suffix in _MARKS.values():
        raise ModelError(
            f"{str(file)!r} is not a {_NAMES[by_suffix]} file, although its name says so.",
            remedy=_REMEDY,
        )
    return by_suffix
