"""The zoo against the networks of ST's public model zoo."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import pytest

from npu_tune.network import Layer, Network, zoo_network
from npu_tune.network.macs import layer_macs


class Published(NamedTuple):
    """What a network of ST's model zoo consists of.

    Multiply-accumulates of full and of depthwise convolutions, and of dense layers together with
    squeeze-and-excite; weights; parameters a training framework trains; layers of each kind;
    int8 bytes that the layer with the largest feature maps reads and writes.
    """

    macs_full: int
    macs_depthwise: int
    macs_dense: int
    weights: int
    trainable: int
    full: int
    depthwise: int
    dense: int
    additions: int
    largest_bytes: int


# Counted on the layers of the topologies that ST's public model zoo deploys on STM32N6: the Keras
# applications MobileNet, MobileNetV2 and EfficientNetV2B0 with heads for other classes, ST's own
# scripts for FD-MobileNet v1, SqueezeNet v1.1, ResNet v1 and its digit reader, and FD-MobileNet as
# trained with PyTorch.
PUBLISHED = {
    "mobilenet-v1-0.25-224-c101": Published(
        36_427_776, 4_346_496, 25_856, 233_456, 239_029, 14, 13, 1, 0, 301_056
    ),
    "mobilenet-v1-0.25-224": Published(
        36_427_776, 4_346_496, 256_000, 463_600, 470_072, 14, 13, 1, 0, 301_056
    ),
    "mobilenet-v1-0.25-224-c5": Published(
        36_427_776, 4_346_496, 1280, 208_880, 214_357, 14, 13, 1, 0, 301_056
    ),
    "mobilenet-v1-0.5-224-c101": Published(
        140_292_096, 8_692_992, 51_712, 859_360, 870_405, 14, 13, 1, 0, 602_112
    ),
    "mobilenet-v1-0.5-224": Published(
        140_292_096, 8_692_992, 512_000, 1_319_648, 1_331_592, 14, 13, 1, 0, 602_112
    ),
    "mobilenet-v1-0.5-224-c5": Published(
        140_292_096, 8_692_992, 2560, 810_208, 821_157, 14, 13, 1, 0, 602_112
    ),
    "mobilenet-v1-1.0-224-c101": Published(
        550_330_368, 17_385_984, 103_424, 3_288_512, 3_310_501, 14, 13, 1, 0, 1_204_224
    ),
    "mobilenet-v1-1.0-224": Published(
        550_330_368, 17_385_984, 1_024_000, 4_209_088, 4_231_976, 14, 13, 1, 0, 1_204_224
    ),
    "mobilenet-v1-1.0-224-c5": Published(
        550_330_368, 17_385_984, 5120, 3_190_208, 3_212_101, 14, 13, 1, 0, 1_204_224
    ),
    "mobilenet-v1-0.25-96-c5": Published(
        6_690_816, 798_336, 1280, 208_880, 214_357, 14, 13, 1, 0, 55_296
    ),
    "mobilenet-v1-0.25-96-gray-c5": Published(
        6_359_040, 798_336, 1280, 208_736, 214_213, 14, 13, 1, 0, 55_296
    ),
    "mobilenet-v2-0.35-128-c101": Published(
        16_132_096, 2_808_576, 129_280, 511_328, 525_509, 35, 17, 1, 10, 245_760
    ),
    "mobilenet-v2-0.35-128": Published(
        16_132_096, 2_808_576, 1_280_000, 1_662_048, 1_677_128, 35, 17, 1, 10, 245_760
    ),
    "mobilenet-v2-0.35-128-c5": Published(
        16_132_096, 2_808_576, 6400, 388_448, 402_533, 35, 17, 1, 10, 245_760
    ),
    "mobilenet-v2-0.35-128-c1": Published(
        16_132_096, 2_808_576, 1280, 383_328, 397_409, 35, 17, 1, 10, 245_760
    ),
    "mobilenet-v2-0.35-224-c101": Published(
        49_404_544, 8_601_264, 129_280, 511_328, 525_509, 35, 17, 1, 10, 752_640
    ),
    "mobilenet-v2-0.35-224": Published(
        49_404_544, 8_601_264, 1_280_000, 1_662_048, 1_677_128, 35, 17, 1, 10, 752_640
    ),
    "mobilenet-v2-0.35-224-c5": Published(
        49_404_544, 8_601_264, 6400, 388_448, 402_533, 35, 17, 1, 10, 752_640
    ),
    "mobilenet-v2-0.35-224-c1": Published(
        49_404_544, 8_601_264, 1280, 383_328, 397_409, 35, 17, 1, 10, 752_640
    ),
    "mobilenet-v2-1.0-224-c101": Published(
        278_777_856, 20_716_416, 129_280, 2_319_040, 2_353_253, 35, 17, 1, 10, 1_505_280
    ),
    "mobilenet-v2-1.0-224": Published(
        278_777_856, 20_716_416, 1_280_000, 3_469_760, 3_504_872, 35, 17, 1, 10, 1_505_280
    ),
    "mobilenet-v2-1.4-224-c101": Published(
        550_832_128, 29_571_696, 180_992, 4_448_832, 4_496_869, 35, 17, 1, 10, 2_257_920
    ),
    "mobilenet-v2-1.4-224": Published(
        550_832_128, 29_571_696, 1_792_000, 6_059_840, 6_108_776, 35, 17, 1, 10, 2_257_920
    ),
    "st-fd-mobilenet-128": Published(
        7_340_032, 635_904, 25_856, 163_872, 167_509, 12, 11, 1, 0, 114_688
    ),
    "squeezenet-128-c101": Published(82_625_728, 0, 0, 771_264, 774_309, 26, 0, 0, 0, 303_168),
    "st-fd-mobilenet-128-c5": Published(
        7_340_032, 635_904, 1280, 139_296, 142_837, 12, 11, 1, 0, 114_688
    ),
    "squeezenet-128-c5": Published(80_217_280, 0, 0, 722_112, 725_061, 26, 0, 0, 0, 303_168),
    "st-fd-mobilenet-224": Published(
        22_478_848, 1_947_456, 25_856, 163_872, 167_509, 12, 11, 1, 0, 351_232
    ),
    "squeezenet-224-c101": Published(271_363_264, 0, 0, 771_264, 774_309, 26, 0, 0, 0, 939_072),
    "st-fd-mobilenet-224-c5": Published(
        22_478_848, 1_947_456, 1280, 139_296, 142_837, 12, 11, 1, 0, 351_232
    ),
    "squeezenet-224-c5": Published(263_056_576, 0, 0, 722_112, 725_061, 26, 0, 0, 0, 939_072),
    "efficientnet-v2-b0-224-c101": Published(
        704_471_040, 11_303_712, 1_160_704, 5_913_856, 5_988_085, 43, 16, 1, 15, 602_112
    ),
    "efficientnet-v2-b0-224": Published(
        704_471_040, 11_303_712, 2_311_424, 7_064_576, 7_139_704, 43, 16, 1, 15, 602_112
    ),
    "resnet8": Published(12_500_992, 0, 640, 77_360, 78_186, 9, 0, 1, 3, 49_152),
    "resnet32": Published(69_124_096, 0, 6400, 470_192, 473_796, 33, 0, 1, 15, 49_152),
    "st-mnist": Published(1_031_744, 42_336, 2304, 9536, 10_052, 3, 2, 1, 0, 9408),
    "fd-mobilenet-0.25-224": Published(
        10_737_664, 1_044_288, 256_000, 378_224, 383_160, 12, 11, 1, 0, 250_880
    ),
    "fd-mobilenet-0.5-224": Published(
        37_531_648, 2_088_576, 512_000, 985_056, 993_928, 12, 11, 1, 0, 351_232
    ),
    "fd-mobilenet-0.75-224": Published(
        80_381_952, 3_132_864, 768_000, 1_820_496, 1_833_304, 12, 11, 1, 0, 451_584
    ),
    "squeezenet-v1.0": Published(818_924_576, 0, 0, 1_244_448, 1_248_424, 26, 0, 0, 0, 1_291_104),
}


def _kind(layer: Layer) -> str:
    if layer.op == "Conv" and layer.attributes.get("group", 1) > 1:
        return "depthwise"
    if layer.op == "Gemm" or layer.name.endswith(("/reduce/linear", "/excite/linear")):
        return "dense"
    return {"Conv": "full", "Add": "addition"}.get(layer.op, "other")


def _weights(network: Network, layer: Layer) -> int:
    kernels = layer.op in ("Conv", "Gemm")
    return math.prod(network.tensors[layer.inputs[1]].shape) if kernels else 0


def _trainable(network: Network, layer: Layer) -> int:
    """Weights, biases, and scale and shift of a batch normalization that counts as folded here.

    ST's scripts give some normalized convolutions a bias too. SqueezeNet, shortcuts, heads,
    squeeze-and-excite and the depthwise convolutions of ST's FD-MobileNet have biases only.
    """
    if layer.op not in ("Conv", "Gemm"):
        return 0
    channels = network.tensors[layer.inputs[1]].shape[0]
    plain = network.name.startswith("squeezenet") or layer.name.endswith("/shortcut")
    plain |= network.name.startswith("st-fd") and _kind(layer) == "depthwise"
    if plain or _kind(layer) == "dense":
        per_channel = 1
    else:
        per_channel = 3 if network.name in ("resnet8", "resnet32", "st-mnist") else 2
    return _weights(network, layer) + per_channel * channels


def _largest_bytes(network: Network) -> int:
    """Of the layers with weights and the additions, activations counted into them."""

    def elements(names: tuple[str, ...]) -> int:
        tensors = [network.tensors[name] for name in names]
        return sum(tensor.elements for tensor in tensors if tensor.data is None)

    return max(
        elements(layer.inputs) + elements(layer.outputs)
        for layer in network.layers
        if layer.op in ("Conv", "Gemm", "Add")
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_has_the_published_layers_work_and_parameters(name: str) -> None:
    network = zoo_network(name)
    layers = network.layers
    macs: Counter[str] = Counter()
    for layer in layers:
        macs[_kind(layer)] += layer_macs(network, layer)
    kinds = Counter(_kind(layer) for layer in layers)
    gates = sum(layer.name.endswith(("/reduce/linear", "/excite/linear")) for layer in layers)
    counted = Published(
        macs["full"],
        macs["depthwise"],
        macs["dense"],
        sum(_weights(network, layer) for layer in layers),
        sum(_trainable(network, layer) for layer in layers),
        kinds["full"],
        kinds["depthwise"],
        kinds["dense"] - gates,
        kinds["addition"],
        _largest_bytes(network),
    )
    assert counted._asdict() == PUBLISHED[name]._asdict()
