"""Where the resident weights of a plan go, when the chip has no room for all of them."""

from __future__ import annotations

from collections.abc import Sequence

from npu_tune.targets.neural_art.compiler.choice import RESIDENT, STREAM, Choice
from npu_tune.targets.neural_art.compiler.scheduler import Scheduler
from npu_tune.targets.neural_art.hardware import PoolKind
from npu_tune.targets.neural_art.plan.layers import LayerChoices


def with_room(
    choices: Sequence[Choice], scheduler: Scheduler, layers: LayerChoices, *, needs: int
) -> list[Choice]:
    """The choices with weights outside the chip, or in flash, where they do not fit beside maps.

    Weights that are read most often for their size stay on the chip. Outside they still come
    faster than from flash, where external RAM is offered at all.

    Args:
        choices: one per operation.
        scheduler: of the network.
        layers: what they may choose.
        needs: bytes of maps in use at one time.
    """
    room = sum(pool.size_bytes for pool in scheduler.hardware.internal) - needs
    demands = {
        position: scheduler.option(position, choice).demand
        for position, choice in enumerate(choices)
        if choice.weights == RESIDENT
    }
    found = list(choices)
    for position in sorted(
        demands, key=lambda p: (-demands[p].taken / max(1, demands[p].resident), p)
    ):
        size = demands[position].resident
        if size <= room:
            room -= size
        elif layers.offers(position, "weights_pool", str(PoolKind.EXTERNAL)):
            found[position] = found[position]._replace(weights_pool=str(PoolKind.EXTERNAL))
        else:
            found[position] = found[position]._replace(weights=STREAM)
    return found
