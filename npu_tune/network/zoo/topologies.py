"""The topologies of the zoo, after their publications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npu_tune.network.zoo.blocks import BRANCH_GAIN, project
from npu_tune.network.zoo.builder import Activation, NetworkBuilder

if TYPE_CHECKING:
    import onnx

_LOGIT_GAIN = 3.0
"""Gain of the last layer, with which softmax prefers some classes, as in a trained network."""
_THOUSAND_LOGITS_GAIN = 8.0
"""Gain for a thousand classes, whose probabilities would otherwise all be below 1/256."""
_MANY_CLASSES = 256
"""Number of classes from which the larger gain is used."""


def classify(net: NetworkBuilder, x: str, name: str, classes: int) -> onnx.ModelProto:
    """Ends a classifier: global average, a dense layer, and probabilities.

    A single class gets a sigmoid in place of the softmax.
    """
    x = net.global_average(x, "pool")
    gain = _LOGIT_GAIN if classes < _MANY_CLASSES else _THOUSAND_LOGITS_GAIN
    x = net.dense(x, "logits", classes, activation="none", gain=gain)
    return net.model(name, [_probabilities(net, x, classes)])


def _probabilities(net: NetworkBuilder, logits: str, classes: int) -> str:
    return (net.sigmoid if classes == 1 else net.softmax)(logits, "probabilities")


def resnet8(*, classes: int = 10, seed: int = 0) -> onnx.ModelProto:
    """ResNet v1 of depth 8 for 32 x 32 images, as in the MLPerf Tiny benchmark."""
    net = NetworkBuilder("image", (1, 3, 32, 32), seed=seed)
    x = net.conv("image", "conv1", 16, kernel=3)
    for stage, channels in enumerate((16, 32, 64), start=1):
        x = _residual(net, x, f"stage{stage}", channels, stride=1 if stage == 1 else 2)
    return classify(net, x, "resnet8", classes)


def resnet32(*, classes: int = 100, seed: int = 0) -> onnx.ModelProto:
    """ResNet v1 of depth 32 for 32 x 32 images (He et al., 2015), with projection shortcuts."""
    net = NetworkBuilder("image", (1, 3, 32, 32), seed=seed)
    x = net.conv("image", "conv1", 16, kernel=3)
    for stage, channels in enumerate((16, 32, 64), start=1):
        for block in range(1, 6):
            stride = 2 if stage > 1 and block == 1 else 1
            name = f"stage{stage}/block{block}"
            x = _residual(net, x, name, channels, stride=stride, gain=BRANCH_GAIN)
    return classify(net, x, "resnet32", classes)


def _residual(
    net: NetworkBuilder, x: str, name: str, channels: int, *, stride: int, gain: float = 1.0
) -> str:
    y = net.conv(x, f"{name}/conv1", channels, kernel=3, stride=stride)
    y = net.conv(y, f"{name}/conv2", channels, kernel=3, activation="none", gain=gain)
    if stride > 1:
        x = net.conv(x, f"{name}/shortcut", channels, stride=2, activation="none")
    return net.add(x, y, f"{name}/add", activation="relu")


def ds_cnn(*, classes: int = 12, seed: int = 0) -> onnx.ModelProto:
    """Depthwise-separable keyword spotter of the MLPerf Tiny benchmark: 49 x 10 features."""
    net = NetworkBuilder("features", (1, 1, 49, 10), seed=seed)
    x = net.conv("features", "conv1", 64, kernel=(10, 4), stride=2)
    for block in range(1, 5):
        x = net.conv(x, f"block{block}/depthwise", 64, kernel=3, depthwise=True)
        x = net.conv(x, f"block{block}/pointwise", 64)
    return classify(net, x, "ds-cnn", classes)


def autoencoder(*, seed: int = 0) -> onnx.ModelProto:
    """Anomaly detector of the MLPerf Tiny benchmark: 640 features through a waist of 8."""
    net = NetworkBuilder("features", (1, 640), seed=seed)
    x = "features"
    for index, width in enumerate((128, 128, 128, 128, 8, 128, 128, 128, 128), start=1):
        x = net.dense(x, f"dense{index}", width)
    return net.model("autoencoder", [net.dense(x, "reconstruction", 640, activation="none")])


def mobilenet_v1(
    *,
    alpha: float = 1.0,
    resolution: int = 224,
    channels: int = 3,
    classes: int = 1000,
    seed: int = 0,
) -> onnx.ModelProto:
    """MobileNet v1 (Howard et al., 2017), widths as Keras applications rounds them."""
    widths = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
    net = NetworkBuilder("image", (1, channels, resolution, resolution), seed=seed)
    scaled = [int(width * alpha) for width in (32, *widths)]
    x = _separable_blocks(net, scaled, halving=(2, 4, 6, 12), activation="relu6")
    return classify(net, x, "mobilenet-v1", classes)


_FD_WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 1024)
_FD_HALVING = (1, 2, 4, 6)


def fd_mobilenet(
    *,
    alpha: float = 1.0,
    resolution: int = 224,
    channels: int = 3,
    classes: int = 1000,
    seed: int = 0,
) -> onnx.ModelProto:
    """FD-MobileNet (Qin et al., 2018): MobileNet v1 that shrinks its input sooner."""
    net = NetworkBuilder("image", (1, channels, resolution, resolution), seed=seed)
    scaled = [int(width * alpha) for width in _FD_WIDTHS]
    x = _separable_blocks(net, scaled, halving=_FD_HALVING, activation="relu")
    return classify(net, x, "fd-mobilenet", classes)


def st_fd_mobilenet(
    *, resolution: int = 224, channels: int = 3, classes: int = 101, seed: int = 0
) -> onnx.ModelProto:
    """FD-MobileNet v1 of ST's model zoo: every block has a width multiplier of its own.

    Depthwise convolutions carry neither a batch normalization nor an activation.
    """
    alphas = (0.5, 0.75, 0.625, 0.5, 0.375, *[0.25] * 7)
    net = NetworkBuilder("image", (1, channels, resolution, resolution), seed=seed)
    scaled = [int(width * alpha) for width, alpha in zip(_FD_WIDTHS, alphas, strict=True)]
    x = _separable_blocks(
        net, scaled, halving=_FD_HALVING, activation="relu", depthwise_activation="none"
    )
    return classify(net, x, "st-fd-mobilenet", classes)


def _separable_blocks(
    net: NetworkBuilder,
    widths: list[int],
    *,
    halving: tuple[int, ...],
    activation: Activation,
    depthwise_activation: Activation | None = None,
) -> str:
    """A convolution of stride two, then a depthwise and a pointwise one per further width."""
    x = net.conv("image", "conv1", widths[0], kernel=3, stride=2, activation=activation)
    for block, width in enumerate(widths[1:], start=1):
        x = net.conv(
            x,
            f"block{block}/depthwise",
            net.shape(x)[1],
            kernel=3,
            stride=2 if block in halving else 1,
            depthwise=True,
            activation=depthwise_activation or activation,
        )
        x = net.conv(x, f"block{block}/pointwise", width, activation=activation)
    return x


def st_mnist(*, classes: int = 36, seed: int = 0) -> onnx.ModelProto:
    """Reader of handwritten digits and letters of ST's model zoo: 28 x 28, grey."""
    net = NetworkBuilder("image", (1, 1, 28, 28), seed=seed)
    x = net.conv("image", "conv1", 16, kernel=3, stride=2)
    x = net.conv(x, "depthwise1", 16, kernel=3, depthwise=True)
    x = net.conv(x, "conv2", 32, kernel=3)
    x = net.conv(x, "depthwise2", 32, kernel=3, stride=2, depthwise=True)
    x = net.conv(x, "conv3", 64)
    return classify(net, x, "st-mnist", classes)


def mobilenet_v2(
    *,
    alpha: float = 1.0,
    resolution: int = 224,
    channels: int = 3,
    classes: int = 1000,
    seed: int = 0,
) -> onnx.ModelProto:
    """MobileNet v2 (Sandler et al., 2018), widths as Keras applications rounds them."""
    net = NetworkBuilder("image", (1, channels, resolution, resolution), seed=seed)
    x = net.conv(
        "image", "conv1", _round_to_eight(32 * alpha), kernel=3, stride=2, activation="relu6"
    )
    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
              (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip
    block = 0
    for expansion, width, repeats, first_stride in stages:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            x = _inverted_residual(
                net,
                x,
                f"block{block}",
                expansion=expansion,
                channels=_round_to_eight(width * alpha),
                stride=stride,
            )
            block += 1
    last = _round_to_eight(1280 * alpha) if alpha > 1.0 else 1280
    x = net.conv(x, "conv_last", last, activation="relu6")
    return classify(net, x, "mobilenet-v2", classes)


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
    return project(net, x, y, name, channels=channels, stride=stride, gain=1.0)


def _round_to_eight(width: float) -> int:
    """Rounds a width to a multiple of eight, but not below nine tenths of it."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


def squeezenet(
    *, resolution: int = 224, channels: int = 3, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """SqueezeNet v1.1 (Iandola et al., 2016)."""
    net = NetworkBuilder("image", (1, channels, resolution, resolution), seed=seed)
    x = net.conv("image", "conv1", 64, kernel=3, stride=2, padding="valid")
    return fire_modules(net, x, "squeezenet", classes, pools=(2, 4, 6))


def fire_modules(
    net: NetworkBuilder, x: str, name: str, classes: int, *, pools: tuple[int, ...], pad: int = 0
) -> onnx.ModelProto:
    """The rest of a SqueezeNet behind its first convolution.

    Args:
        net: that is built.
        x: output of the first convolution.
        name: of the network.
        classes: number of classes.
        pools: modules, counted from 2 on as in the publication, that a max pool stands before.
        pad: rows and columns behind the input of a pool whose windows would not cover it.
    """
    squeezes = (16, 16, 32, 32, 48, 48, 64, 64)
    for index, squeeze in enumerate(squeezes, start=2):
        if index in pools:
            odd = net.shape(x)[2] % 2
            x = net.max_pool(x, f"pool{index}", kernel=3, stride=2, pad_end=0 if odd else pad)
        y = net.conv(x, f"fire{index}/squeeze", squeeze)
        parts = [
            net.conv(y, f"fire{index}/expand1", 4 * squeeze),
            net.conv(y, f"fire{index}/expand3", 4 * squeeze, kernel=3),
        ]
        x = net.concat(parts, f"fire{index}/concat")
    x = net.conv(x, "conv10", classes, gain=_LOGIT_GAIN)
    x = net.global_average(x, "pool")
    return net.model(name, [_probabilities(net, x, classes)])


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
