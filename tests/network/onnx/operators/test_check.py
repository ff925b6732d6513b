from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from onnx import defs, helper
from two_runtimes import onnx_model

from npu_tune.network.onnx.graph import OnnxGraph
from npu_tune.network.onnx.model import infer_shapes
from npu_tune.network.onnx.operators import OPERATORS, objection_to
from npu_tune.network.onnx.operators.check import Reader
from npu_tune.network.onnx.proto import OLDEST_OPSET, graph_from_onnx
from npu_tune.network.quantize.lower import SUPPORTED
from npu_tune.targets.neural_art.graph.from_onnx import HANDLERS


def schemas_in_force(op: str) -> Iterator[defs.OpSchema]:
    """ONNX's definitions of an operator from the oldest operator set that is read on."""
    for opset in range(OLDEST_OPSET, defs.onnx_opset_version() + 1):
        if any(s.name == op and s.since_version <= opset for s in ALL_SCHEMAS):
            schema = defs.get_schema(op, opset, "")
            if opset in (schema.since_version, OLDEST_OPSET):
                yield schema


ALL_SCHEMAS = [s for s in defs.get_all_schemas_with_history() if s.domain == ""]


@pytest.mark.parametrize("op", OPERATORS)
def test_every_version_that_onnx_defines_is_in_the_table(op: str) -> None:
    versions = {schema.since_version for schema in schemas_in_force(op)}
    assert sorted(versions - set(OPERATORS[op].versions)) == [], f"{op} has versions not looked at"
    newest = defs.onnx_opset_version()
    assert {v for v in OPERATORS[op].versions if v <= newest} == versions


@pytest.mark.parametrize("op", OPERATORS)
def test_every_attribute_input_and_output_that_onnx_defines_is_in_the_table(op: str) -> None:
    operator = OPERATORS[op]
    parameters, outputs = set(), set()
    for schema in schemas_in_force(op):
        parameters |= set(schema.attributes) | {formal.name for formal in schema.inputs}
        outputs |= {formal.name for formal in schema.outputs[1:]}
    assert parameters == set(operator.parameters)
    assert outputs == set(operator.outputs)


def test_every_operator_that_a_reader_handles_is_in_the_table() -> None:
    converted = {op for op, operator in OPERATORS.items() if operator.converted}
    assert converted >= SUPPORTED
    assert set(HANDLERS) <= set(OPERATORS)


def test_the_first_value_that_is_honoured_is_the_default() -> None:
    for op, operator in OPERATORS.items():
        for schema in schemas_in_force(op):
            for name, attribute in schema.attributes.items():
                parameter, default = operator.parameters[name], attribute.default_value
                if parameter.allowed and default.name:
                    value = helper.get_attribute_value(default)
                    plain = value.decode() if isinstance(value, bytes) else value
                    assert plain in parameter.allowed, (op, name)


def graph_of(body: str, opset: int = 13, **constants: object) -> OnnxGraph:
    model = onnx_model(
        body, {name: np.asarray(value) for name, value in constants.items()}, opset=opset
    )
    return graph_from_onnx(infer_shapes(model, name="model"))


def reason(graph: OnnxGraph, reader: Reader) -> str:
    objection = objection_to(graph, graph.nodes[0], reader)
    assert objection is None or objection.remedy
    return "" if objection is None else objection.reason


def test_a_value_that_is_not_known_is_named_with_those_that_are() -> None:
    graph = graph_of(
        "(float[1,2,4,4] x) => (float y) { y = Resize<antialias=1>(x, , s) }",
        18,
        s=np.asarray([1, 1, 2, 2], np.float32),
    )
    assert reason(graph, "values") == "its antialias is 1, and only 0 is known"
    assert reason(graph, "work") == ""


def test_an_input_that_must_be_constant_is_named_where_it_is_not() -> None:
    graph = graph_of("(float[1,2] x, float low) => (float y) { y = Clip(x, low) }")
    assert reason(graph, "values") == "its input min is computed at run time"
    assert reason(graph, "work") == ""


def test_a_further_output_is_refused_only_if_something_reads_it() -> None:
    unread = "(float[1,2,4,4] x) => (float y) { y, i = MaxPool<kernel_shape=[2,2]>(x) }"
    assert reason(graph_of(unread), "values") == ""
    read = unread.replace("(float y)", "(float y, int64 i)")
    assert reason(graph_of(read), "values") == "its output Indices is read"


def test_training_is_refused_whatever_is_asked_for() -> None:
    graph = graph_of(
        "(float[1,2] x) => (float y) { y = Dropout(x, r, t) }",
        r=np.float32(0.5),
        t=np.asarray(True),
    )
    for reader in ("values", "work"):
        assert reason(graph, reader) == "its training_mode is True, and only False is known"


def test_an_attribute_that_the_operator_set_does_not_have_is_refused() -> None:
    graph = graph_of("(float[1,2] x) => (float y) { y = Relu<slope=0.5>(x) }")
    assert reason(graph, "values") == "operator set 13 gives it no attribute 'slope'"


def test_more_inputs_than_the_operator_has_are_refused() -> None:
    graph = graph_of("(float[1,2] x) => (float y) { y = Relu(x) }")
    graph.nodes[0].inputs.append("x")
    assert "fewer inputs" in reason(graph, "values")


def test_an_operator_set_that_is_newer_than_the_table_is_refused() -> None:
    graph = graph_of("(float[1,2] x) => (float y) { y = Relu(x) }")
    graph.opset = 999
    assert reason(graph, "work") == "its form in operator set 999 is not known"
