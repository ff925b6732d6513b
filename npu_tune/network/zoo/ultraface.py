"""UltraFace slim, a face detector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune.network.zoo.builder import NetworkBuilder

if TYPE_CHECKING:
    import onnx

_SCORES, _BOXES = 2, 4
"""Values per anchor: background and face, and the corners of a box."""

_BLOCKS = (
    ((32, 1), (32, 2), (32, 1), (64, 2), (64, 1), (64, 1), (64, 1)),
    ((128, 2), (128, 1), (128, 1)),
    ((256, 2), (256, 1)),
)
"""(Channels, stride) of the separable convolutions, up to each of the first three heads."""
_ANCHORS = (3, 2, 2, 3)
"""Anchors of each head, per pixel."""


def ultraface(*, seed: int = 0) -> onnx.ModelProto:
    """UltraFace ``version-slim-320`` (Linzaier, 2019) for 320 x 240 images: 4,420 anchors.

    Separable convolutions with heads at four sizes; what follows, decoding and the suppression of
    overlapping boxes, is not part of the network.
    """
    net = NetworkBuilder("image", (1, 3, 240, 320), seed=seed)
    x = net.conv("image", "conv1", 16, kernel=3, stride=2, padding=1)
    found: list[tuple[str, str]] = []
    block = 0
    for stage, anchors in zip(_BLOCKS, _ANCHORS[:-1], strict=True):
        for channels, stride in stage:
            x = _separable(net, x, f"block{block}", channels, stride=stride)
            block += 1
        found.append(_heads(net, x, f"head{len(found)}", anchors, separable=True))
    x = net.conv(x, "extra/reduce", 64)
    x = _separable(net, x, "extra", 256, stride=2)
    found.append(_heads(net, x, f"head{len(found)}", _ANCHORS[-1], separable=False))
    scores, boxes = zip(*found, strict=True)
    logits = net.concat(list(scores), "logits")
    return net.model(
        "ultraface", [net.softmax(logits, "scores", axis=2), net.concat(list(boxes), "boxes")]
    )


def _separable(net: NetworkBuilder, x: str, name: str, channels: int, *, stride: int) -> str:
    x = _depthwise(net, x, f"{name}/depthwise", stride=stride)
    return net.conv(x, f"{name}/pointwise", channels)


def _depthwise(net: NetworkBuilder, x: str, name: str, *, stride: int = 1) -> str:
    channels = net.shape(x)[1]
    return net.conv(x, name, channels, kernel=3, stride=stride, depthwise=True, padding=1)


def _heads(
    net: NetworkBuilder, x: str, name: str, anchors: int, *, separable: bool
) -> tuple[str, str]:
    """Scores and boxes of a map, a row of each per anchor."""
    rows = []
    for label, values in (("scores", _SCORES), ("boxes", _BOXES)):
        y, kernel = x, 3
        if separable:
            y, kernel = _depthwise(net, x, f"{name}/{label}/depthwise"), 1
        y = net.conv(
            y, f"{name}/{label}", anchors * values, kernel=kernel,
            padding=kernel // 2, activation="none",
        )  # fmt: skip
        rows.append(net.rows(y, f"{name}/{label}/rows", values))
    return rows[0], rows[1]
