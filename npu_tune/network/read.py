"""Reads a model file, whatever its format, into a network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from npu_tune.errors import ModelError
from npu_tune.network.model import Network

Format = Literal["tflite", "onnx"]

_SUFFIXES: dict[str, Format] = {".tflite": "tflite", ".onnx": "onnx"}
_REMEDY = "Give a .tflite or .onnx file."


def read_network(path: str | os.PathLike[str], *, name: str | None = None) -> Network:
    """Reads a TFLite or ONNX file.

    The content decides where it can (TFLite files carry a mark); else the suffix does.

    Args:
        path: the file; weights that an ONNX file keeps in other files are found beside it.
        name: the name the network gets; the file's stem if None.

    Raises:
        ModelError: if the file is missing, empty, damaged or in another format.
    """
    file = Path(path)
    try:
        model_bytes = file.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {str(file)!r}.", remedy=_REMEDY) from error
    except OSError as error:
        raise ModelError(
            f"The file {str(file)!r} cannot be read: {error.strerror or error}.", remedy=_REMEDY
        ) from error
    if not model_bytes:
        raise ModelError(f"The file {str(file)!r} is empty.", remedy="Copy or convert it again.")
    model_format = _format_of(model_bytes, file)
    return network_from_bytes(
        model_bytes, model_format, name or file.stem, weights_folder=file.parent
    )


def network_from_bytes(
    model_bytes: bytes,
    model_format: Format,
    name: str,
    *,
    weights_folder: Path | None = None,
) -> Network:
    """Makes a network from the content of a model file.

    Args:
        model_bytes: the whole file.
        model_format: ``tflite`` or ``onnx``.
        name: the name the network gets.
        weights_folder: where an ONNX file's external weights are; None if there are none.

    Raises:
        ModelError: if the content is damaged or of another format.
    """
    if model_format == "tflite":
        from npu_tune.network.tflite_reader import read_tflite  # noqa: PLC0415

        return read_tflite(model_bytes, name=name)
    from npu_tune.network.onnx_reader import read_onnx  # noqa: PLC0415

    return read_onnx(model_bytes, name=name, weights_folder=weights_folder)


def _format_of(model_bytes: bytes, file: Path) -> Format:
    if model_bytes[4:8] == b"TFL3":
        return "tflite"
    by_suffix = _SUFFIXES.get(file.suffix.lower())
    if by_suffix is None:
        raise ModelError(f"{str(file)!r} is not a model file that is known here.", remedy=_REMEDY)
    if by_suffix == "tflite":
        raise ModelError(
            f"{str(file)!r} is not a TFLite file, although its name says so.", remedy=_REMEDY
        )
    return by_suffix
