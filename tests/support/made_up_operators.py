"""Operators that no compiler made, for tests of the planners."""

from __future__ import annotations

import random

from npu_tune.targets.ethos_u.compiler.blocks import BlockCost
from npu_tune.targets.ethos_u.compiler.operators import Geometry, OperatorChoices
from npu_tune.targets.ethos_u.planner import Frame


def operator(
    name: str, *, rng: random.Random, height: int = 16, stride: int = 1
) -> OperatorChoices:
    """A convolution with a few blocks and some weights."""
    depth = rng.choice((16, 32, 64))
    elements = rng.choice((256, 1024, 8192))
    blocks = tuple(
        BlockCost(
            (rows, 4, 16),
            False,
            16,
            float(npu := rng.randrange(200, 2000)),
            (float(npu), 0.0, 0.0, float(elements * rng.randrange(1, 5))),
        )
        for rows in (1, 2, 4, 8)
    )
    return OperatorChoices(
        name=name,
        shape=(height, 16, depth),
        geometry=Geometry(
            ofm_row_bytes=16 * depth,
            kernel_rows=rng.choice((1, 3)),
            stride_rows=stride,
            resampled=False,
        ),
        vendor_block=(2, 4, 16),
        vendor_part_kernel=False,
        blocks=blocks,
        unit_height=1,
        vendor=BlockCost((2, 4, 16), False, 16, 2500.0, (2500.0, 0.0, 0.0, float(elements))),
        legal={False: frozenset(cost.block for cost in blocks), True: frozenset()},
        traversals=False,
        joins_next=True,
        stripe_heights=(1, 2, 4, 8),
        buffers_weights=True,
        formats=(),
        elementwise=False,
        spills=False,
        weight_transfer_cycles=float(rng.randrange(100, 4000)),
        weight_bytes=elements,
        weight_elements=elements,
    )


def chain(length: int, seed: int) -> list[OperatorChoices]:
    """Operators in a row; the last one joins nothing."""
    rng = random.Random(seed)
    made = [operator(f"layer{i}", rng=rng) for i in range(length)]
    last = made[-1]
    fields = {f: getattr(last, f) for f in last.__dataclass_fields__}
    return [*made[:-1], OperatorChoices(**{**fields, "joins_next": False})]


def frames(operators: list[OperatorChoices]) -> list[Frame]:
    """Each operator by itself, with nothing else in memory."""
    made = []
    for own in operators:
        height, width, depth = own.shape
        ofm = float(height * width * depth)
        ifm = ofm * own.geometry.stride_rows
        made.append(Frame(height, False, ifm + ofm, ifm, ofm))
    return made
