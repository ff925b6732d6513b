from __future__ import annotations

import onnx
import pytest
from rewritten import model_of, operators, quantized, rewritten, split, stripes

from npu_tune.network import read_network, zoo_network
from npu_tune.network.rewrite import LayerSplit, RewritePlan, StripedSegment, rewrite_model

BODY = (
    "(float[1,4,12,8] x) => (float y) { a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a)"
    " c = Conv<pads=[1,1,1,1]>(b, w) y = Add(c, s) }"
)


def model():
    return model_of(BODY, w=(4, 4, 3, 3), s=(1, 4, 1, 1))


def test_an_empty_plan_changes_no_node():
    source = model()
    result = rewritten(source, RewritePlan(), exactly=True)
    assert list(result.graph.node) == list(source.graph.node)
    assert list(result.graph.initializer) == list(source.graph.initializer)


def test_names_metadata_and_operator_sets_are_kept():
    source = model()
    source.producer_name, source.model_version, source.doc_string = "maker", 7, "what it is"
    source.metadata_props.add(key="author", value="somebody")
    source.graph.name = "a graph"
    result = rewritten(source, stripes("a", "c"))
    for field in ("producer_name", "model_version", "doc_string", "ir_version"):
        assert getattr(result, field) == getattr(source, field)
    assert result.metadata_props == source.metadata_props
    assert result.opset_import == source.opset_import
    assert result.graph.name == "a graph"
    assert [each.name for each in result.graph.input] == ["x"]
    assert [each.name for each in result.graph.output] == ["y"]


def test_the_same_plan_gives_the_same_file():
    made = [rewrite_model(model(), stripes("a", "c")).SerializeToString(True) for _ in range(2)]
    assert made[0] == made[1]


def test_every_tensor_gets_a_shape_and_no_other_is_described():
    source = onnx.shape_inference.infer_shapes(model())
    result = rewritten(source, stripes("a", "c"))
    made = {name for node in result.graph.node for name in node.output}
    assert {each.name for each in result.graph.value_info} == made - {"y"}


def test_what_only_replaced_nodes_read_goes_and_what_nobody_read_stays():
    source = model_of(BODY, w=(4, 4, 3, 3), s=(1, 4, 1, 1), spare=(2, 2))
    source.graph.node.append(onnx.helper.make_node("Neg", ["spare"], ["unread"]))
    result = rewritten(source, split("a", "kernels"))
    names = {each.name for each in result.graph.initializer}
    assert {"w", "s", "spare", "w/part1", "w/part2"} <= names
    assert operators(result, "Neg") == [""]
    both = rewritten(
        source, RewritePlan(splits=tuple(LayerSplit(name, "kernels", 2) for name in "ac"))
    )
    assert "w" not in {each.name for each in both.graph.initializer}


def test_an_old_file_lists_its_constants_as_inputs():
    source = model()
    source.ir_version = 3
    source.graph.input.extend(
        onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims)
        for t in source.graph.initializer
    )
    result = rewritten(
        source, RewritePlan((StripedSegment(("c",), 2),), (LayerSplit("a", "kernels", 2),))
    )
    listed = {each.name for each in result.graph.input}
    assert listed == {"x", *(each.name for each in result.graph.initializer)}


ZOO = {
    "resnet8": RewritePlan(
        (
            StripedSegment(("conv1/linear", "stage1/add/linear"), 4),
            StripedSegment(("stage2/conv1/linear", "stage2/shortcut", "stage2/add/linear"), 3),
        ),
        (
            LayerSplit("stage3/conv1/linear", "kernels", 3),
            LayerSplit("stage3/conv2", "rows", 2),
            LayerSplit("logits", "kernels", 2),
        ),
    ),
    "ds-cnn": RewritePlan((), ()),
    "mobilenet-v2-0.35-96": RewritePlan(
        (StripedSegment(("conv1/linear", "block4/add"), 5),),
        (LayerSplit("block5/depthwise/linear", "kernels", 4),),
    ),
    "squeezenet-128": RewritePlan(
        (
            StripedSegment(("conv1/linear", "pool4"), 4),
            StripedSegment(("fire4/squeeze/linear", "fire5/concat"), 3),
        ),
    ),
}


def zoo_case(name):
    network = zoo_network(name)
    if name == "ds-cnn":
        convolutions = [layer.name for layer in network.layers if layer.op == "Conv"]
        plan = stripes(convolutions[0], convolutions[-1], count=5)
    else:
        plan = ZOO[name]
    return onnx.load_from_string(network.model_bytes), plan


@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo_come_out_the_same(name):
    rewritten(*zoo_case(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo_in_int8_come_out_bit_for_bit(name, tmp_path):
    model, plan = zoo_case(name)
    rewritten(quantized(model, tmp_path), plan, exactly=True)


REAL = {
    "match_resnet8_fp16": (
        ("model_1/conv2d_1/BiasAdd", "model_1/add_1/Add"),
        "model_1/conv2d_6_1/BiasAdd",
    ),
    "match_kws_dscnn_fp16": (("functional_1/activation_1/Relu", "Relu__310"), ""),
    "ultraface_slim_320_simplified": (("185", "203"), "206"),
}


@pytest.mark.parametrize("name", REAL)
def test_real_networks_come_out_the_same(name, shared_models):
    path = shared_models / "onnx" / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"{path.name} is not among the networks of the tests")
    layers, divided = REAL[name]
    assert set(layers) <= {layer.name for layer in read_network(path).layers}
    plan = RewritePlan(
        (StripedSegment(layers, 4),),
        (LayerSplit(divided, "kernels", 2),) if divided else (),
    )
    result = rewritten(onnx.load(path), plan)
    assert f"{layers[0]}/stripe4" in {node.name for node in result.graph.node}


@pytest.mark.slow
def test_a_real_network_in_int8_comes_out_bit_for_bit(shared_models, tmp_path):
    path = shared_models / "onnx" / "ultraface_slim_320_simplified.onnx"
    if not path.is_file():
        pytest.skip(f"{path.name} is not among the networks of the tests")
    modern = onnx.version_converter.convert_version(onnx.load(path), 13)
    source = quantized(modern, tmp_path)
    rewritten(source, stripes("185", "203", count=5), exactly=True)
