from __future__ import annotations

import dataclasses
import pickle

import pytest
from fake_targets import LayeredTarget, Wrapped, fake_network

from npu_tune.errors import ExecutorError
from npu_tune.tuning.executors.payload import pack


def test_read_only_attributes_of_layers_survive_the_journey():
    network = fake_network()

    _, blob = pickle.loads(pack(LayeredTarget(), network))  # noqa: S301 - made here
    target, arrived = pickle.loads(blob)  # noqa: S301 - made here

    assert target == LayeredTarget()
    assert arrived.digest == network.digest
    assert dict(arrived.layers[0].attributes) == {"stride": 1}


def test_a_target_that_cannot_travel_is_refused_with_the_reason():
    @dataclasses.dataclass(frozen=True)
    class Local(Wrapped):
        pass

    with pytest.raises(ExecutorError, match="'fake-npu' cannot be sent"):
        pack(Local(), fake_network())
