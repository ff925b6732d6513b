"""Where the resident weights of a plan go."""

from __future__ import annotations

import pytest

from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.compiler.choice import RESIDENT, STREAM
from npu_tune.targets.neural_art.compiler.rule import cost_rule
from npu_tune.targets.neural_art.plan.estimate import Estimator
from npu_tune.targets.neural_art.plan.layers import LayerChoices
from npu_tune.targets.neural_art.plan.residents import with_room


def planned(*, external_ram: bool, room: int):
    """All weights of a network resident, with so many bytes of room on the chip."""
    target = load_target("neural-art-stm32n6", {"external_ram": external_ram})
    with target.bind(zoo_network("ds-cnn", format="onnx")) as problem:
        compiler, default = problem.compiler, problem.space.default
        scheduler = compiler.scheduler(default)
        estimator = Estimator(scheduler.hardware, cost_rule(compiler.rule, scheduler.hardware))
        usual = compiler.choices(default)
        layers = LayerChoices(scheduler, problem.space, usual, estimator)
        asked = [
            choice._replace(weights=RESIDENT) if layers.offers(i, "weights", RESIDENT) else choice
            for i, choice in enumerate(usual)
        ]
        inside = sum(pool.size_bytes for pool in scheduler.hardware.internal)
        found = with_room(asked, scheduler, layers, needs=inside - room)
        sizes = [scheduler.option(i, c).demand.resident for i, c in enumerate(asked)]
        return asked, found, sizes


def test_weights_that_fit_stay_on_the_chip():
    asked, found, sizes = planned(external_ram=True, room=1 << 20)
    assert sum(sizes) < 1 << 20
    assert found == asked


@pytest.mark.parametrize("room", [0, 3000, 12_000])
def test_weights_without_room_go_outside_where_that_is_offered(room):
    asked, found, sizes = planned(external_ram=True, room=room)
    assert [choice.weights for choice in found] == [choice.weights for choice in asked]
    inside = [s for c, s in zip(found, sizes, strict=True) if s and c.weights_pool == "auto"]
    assert sum(inside) <= room
    assert any(choice.weights_pool == "external" for choice in found)


def test_weights_without_room_stay_in_flash_where_there_is_no_ram_outside():
    _, found, sizes = planned(external_ram=False, room=3000)
    kept = [s for c, s in zip(found, sizes, strict=True) if s and c.weights == RESIDENT]
    assert 0 < sum(kept) <= 3000
    assert any(choice.weights == STREAM for choice, size in zip(found, sizes, strict=True) if size)
