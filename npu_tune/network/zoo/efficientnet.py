"""EfficientNet v2, as Keras applications builds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune.network.zoo.blocks import GATE_GAIN, project, squeeze_and_excite
from npu_tune.network.zoo.builder import NetworkBuilder
from npu_tune.network.zoo.topologies import classify

if TYPE_CHECKING:
    import onnx


def efficientnet_v2_b0(
    *, resolution: int = 224, channels: int = 3, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """EfficientNet v2 B0 (Tan and Le, 2021), inputs scaled beforehand.

    Early blocks are fused: one full convolution expands and filters; the others filter depthwise
    and gate channels by squeeze-and-excite. Every activation is swish.
    """
    net = NetworkBuilder("image", (1, channels, resolution, resolution), seed=seed)
    x = net.conv("image", "conv1", 32, kernel=3, stride=2, activation="swish")
    stages = ((True, 1, 16, 1, 1), (True, 4, 32, 2, 2), (True, 4, 48, 2, 2),
              (False, 4, 96, 3, 2), (False, 6, 112, 5, 1), (False, 6, 192, 8, 2))  # fmt: skip
    block = 0
    for fused, expansion, width, repeats, first_stride in stages:
        for repeat in range(repeats):
            make = _fused_block if fused else _gated_block
            stride = first_stride if repeat == 0 else 1
            name = f"block{block}"
            x = make(net, x, name, expansion=expansion, channels=width, stride=stride)
            block += 1
    x = net.conv(x, "conv_last", 1280, activation="swish")
    return classify(net, x, "efficientnet-v2-b0", classes)


def _fused_block(
    net: NetworkBuilder, x: str, name: str, *, expansion: int, channels: int, stride: int
) -> str:
    before = net.shape(x)[1]
    if expansion == 1:
        return net.conv(x, f"{name}/conv", channels, kernel=3, stride=stride, activation="swish")
    y = net.conv(
        x, f"{name}/expand", expansion * before, kernel=3, stride=stride, activation="swish"
    )
    return project(net, x, y, name, channels=channels, stride=stride, gain=1.0)


def _gated_block(
    net: NetworkBuilder, x: str, name: str, *, expansion: int, channels: int, stride: int
) -> str:
    before = net.shape(x)[1]
    y = net.conv(x, f"{name}/expand", expansion * before, activation="swish")
    y = net.conv(
        y,
        f"{name}/depthwise",
        expansion * before,
        kernel=3,
        stride=stride,
        depthwise=True,
        activation="swish",
    )
    y = squeeze_and_excite(net, y, name, max(1, before // 4), activation="swish")
    return project(net, x, y, name, channels=channels, stride=stride, gain=GATE_GAIN)
