from __future__ import annotations

import numpy as np
import pytest
from ethosu.vela.tensor import Tensor
from vela_operators import NETWORKS, one_operator

from npu_tune.targets.ethos_u.compiler.one_element import (
    OneElementArray,
    one_element_arrays_are_numbers,
)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_operator_of_vela_compiles_for_the_npu(u55, tmp_path, name):
    with u55.bind(one_operator(name)) as problem:
        npu, cpu = problem.operators()
        evaluation = problem.evaluate(problem.space.default)
        artifact = problem.build(problem.space.default, tmp_path)
    assert npu
    assert not cpu
    assert evaluation.metrics["npu_share"] == 1
    assert artifact.evaluation == evaluation
    assert b"ethos-u" in artifact.files["model"].read_bytes()


def test_operators_with_an_axis_cost_the_same_in_whichever_form_the_axis_is_written(u55):
    for kind in ("SPLIT", "SPLIT_V", "ARG_MAX"):
        found = []
        for name in (kind, f"{kind}, axis of shape [1]"):
            with u55.bind(one_operator(name)) as problem:
                found.append(problem.evaluate(problem.space.default).metrics)
        assert found[0]["cycles"] == found[1]["cycles"] > 0


@pytest.mark.parametrize("values", [[3], [[3]], [[[3.0]]]])
def test_a_constant_of_one_element_is_a_number_and_so_is_what_is_made_of_it(values):
    tensor = Tensor([1], None, "constant")
    with one_element_arrays_are_numbers():
        tensor.values = np.array(values)
        assert int(tensor.values) == 3
        assert float(tensor.values - 1) == 2
        assert int(tensor.values.reshape(1, 1)) == 3
        assert np.array_equal(tensor.values, values)
    assert int(tensor.values) == 3


def test_more_than_one_element_is_no_number():
    several = np.array([1, 2]).view(OneElementArray)
    with pytest.raises(TypeError):
        int(several)
    with pytest.raises(TypeError):
        float(several)


def test_vela_is_left_as_it_was():
    before = Tensor.values
    with one_element_arrays_are_numbers():
        assert Tensor.values is not before
    assert Tensor.values is before
    tensor = Tensor([1], None, "constant")
    tensor.values = np.array([3])
    assert type(tensor.values) is np.ndarray
