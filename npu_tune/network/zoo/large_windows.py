"""Classifiers that begin with a window of 7 x 7, and one with windows of 5 x 5 in the middle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune.network.zoo.blocks import BRANCH_GAIN, GATE_GAIN, project, squeeze_and_excite
from npu_tune.network.zoo.builder import NetworkBuilder
from npu_tune.network.zoo.topologies import classify, fire_modules

if TYPE_CHECKING:
    import onnx


def resnet50_v2(
    *, resolution: int = 224, channels: int = 3, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """ResNet v2 of depth 50 (He et al., 2016), as Keras applications builds it.

    Blocks normalize and activate before they convolve; the last block of a stage has the stride.
    """
    net = NetworkBuilder("image", (1, channels, resolution, resolution), seed=seed)
    x = net.conv("image", "conv1", 64, kernel=7, stride=2, padding=3, activation="none")
    x = net.max_pool(x, "pool1", kernel=3, stride=2, pad_start=1, pad_end=1)
    for stage, (width, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(1, blocks + 1):
            stride = 2 if block == blocks and stage < 4 else 1
            name = f"stage{stage}/block{block}"
            x = _preactivated(net, x, name, width, stride=stride, project=block == 1)
    return classify(net, net.normalize(x, "last"), "resnet50-v2", classes)


def _preactivated(
    net: NetworkBuilder, x: str, name: str, width: int, *, stride: int, project: bool
) -> str:
    y = net.normalize(x, f"{name}/before")
    if project:
        x = net.conv(y, f"{name}/shortcut", 4 * width, activation="none")
    elif stride > 1:
        x = net.max_pool(x, f"{name}/shortcut", kernel=1, stride=stride)
    y = net.conv(y, f"{name}/conv1", width)
    y = net.conv(y, f"{name}/conv2", width, kernel=3, stride=stride, padding=1)
    y = net.conv(y, f"{name}/conv3", 4 * width, activation="none", gain=BRANCH_GAIN)
    return net.add(x, y, f"{name}/add")


def squeezenet_v1_0(
    *, resolution: int = 224, channels: int = 3, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """SqueezeNet v1.0 (Iandola et al., 2016)."""
    net = NetworkBuilder("image", (1, channels, resolution, resolution), seed=seed)
    x = net.conv("image", "conv1", 96, kernel=7, stride=2, padding="valid")
    return fire_modules(net, x, "squeezenet-v1.0", classes, pools=(2, 5, 9), pad=1)


def squeezenext(
    *, resolution: int = 224, channels: int = 3, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """SqueezeNext 1.0-SqNxt-23 (Gholami et al., 2018) with stages of 6, 6, 8 and 1 blocks."""
    net = NetworkBuilder("image", (1, channels, resolution, resolution), seed=seed)
    x = net.conv("image", "conv1", 64, kernel=7, stride=2, padding=1)
    x = net.max_pool(x, "pool1", kernel=3, stride=2, pad_end=1)
    for stage, (width, blocks) in enumerate(((32, 6), (64, 6), (128, 8), (256, 1)), start=1):
        for block in range(1, blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _separated(net, x, f"stage{stage}/block{block}", width, stride=stride)
    x = net.conv(x, "conv_last", 128)
    return classify(net, x, "squeezenext", classes)


def _separated(net: NetworkBuilder, x: str, name: str, width: int, *, stride: int) -> str:
    """Two reductions, a window as a row and a column, and an expansion."""
    before = net.shape(x)[1]
    reduction = 1 if stride > 1 else 4 if before > width else 2
    squeezed = before // reduction
    y = net.conv(x, f"{name}/squeeze1", squeezed, stride=stride)
    y = net.conv(y, f"{name}/squeeze2", squeezed // 2)
    y = net.conv(y, f"{name}/row", squeezed, kernel=(1, 3))
    y = net.conv(y, f"{name}/column", squeezed, kernel=(3, 1))
    y = net.conv(y, f"{name}/expand", width, gain=BRANCH_GAIN)
    if stride > 1 or before != width:
        x = net.conv(x, f"{name}/shortcut", width, stride=stride)
    return net.add(x, y, f"{name}/add", activation="relu")


def mnasnet_a1(
    *, resolution: int = 224, channels: int = 3, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """MnasNet-A1 (Tan et al., 2019), with squeeze-and-excite in every second stage."""
    net = NetworkBuilder("image", (1, channels, resolution, resolution), seed=seed)
    x = net.conv("image", "conv1", 32, kernel=3, stride=2, padding=1)
    x = net.conv(x, "block0/depthwise", 32, kernel=3, depthwise=True)
    x = net.conv(x, "block0/project", 16, activation="none")
    stages = ((3, 6, 24, 2, 2, False), (5, 3, 40, 3, 2, True), (3, 6, 80, 4, 2, False),
              (3, 6, 112, 2, 1, True), (5, 6, 160, 3, 2, True), (3, 6, 320, 1, 1, False))  # fmt: skip
    block = 1
    for kernel, expansion, width, repeats, first_stride, gated in stages:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            name = f"block{block}"
            x = _inverted(
                net, x, name, expansion, width, kernel=kernel, stride=stride, gated=gated
            )
            block += 1
    return classify(net, net.conv(x, "conv_last", 1280), "mnasnet-a1", classes)


def _inverted(
    net: NetworkBuilder,
    x: str,
    name: str,
    expansion: int,
    width: int,
    *,
    kernel: int,
    stride: int,
    gated: bool,
) -> str:
    before = net.shape(x)[1]
    inner = expansion * before
    y = net.conv(x, f"{name}/expand", inner)
    y = net.conv(
        y,
        f"{name}/depthwise",
        inner,
        kernel=kernel,
        stride=stride,
        padding=kernel // 2,
        depthwise=True,
    )
    gain = 1.0
    if gated:
        y = squeeze_and_excite(net, y, name, before // 4, activation="relu")
        gain = GATE_GAIN
    return project(net, x, y, name, channels=width, stride=stride, gain=gain)
