"""The zoo's table: names, variants, and networks by name."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from npu_tune.errors import ModelError
from npu_tune.network.model import Network
from npu_tune.network.read import network_from_bytes
from npu_tune.network.zoo import topologies

if TYPE_CHECKING:
    import onnx

_CALIBRATION_SAMPLES = 4
"""Enough: the inputs are noise and every layer holds thousands of values per sample."""


@dataclass(frozen=True)
class ZooEntry:
    """A family of the zoo.

    Args:
        name: of the default variant.
        description: what it is and where it was published.
        macs: multiply-accumulates of one inference of the default variant.
        build: makes the float ONNX model.
        alphas: width multipliers on offer; the last is the default. Empty where there is none.
        resolutions: input sizes on offer with a width multiplier.
    """

    name: str
    description: str
    macs: int
    build: Callable[..., onnx.ModelProto] = field(repr=False)
    alphas: tuple[str, ...] = ()
    resolutions: tuple[int, ...] = ()


_RESOLUTIONS = (96, 128, 160, 192, 224)

ZOO: Mapping[str, ZooEntry] = {
    entry.name: entry
    for entry in (
        ZooEntry(
            "resnet8", "image classifier of MLPerf Tiny, 32 x 32", 12_501_632, topologies.resnet8
        ),
        ZooEntry(
            "ds-cnn", "keyword spotter of MLPerf Tiny, 49 x 10", 2_656_768, topologies.ds_cnn
        ),
        ZooEntry(
            "autoencoder",
            "anomaly detector of MLPerf Tiny, 640 features",
            264_192,
            topologies.autoencoder,
        ),
        ZooEntry(
            "mobilenet-v1",
            "ImageNet classifier, Howard et al. 2017",
            568_740_352,
            topologies.mobilenet_v1,
            ("0.25", "0.5", "0.75", "1.0"),
            _RESOLUTIONS,
        ),
        ZooEntry(
            "mobilenet-v2",
            "ImageNet classifier, Sandler et al. 2018",
            300_774_272,
            topologies.mobilenet_v2,
            ("0.35", "0.5", "0.75", "1.3", "1.4", "1.0"),
            _RESOLUTIONS,
        ),
        ZooEntry(
            "squeezenet",
            "ImageNet classifier v1.1, Iandola et al. 2016",
            349_151_936,
            topologies.squeezenet,
        ),
        ZooEntry(
            "yolo-tiny",
            "detector after YOLOv3-tiny, 192 x 192, 20 classes",
            150_709_248,
            topologies.yolo_tiny,
        ),
    )
}

_VARIANT = re.compile(r"(?P<family>.+)-(?P<alpha>\d\.\d+)-(?P<resolution>\d+)")


def zoo_names() -> tuple[str, ...]:
    """Every name the zoo knows, variants included: ``mobilenet-v2-0.35-96``."""
    names = []
    for entry in ZOO.values():
        names.append(entry.name)
        names.extend(
            f"{entry.name}-{alpha}-{resolution}"
            for alpha in sorted(entry.alphas)
            for resolution in entry.resolutions
        )
    return tuple(names)


def is_zoo_name(name: str) -> bool:
    """Whether :func:`zoo_network` knows the name."""
    return name in zoo_names()


@functools.lru_cache(maxsize=8)
def zoo_network(
    name: str,
    *,
    format: Literal["onnx", "tflite"] = "onnx",  # noqa: A002 - what users call it
    seed: int = 0,
) -> Network:
    """Builds a network of the zoo.

    Args:
        name: one of :func:`zoo_names`.
        format: ``onnx`` for float, ``tflite`` for int8.
        seed: of the weights.

    Raises:
        ModelError: if there is no such network.
        MissingExtraError: if ``tflite`` is asked for and onnxruntime is not installed.
    """
    if not is_zoo_name(name):
        raise ModelError(
            f"There is no built-in network {name!r}.",
            remedy=f"Built-in networks: {', '.join(ZOO)}, and variants of the MobileNets such as "
            "mobilenet-v2-0.35-96.",
        )
    model = _model(name, seed)
    network = network_from_bytes(model.SerializeToString(deterministic=True), "onnx", name)
    if format == "onnx":
        return network
    from npu_tune.network.load import to_int8  # noqa: PLC0415 - it imports the zoo

    generator = np.random.default_rng(seed)
    calibration = {
        label: generator.uniform(
            -1.0, 1.0, (_CALIBRATION_SAMPLES, *network.tensors[label].shape[1:])
        ).astype(np.float32)
        for label in network.inputs
    }
    return to_int8(network, calibration=calibration)


def _model(name: str, seed: int) -> onnx.ModelProto:
    if name in ZOO:
        return ZOO[name].build(seed=seed)
    variant = _VARIANT.fullmatch(name)
    if variant is None:
        raise AssertionError(f"{name!r} is listed but not spelled like a variant")
    return ZOO[variant["family"]].build(
        alpha=float(variant["alpha"]), resolution=int(variant["resolution"]), seed=seed
    )
