from __future__ import annotations

import pytest
from ncnn_cases import NcnnCase, convolutions, network_of

from npu_tune.targets.ncnn.plan import (
    BF16,
    CHAINED,
    FLOAT,
    INT8,
    chainable,
    range_owners,
    resolve,
)


@pytest.fixture(scope="module")
def case():
    return NcnnCase(convolutions())


def test_a_result_stays_in_int8_where_every_reader_is_a_convolution_in_int8(case):
    chosen = {**dict.fromkeys(case.program.products, FLOAT), "c2": CHAINED, "c3": INT8}
    assert resolve(case.program, chosen)["c2"] == CHAINED


@pytest.mark.parametrize("reader", [FLOAT, BF16])
def test_a_result_that_is_read_in_float_does_not(case, reader):
    chosen = {**dict.fromkeys(case.program.products, FLOAT), "c2": CHAINED, "c3": reader}
    assert resolve(case.program, chosen)["c2"] == INT8


def test_a_result_that_something_else_reads_too_does_not(case):
    chosen = dict.fromkeys(case.program.products, CHAINED)
    assert resolve(case.program, chosen)["c1"] == INT8


def test_nothing_is_handed_in_int8_from_one_device_to_the_other(case):
    chosen = dict.fromkeys(case.program.products, CHAINED)
    assert resolve(case.program, chosen, apart={"c2"})["c2"] == INT8
    assert resolve(case.program, chosen, apart={"c3"})["c2"] == INT8
    assert resolve(case.program, chosen, apart={"c1"})["c2"] == CHAINED


def test_layers_that_can_be_chained_are_known_before_anything_is_chosen(case):
    assert chainable(case.program) == {"c2", "c3"}


def test_an_output_of_the_network_is_never_left_in_int8():
    nodes = "y = Conv(x, w) z = Conv(y, v)"
    network = network_of(nodes, {"w": (8, 6, 1, 1), "v": (8, 8, 1, 1)}, outputs="float y, float z")
    assert chainable(NcnnCase(network).program) == frozenset()


def test_the_first_reader_in_int8_decides_the_range_of_a_tensor():
    nodes = "a = Conv(x, w) b = Conv(x, v) y = Add(a, b)"
    program = NcnnCase(network_of(nodes, {"w": (8, 6, 1, 1), "v": (8, 6, 1, 1)})).program
    first, second = program.products
    assert range_owners(program, {first: INT8, second: INT8}) == {"x": first}
    assert range_owners(program, {first: FLOAT, second: INT8}) == {"x": second}
    assert range_owners(program, {first: FLOAT, second: BF16}) == {}
