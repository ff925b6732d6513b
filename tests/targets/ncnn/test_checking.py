from __future__ import annotations

from dataclasses import replace

import pytest
from ncnn_cases import CrashingEngine, NcnnCase, RefusingEngine, convolutions

from npu_tune.errors import ModelError
from npu_tune.targets.ncnn.checking import check_translation


@pytest.fixture(scope="module")
def case():
    return NcnnCase(convolutions())


def check(case, program=None, **how):
    check_translation(case.network, case.layered, program or case.program, case.feeds[0], **how)


def spoilt(program, name, **changes):
    """The program with one layer that is not as it should be."""
    layers = tuple(
        replace(each, **changes) if each.output == name else each for each in program.layers
    )
    return replace(program, layers=layers)


def test_a_right_translation_passes(case):
    check(case)


def test_the_first_tensor_that_differs_is_named(case):
    with pytest.raises(ModelError, match="dB against onnxruntime") as caught:
        check(case, spoilt(case.program, "p", parameters={0: 1, 1: 2, 2: 2}))
    assert caught.value.data["tensor"] == "p"
    assert "'p'" in caught.value.message
    assert "cpu-onnxruntime" in caught.value.remedy


def test_an_output_of_another_shape_is_an_error(case):
    ports = tuple(replace(port, shape=(1, 5, 2)) for port in case.program.outputs)
    with pytest.raises(ModelError, match="shape"):
        check(case, replace(case.program, outputs=ports))


def test_a_layer_that_ncnn_does_not_know_is_an_error(case):
    with pytest.raises(ModelError, match="does not load"):
        check(case, spoilt(case.program, "p", kind="NoSuchLayer"))


@pytest.mark.parametrize(
    ("engine", "said"), [(CrashingEngine(), "SIGSEGV"), (RefusingEngine(), "not for me")]
)
def test_a_library_that_fails_harms_its_own_process_alone(case, engine, said):
    with pytest.raises(ModelError, match=said):
        check(case, engine=engine)
