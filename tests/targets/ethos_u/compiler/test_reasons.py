from __future__ import annotations

import pytest
from vela_operators import SmallTflite

from npu_tune.errors import ModelError
from npu_tune.targets.ethos_u.compiler.reasons import CPU_ONLY, reason_in
from npu_tune.targets.ethos_u.family import EthosUFamily


def small_network(*kinds: str):
    """A RELU behind operators that Vela leaves on the CPU, or that alone."""
    file = SmallTflite()
    file.tensor("in", (1, 8, 8, 8))
    last = "in"
    for kind in kinds:
        name = kind.lower()
        if kind == "TRANSPOSE":
            file.numbers("order", (0, 2, 3, 1), (4,))
            file.tensor(name, (1, 8, 8, 8))
            file.operator(kind, [last, "order"], [name], "TransposeOptions")
        else:
            file.tensor(name, (1, 8, 8, 8))
            file.operator(kind, [last], [name])
        last = name
    return file.network("small", ["in"], [last])


def test_the_rule_and_what_breaks_it_stand_in_one_line():
    printed = (
        "Warning: MEAN 'm' is not supported on the NPU. Placing on CPU instead\n"
        " - Requirements for axis parameter:\n        When IFM tensor is 2D:\n"
        "          - Reduction in both axes is supported\n   Axis is [3]\n"
    )
    assert reason_in(printed) == (
        "Requirements for axis parameter: When IFM tensor is 2D: Reduction in both axes is "
        "supported; Axis is [3]"
    )
    assert reason_in("Info: FLOOR 'f' is a CPU only op\n") == CPU_ONLY
    assert reason_in("") == ""


def test_a_refused_network_names_its_operators_with_velas_reason(u55):
    with pytest.raises(ModelError) as caught:
        u55.bind(small_network("TRANSPOSE", "RELU"))
    (operator,) = caught.value.data["cpu_operators"]
    assert operator.startswith("Transpose transpose (The following shape/permutations")
    assert "permutation is: [0 2 3 1]" in operator
    assert operator in caught.value.message


def test_a_network_with_nothing_for_the_npu_is_refused_with_the_reason(u55):
    with pytest.raises(ModelError, match="Nothing would run on the NPU") as caught:
        u55.bind(small_network("FLOOR"))
    assert CPU_ONLY in caught.value.message


def test_operators_that_are_allowed_on_the_cpu_are_noted_with_the_reason():
    allowed = EthosUFamily().make("ethos-u55-128", {"allow_cpu": True})
    with allowed.bind(small_network("FLOOR", "RELU")) as problem:
        (note,) = problem.notes()
        assert note == f"on the CPU: Floor floor ({CPU_ONLY})"
        assert problem.evaluate(problem.space.default).notes == problem.notes()


def test_a_network_that_fits_has_no_notes(u55):
    with u55.bind(small_network("RELU")) as problem:
        assert problem.notes() == ()
