"""How much RAM the built-in networks are given against what is in use at one time."""

from __future__ import annotations

from statistics import median

import pytest

from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target

NETWORKS = (
    "resnet8",
    "resnet32",
    "ds-cnn",
    "autoencoder",
    "st-mnist",
    "mobilenet-v1-0.25-96",
    "mobilenet-v1-0.5-128",
    "mobilenet-v1-1.0-96",
    "mobilenet-v2-0.35-224",
    "mobilenet-v2-0.5-96",
    "mobilenet-v2-1.0-128",
    "fd-mobilenet-0.25-224",
    "fd-mobilenet-1.0-96",
    "st-fd-mobilenet-128",
    "efficientnet-v2-b0-96",
    "squeezenet-128",
    "yolo-tiny",
)
"""One or more of every topology, in sizes that are made quickly."""


@pytest.fixture(scope="module")
def networks():
    return [zoo_network(name) for name in NETWORKS]


@pytest.mark.parametrize("placement", ["ping_pong", "by_size"])
def test_the_median_network_is_given_little_more_than_is_in_use_at_one_time(networks, placement):
    target = load_target("neural-art-stm32n6", {})
    ratios = []
    for network in networks:
        with target.bind(network) as problem:
            chosen = problem.space.default.replace({"network/placement": placement})
            found = problem.evaluate(chosen)
        ratios.append(found.metrics["ram_bytes"] / found.metrics["peak_live_bytes"])
    assert min(ratios) >= 1.0
    assert median(ratios) <= 1.05
