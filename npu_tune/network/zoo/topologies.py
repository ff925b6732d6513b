"""The topologies of the zoo, as published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune.network.zoo.builder import NetworkBuilder

if TYPE_CHECKING:
    import onnx

_LOGIT_GAIN = 3.0
"""Spreads the last layer's results, so that softmax prefers some classes as a trained one does."""
_THOUSAND_LOGITS_GAIN = 8.0
"""The same for a thousand classes, whose probabilities would else all be below 1/256."""

_BRANCH_GAIN = 0.4
"""Trained residual branches correct their input; random ones of full size would drown it."""


def resnet8(*, classes: int = 10, seed: int = 0) -> onnx.ModelProto:
    """ResNet v1 of depth 8 for 32 x 32 images, as in the MLPerf Tiny benchmark."""
    net = NetworkBuilder("image", (1, 3, 32, 32), seed=seed)
    x = net.conv("image", "conv1", 16, kernel=3)
    for stage, channels in enumerate((16, 32, 64), start=1):
        stride = 1 if stage == 1 else 2
        y = net.conv(x, f"stage{stage}/conv1", channels, kernel=3, stride=stride)
        y = net.conv(y, f"stage{stage}/conv2", channels, kernel=3, activation="none")
        if stride > 1:
            x = net.conv(x, f"stage{stage}/shortcut", channels, stride=2, activation="none")
        x = net.add(x, y, f"stage{stage}/add", activation="relu")
    x = net.global_average(x, "pool")
    x = net.dense(x, "logits", classes, activation="none", gain=_LOGIT_GAIN)
    return net.model("resnet8", [net.softmax(x, "probabilities")])


def ds_cnn(*, classes: int = 12, seed: int = 0) -> onnx.ModelProto:
    """Depthwise-separable keyword spotter of the MLPerf Tiny benchmark: 49 x 10 features."""
    net = NetworkBuilder("features", (1, 1, 49, 10), seed=seed)
    x = net.conv("features", "conv1", 64, kernel=(10, 4), stride=2)
    for block in range(1, 5):
        x = net.conv(x, f"block{block}/depthwise", 64, kernel=3, depthwise=True)
        x = net.conv(x, f"block{block}/pointwise", 64)
    x = net.global_average(x, "pool")
    x = net.dense(x, "logits", classes, activation="none", gain=_LOGIT_GAIN)
    return net.model("ds-cnn", [net.softmax(x, "probabilities")])


def autoencoder(*, seed: int = 0) -> onnx.ModelProto:
    """Anomaly detector of the MLPerf Tiny benchmark: 640 features through a waist of 8."""
    net = NetworkBuilder("features", (1, 640), seed=seed)
    x = "features"
    for index, width in enumerate((128, 128, 128, 128, 8, 128, 128, 128, 128), start=1):
        x = net.dense(x, f"dense{index}", width)
    return net.model("autoencoder", [net.dense(x, "reconstruction", 640, activation="none")])


def mobilenet_v1(
    *, alpha: float = 1.0, resolution: int = 224, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """MobileNet v1 (Howard et al., 2017), widths as Keras applications rounds them."""
    net = NetworkBuilder("image", (1, 3, resolution, resolution), seed=seed)
    x = net.conv("image", "conv1", int(32 * alpha), kernel=3, stride=2, activation="relu6")
    widths = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
    for block, width in enumerate(widths, start=1):
        stride = 2 if block in (2, 4, 6, 12) else 1
        x = net.conv(
            x,
            f"block{block}/depthwise",
            net.shape(x)[1],
            kernel=3,
            stride=stride,
            depthwise=True,
            activation="relu6",
        )
        x = net.conv(x, f"block{block}/pointwise", int(width * alpha), activation="relu6")
    x = net.global_average(x, "pool")
    x = net.dense(x, "logits", classes, activation="none", gain=_THOUSAND_LOGITS_GAIN)
    return net.model("mobilenet-v1", [net.softmax(x, "probabilities")])


def mobilenet_v2(
    *, alpha: float = 1.0, resolution: int = 224, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """MobileNet v2 (Sandler et al., 2018), widths as Keras applications rounds them."""
    net = NetworkBuilder("image", (1, 3, resolution, resolution), seed=seed)
    x = net.conv("image", "conv1", _by_eight(32 * alpha), kernel=3, stride=2, activation="relu6")
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
              (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip
    block = 0
    for expansion, channels, repeats, first_stride in stages:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            x = _inverted_residual(
                net,
                x,
                f"block{block}",
                expansion=expansion,
                channels=_by_eight(channels * alpha),
                stride=stride,
            )
            block += 1
    last = _by_eight(1280 * alpha) if alpha > 1.0 else 1280
    x = net.conv(x, "conv_last", last, activation="relu6")
    x = net.global_average(x, "pool")
    x = net.dense(x, "logits", classes, activation="none", gain=_THOUSAND_LOGITS_GAIN)
    return net.model("mobilenet-v2", [net.softmax(x, "probabilities")])


def _inverted_residual(
    net: NetworkBuilder, x: str, name: str, *, expansion: int, channels: int, stride: int
) -> str:
    before, y = net.shape(x)[1], x
    if expansion > 1:
        y = net.conv(y, f"{name}/expand", expansion * before, activation="relu6")
    y = net.conv(
        y,
        f"{name}/depthwise",
        expansion * before,
        kernel=3,
        stride=stride,
        depthwise=True,
        activation="relu6",
    )
    residual = stride == 1 and before == channels
    gain = _BRANCH_GAIN if residual else 1.0
    y = net.conv(y, f"{name}/project", channels, activation="none", gain=gain)
    return net.add(x, y, f"{name}/add") if residual else y


def _by_eight(width: float) -> int:
    """The multiple of eight next to a width, never less than nine tenths of it."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


def squeezenet(*, resolution: int = 224, classes: int = 1000, seed: int = 0) -> onnx.ModelProto:
    """SqueezeNet v1.1 (Iandola et al., 2016)."""
    net = NetworkBuilder("image", (1, 3, resolution, resolution), seed=seed)
    x = net.conv("image", "conv1", 64, kernel=3, stride=2, padding="valid")
    squeezes = (16, 16, 32, 32, 48, 48, 64, 64)
    for index, squeeze in enumerate(squeezes, start=2):
        if index in (2, 4, 6):
            x = net.max_pool(x, f"pool{index}", kernel=3, stride=2)
        y = net.conv(x, f"fire{index}/squeeze", squeeze)
        parts = [
            net.conv(y, f"fire{index}/expand1", 4 * squeeze),
            net.conv(y, f"fire{index}/expand3", 4 * squeeze, kernel=3),
        ]
        x = net.concat(parts, f"fire{index}/concat")
    x = net.conv(x, "conv10", classes, gain=_LOGIT_GAIN)
    x = net.global_average(x, "pool")
    return net.model("squeezenet", [net.softmax(x, "probabilities")])


def yolo_tiny(
    *, width: float = 0.5, resolution: int = 192, classes: int = 20, seed: int = 0
) -> onnx.ModelProto:
    """Topology of YOLOv3-tiny (Redmon and Farhadi, 2018), narrower and with ReLU.

    Two heads with three boxes each; the fine one sees upsampled coarse features beside its own.
    """
    net = NetworkBuilder("image", (1, 3, resolution, resolution), seed=seed)
    x, fine = "image", ""
    for index, channels in enumerate((16, 32, 64, 128, 256, 512), start=1):
        x = net.conv(x, f"conv{index}", int(channels * width), kernel=3)
        if channels == 256:
            fine = x
        last = channels == 512
        x = net.max_pool(x, f"pool{index}", kernel=2, stride=1 if last else 2, pad_end=int(last))
    x = net.conv(x, "conv7", int(1024 * width), kernel=3)
    neck = net.conv(x, "neck", int(256 * width))
    head_channels = 3 * (5 + classes)
    coarse = net.conv(neck, "coarse/conv", int(512 * width), kernel=3)
    coarse = net.conv(coarse, "coarse/boxes", head_channels, activation="none")
    up = net.upsample(net.conv(neck, "fine/reduce", int(128 * width)), "fine/upsample")
    x = net.concat([up, fine], "fine/concat")
    x = net.conv(x, "fine/conv", int(256 * width), kernel=3)
    x = net.conv(x, "fine/boxes", head_channels, activation="none")
    return net.model("yolo-tiny", [coarse, x])
