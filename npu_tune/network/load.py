"""Loads networks by name or from a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from npu_tune.errors import ModelError
from npu_tune.files import is_file
from npu_tune.network.model import Network
from npu_tune.network.quantize import to_int8
from npu_tune.network.read import read_network
from npu_tune.network.zoo import is_zoo_name, zoo_hint, zoo_names, zoo_network
from npu_tune.validation import closest_hint


def load_network(
    name_or_path: str | os.PathLike[str],
    *,
    calibration: Mapping[str, NDArray[Any]] | None = None,
    check: bool = True,
) -> Network:
    """Loads a network of the zoo (as int8 TFLite) or from a file (in the file's own format).

    Text that looks like a path, or names an existing file, means the file.

    Args:
        name_or_path: a zoo name such as ``mobilenet-v2-0.35-96``, or a .tflite, .onnx or .tosa file.
        calibration: calibration inputs; given, an ONNX network is quantized to int8 TFLite.
        check: whether it is then compared with the result.

    Raises:
        ConversionError: if the result is too far from it.
        ModelError: if there is neither such a network nor such a file, or the file is invalid.
    """
    text = os.fspath(name_or_path)
    if is_built_in(text):
        network = zoo_network(text, format="tflite")
    elif _is_file(text):
        network = read_network(text)
    else:
        raise _unknown_network_error(text)
    if calibration is not None and network.format == "onnx":
        return to_int8(network, calibration=calibration, check=check)
    return network


def is_built_in(text: str) -> bool:
    """Tells whether a text that names a network means one of the zoo, not a file."""
    return not _is_file(text) and is_zoo_name(text)


def _is_file(text: str) -> bool:
    looks_like_path = os.sep in text or Path(text).suffix.lower() in {".tflite", ".onnx", ".tosa"}
    return looks_like_path or is_file(text)


def _unknown_network_error(text: str) -> ModelError:
    return ModelError(
        f"{text!r} is neither a file nor a built-in network.",
        remedy=closest_hint(text, zoo_names(), cutoff=0.4) + zoo_hint(),
    )
