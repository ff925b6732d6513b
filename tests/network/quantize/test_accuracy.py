from __future__ import annotations

from dataclasses import replace

import pytest

from npu_tune.errors import ConversionError
from npu_tune.network.quantize.accuracy import (
    ConversionCheck,
    OutputCheck,
    WorstLayer,
    require_accurate,
)
from npu_tune.network.quantize.noise import Noise


def _noise(decibels: float) -> Noise:
    return Noise(10.0 ** (decibels / 10.0), 1.0)


def _worst(
    before: float,
    after: float,
    rounded: float,
    *,
    whole: float | None = None,
    layers: tuple[tuple[str, str], ...] = (("a", "Conv"),),
) -> WorstLayer:
    return WorstLayer(
        layers=layers,
        tensor="a",
        before=_noise(before),
        after=_noise(after),
        whole=_noise(after if whole is None else whole),
        rounded=_noise(rounded),
        typical_steps=0.25,
        reach=(-1.0, 800.0),
    )


@pytest.mark.parametrize(
    ("before", "after", "rounded", "whole", "cause"),
    [
        (40.0, 5.0, 5.0, 5.0, "activations"),
        (40.0, 5.0, 40.0, 5.0, "weights"),
        (19.0, 18.0, 30.0, 17.0, "many layers"),
        (40.0, -30.0, -10.0, -60.0, "activations"),
        (30.0, 10.0, 14.0, 10.0, "weights"),
        (30.0, 10.0, 12.0, 10.0, "activations"),
    ],
)
def test_the_cause_is_what_explains_half_of_the_loss(before, after, rounded, whole, cause):
    assert _worst(before, after, rounded, whole=whole).cause == cause


def test_the_sentence_says_what_the_steps_reach_and_how_few_the_values_use():
    text = str(_worst(40.0, 5.0, 5.0))
    assert "in the layer 'a' (Conv)" in text
    assert "5.0 dB, without that 40.0 dB" in text
    assert "reach from -1 to 800" in text
    assert "lie within 0.25 steps of it" in text


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ((), "the input 'a'"),
        ((("p", "Conv"), ("q", "Relu")), "the layers 'p' (Conv) and 'q' (Relu)"),
        (tuple((name, "Add") for name in "pqrs"), "the layers 'p' (Add) to 's' (Add)"),
    ],
)
def test_layers_that_are_one_in_int8_are_named_together(layers, named):
    assert named in str(_worst(40.0, 5.0, 5.0, layers=layers))


def test_an_input_at_fault_has_nothing_before_it_that_loses():
    worst = replace(_worst(40.0, 5.0, 5.0, layers=()), before=Noise())
    assert "without that nothing is lost" in str(worst)


def _check(*rows: tuple[str, float]) -> ConversionCheck:
    return ConversionCheck(tuple(OutputCheck("y", inputs, 4, db) for inputs, db in rows))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rows", "passed"),
    [
        ([("seeded", 20.0)], True),
        ([("seeded", 19.99)], False),
        ([("given", 25.0), ("seeded", 3.0)], True),
        ([("given", 3.0), ("seeded", 25.0)], False),
        ([("seeded", 40.0), ("seeded", 3.0)], False),
    ],
)
def test_every_output_must_keep_20_db_on_the_inputs_that_decide(rows, passed):
    check = _check(*rows)
    assert check.passed is passed
    if passed:
        require_accurate(check, "net")
    else:
        with pytest.raises(ConversionError, match="'net'"):
            require_accurate(check, "net")


def test_the_document_has_every_output_on_all_inputs():
    assert _check(("given", 25.123), ("seeded", 3.0)).to_dict() == {
        "least_decibels": 20.0,
        "outputs": [
            {"output": "y", "inputs": "given", "samples": 4, "decibels": 25.12},
            {"output": "y", "inputs": "seeded", "samples": 4, "decibels": 3.0},
        ],
    }
