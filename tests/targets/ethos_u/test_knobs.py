from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from npu_tune.targets.ethos_u.knobs import block_text, parse_block, plan_of
from npu_tune.targets.ethos_u.plan import UNBUFFERED, WHOLE, NetworkPlan, OperatorPlan


@given(st.tuples(st.integers(1, 128), st.integers(1, 128), st.integers(1, 256)))
def test_a_block_survives_its_text(block):
    assert parse_block(block_text(block)) == block


def test_values_left_at_auto_ask_nothing_of_vela():
    assert (
        plan_of({"network/arena_limit": "auto", "conv/ofm_block": "auto"}, ["conv"])
        == NetworkPlan()
    )


def test_each_knob_becomes_its_part_of_the_plan():
    plan = plan_of(
        {
            "network/strategy": "Size",
            "network/arena_limit": 4096,
            "network/tensor_allocator": "Greedy",
            "a/conv/ofm_block": "2x8x16",
            "a/conv/traversal": "part-kernel-first",
            "a/conv/cascade": "join",
            "a/conv/weight_buffer": "double-32",
            "b/stripe_height": 4,
            "b/weight_buffer": "single",
            "b/ofm_format": "NHWC",
            "c/cascade": "split",
            "c/weight_buffer": "none",
            "c/ofm_storage": "slow",
        },
        ["a/conv", "b", "c"],
    )
    assert plan == NetworkPlan(
        "Size",
        4096,
        "Greedy",
        {
            0: OperatorPlan(block=(2, 8, 16), part_kernel=True, cascade=True, weight_slices=32),
            1: OperatorPlan(stripe_height=4, weight_slices=WHOLE, linear_format=True),
            2: OperatorPlan(cascade=False, weight_slices=UNBUFFERED, slow_storage=True),
        },
    )


def test_the_default_is_the_first_value_or_auto(resnet8_problem):
    for knob in resnet8_problem.space.knobs:
        assert knob.default in {"auto", "Performance", "HillClimb"}
        assert len(knob.values) > 1 or knob.name == "arena_limit"
