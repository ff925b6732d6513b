"""The networks that a process keeps ready."""

from __future__ import annotations

import weakref

import pytest

from npu_tune.network.zoo import zoo_network
from npu_tune.targets.ethos_u.cores import CORES_KEPT, core_for


@pytest.fixture(scope="module")
def networks():
    names = ("autoencoder", "ds-cnn", "resnet8")
    return [zoo_network(name, format="tflite") for name in names]


def test_a_network_is_read_once(u55, resnet8):
    assert core_for(u55, resnet8) is core_for(u55, resnet8)


def test_the_network_used_longest_ago_makes_room_and_leaves_no_memory_behind(u55, networks):
    assert len(networks) == CORES_KEPT + 1
    graph = weakref.ref(core_for(u55, networks[0])._session.graph)
    for network in networks[1:]:
        core_for(u55, network)
    assert graph() is None
