"""Networks by name or by file, and float networks made int8."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from npu_tune.errors import ModelError
from npu_tune.network.model import Network
from npu_tune.network.read import network_from_bytes, read_network
from npu_tune.network.zoo import is_zoo_name, zoo_hint, zoo_names, zoo_network


def load_network(
    name_or_path: str | os.PathLike[str],
    *,
    calibration: Mapping[str, NDArray[Any]] | None = None,
) -> Network:
    """A network of the zoo (as int8 TFLite) or from a file (as the file is).

    A file wins over a zoo network of the same name where the text looks like a path.

    Args:
        name_or_path: a zoo name such as ``mobilenet-v2-0.35-96``, or a .tflite, .onnx or .tosa file.
        calibration: inputs a float ONNX file is calibrated with; given, the file is made int8.

    Raises:
        ModelError: if it is neither, or the file is no good.
    """
    text = os.fspath(name_or_path)
    if is_built_in(text):
        network = zoo_network(text, format="tflite")
    elif _is_file(text):
        network = read_network(text)
    else:
        raise _unknown(text)
    if calibration is not None and network.format == "onnx":
        return to_int8(network, calibration=calibration)
    return network


def is_built_in(text: str) -> bool:
    """True where a text that names a network means one of the zoo, not a file."""
    return not _is_file(text) and is_zoo_name(text)


def to_int8(
    network: Network,
    *,
    calibration: Mapping[str, NDArray[Any]] | None = None,
    samples: int = 32,
    seed: int = 0,
) -> Network:
    """Makes an int8 TFLite network of a float or QDQ ONNX one; others are returned as they are.

    Args:
        network: the network.
        calibration: per input, typical values with the samples along the first dimension; None
            for seeded random values (with a warning, because real ones give better results).
        samples: how many random samples are made where there is no calibration.
        seed: of the random samples.

    Raises:
        ModelError: if an operator cannot be written, or the calibration does not fit.
    """
    if network.format != "onnx":
        return network
    from npu_tune.network.quantize import quantize_to_tflite  # noqa: PLC0415

    model_bytes = quantize_to_tflite(network, calibration=calibration, samples=samples, seed=seed)
    return network_from_bytes(model_bytes, "tflite", network.name)


def _is_file(text: str) -> bool:
    looks_like_path = os.sep in text or Path(text).suffix.lower() in {".tflite", ".onnx", ".tosa"}
    return looks_like_path or Path(text).is_file()


def _unknown(text: str) -> ModelError:
    close = difflib.get_close_matches(text, zoo_names(), n=1, cutoff=0.4)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return ModelError(
        f"{text!r} is neither a file nor a built-in network.{hint}",
        remedy=zoo_hint(),
    )
