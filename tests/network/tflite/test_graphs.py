"""What one graph of a TFLite file needs to be whole, and the other graphs of the file."""

from __future__ import annotations

import pytest
from litert_operators import IMAGE, operator_file
from tflite_files import TfliteFile

from npu_tune.errors import ModelError, UnsupportedOperatorError
from npu_tune.network.tflite.graphs import require_no_control_flow


def chain(*ops: str) -> TfliteFile:
    """Operators one behind the other, from ``t0`` to the last tensor."""
    file = TfliteFile()
    names = [file.tensor(f"t{number}", IMAGE) for number in range(len(ops) + 1)]
    for place, op in enumerate(ops):
        file.operator(op, [names[place]], [names[place + 1]])
    return file.ends(names[:1], names[-1:])


@pytest.mark.parametrize(
    ("code", "compiler"),
    [
        (b"ethos-u", "Vela"),
        (b"edgetpu-custom-op", "the Edge TPU compiler"),
        (b"NeutronGraph", "NXP's Neutron converter"),
        (b"vsi-npu", "VeriSilicon's compiler"),
        (b"DISPATCH_OP", "a compiler plug-in of LiteRT"),
    ],
)
def test_a_file_that_is_compiled_already_is_refused(code: bytes, compiler: str) -> None:
    file = TfliteFile()
    x, scratch, y = file.tensor("x", IMAGE), file.tensor("s", (64,)), file.tensor("y", IMAGE)
    file.operator("CUSTOM", [x, scratch], [y], custom=code)
    with pytest.raises(ModelError) as caught:
        file.ends([x], [y]).network("done")
    assert str(caught.value) == (
        f"'done' is already compiled by {compiler}. Give the file that {compiler} was given."
    )


def test_any_other_custom_operator_is_read() -> None:
    file = TfliteFile()
    x, y = file.tensor("x", IMAGE), file.tensor("y", IMAGE)
    file.operator("CUSTOM", [x], [y], custom=b"made-up")
    assert file.ends([x], [y]).network().layers[0].op == "CUSTOM:made-up"


@pytest.mark.parametrize("op", ["SVDF", "LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "RNN"])
def test_variable_tensors_that_nothing_makes_are_state(op: str) -> None:
    network = operator_file(op).network()
    layer = network.layers[0]
    states = 2 if "LSTM" in op else 1
    assert len(network.state) == states
    assert set(network.state) <= set(layer.inputs)
    assert not set(network.state) & set(network.inputs)


def test_a_tensor_that_nothing_makes_is_refused_with_its_reader() -> None:
    file = TfliteFile()
    x, scratch, y = file.tensor("x", IMAGE), file.tensor("s", IMAGE), file.tensor("y", IMAGE)
    file.operator("ADD", [x, scratch], [y])
    with pytest.raises(ModelError, match="'s' is read by 'y', and nothing in the file makes it"):
        file.ends([x], [y]).network()


def test_an_output_that_nothing_makes_is_refused() -> None:
    file = chain("RELU")
    lost = file.tensor("lost", IMAGE)
    with pytest.raises(ModelError, match="'lost' is an output, and nothing"):
        file.ends(["t0"], [lost]).network()


def test_a_tensor_that_is_read_before_it_is_made_is_damage() -> None:
    file = chain("RELU", "TANH")
    file.model.subgraphs[0].operators.reverse()
    with pytest.raises(ModelError, match="'t2' reads 't1' before it is made"):
        file.network()


@pytest.mark.parametrize("target", ["t0", "t1"])
def test_a_tensor_that_is_there_already_cannot_be_made(target: str) -> None:
    file = chain("RELU", "TANH")
    file.operator("TANH", ["t0"], [target])
    with pytest.raises(ModelError, match=f"writes '{target}', which is there"):
        file.network()


def test_a_tensor_that_nothing_names_is_not_read() -> None:
    file = chain("RELU")
    file.tensor("of another kind", (3,), "string")
    assert set(file.network().tensors) == {"t0", "t1"}


def test_graphs_that_no_operator_runs_are_named() -> None:
    file = chain("RELU")
    assert file.network().other_graphs == ()
    for name in ("second", ""):
        file.start_graph(name)
        x, y = file.tensor("x", (3,)), file.tensor("y", (3,))
        file.operator("TANH", [x], [y])
        file.ends([x], [y])
    network = file.network()
    assert network.other_graphs == ("second", "graph 2")
    assert [layer.op for layer in network.layers] == ["RELU"]


@pytest.mark.parametrize("op", ["CALL", "IF", "WHILE", "STABLEHLO_WHILE", "STABLEHLO_COMPOSITE"])
def test_graphs_that_an_operator_runs_belong_to_it(op: str) -> None:
    network = operator_file(op).network()
    assert network.other_graphs == ()
    with pytest.raises(UnsupportedOperatorError, match=f"{op}.* runs another graph"):
        require_no_control_flow(network)


def test_a_graph_that_sets_variables_once_is_no_control_flow() -> None:
    network = operator_file("CALL_ONCE").network()
    assert network.other_graphs == ()
    require_no_control_flow(network)
