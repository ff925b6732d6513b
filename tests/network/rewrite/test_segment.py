from __future__ import annotations

import pytest
from rewritten import model_of, operators, quantized, rewritten, split, stripes

from npu_tune.errors import UsageError
from npu_tune.network.rewrite import LayerSplit, RewritePlan, StripedSegment, rewrite_model
from npu_tune.network.rewrite.segment import find_sections
from npu_tune.network.rewrite.source import open_source

CHAIN = (
    "(float[1,4,12,8] x) => (float y) { a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a)"
    " c = Conv<pads=[1,1,1,1]>(b, w) d = Mul(c, s) e = Relu(d) f = Conv(e, v) y = Sigmoid(f) }"
)


def chain():
    return model_of(CHAIN, w=(4, 4, 3, 3), s=(1, 4, 1, 1), v=(4, 4, 1, 1))


def residual():
    return model_of(
        "(float[1,4,12,8] x) => (float y) { a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a)"
        " c = Conv<pads=[1,1,1,1]>(b, w) d = Add(x, c) e = Relu(d) y = Conv(e, v) }",
        w=(4, 4, 3, 3),
        v=(4, 4, 1, 1),
    )


def members(model, plan):
    source = open_source(model)
    return [[source.names[i] for i in each.nodes] for each in find_sections(source, plan)]


def test_everything_on_paths_between_the_layers_belongs_to_a_segment():
    assert members(residual(), stripes("a", "d")) == [["a", "b", "c", "d", "e"]]
    assert members(residual(), stripes("c", "a")) == [["a", "b", "c"]]


def test_what_is_fused_with_the_last_layer_belongs_to_it():
    assert members(chain(), stripes("a", "c")) == [["a", "b", "c", "d", "e"]]
    assert members(chain(), split("c", "rows")) == [["c", "d", "e"]]


def test_what_another_entry_names_is_not_taken():
    plan = RewritePlan(
        (StripedSegment(("a", "c"), 2), StripedSegment(("d", "f"), 2)),
    )
    assert members(chain(), plan) == [["a", "b", "c"], ["d", "e", "f", "y"]]
    rewritten(chain(), plan)


def test_constants_per_channel_do_not_follow_parts_of_channels():
    assert members(chain(), split("c", "kernels")) == [["c"]]
    assert members(chain(), split("a", "kernels")) == [["a", "b"]]


def test_quantizers_between_and_behind_belong_to_a_segment_and_those_at_its_borders_do_not(
    tmp_path,
):
    (found,) = members(quantized(chain(), tmp_path), stripes("c", "f"))
    assert found[0] == "c"
    assert found[-1] == "f_QuantizeLinear"
    assert "e_DequantizeLinear" in found
    assert "b_DequantizeLinear" not in found
    (named,) = members(
        quantized(chain(), tmp_path), stripes("b_DequantizeLinear", "f", "f_DequantizeLinear")
    )
    assert named == found


def test_an_unknown_layer_is_refused_with_those_there_are():
    with pytest.raises(UsageError) as error:
        rewrite_model(chain(), stripes("a", "cc"))
    assert error.value.message == "There is no layer 'cc', which the segment 'a' to 'cc' names."
    assert error.value.remedy == "Did you mean 'c'? Known are a, b, c, d, e, f, y."


def test_names_keep_their_capitals_in_messages():
    model = chain()
    model.graph.node[0].name = "ConvA"
    with pytest.raises(UsageError, match=r"^The segment 'ConvA' asks for 99 stripes"):
        rewrite_model(model, stripes("ConvA", count=99))


def test_layers_of_constants_are_refused():
    body = "(float[1,4,12,8] x) => (float y) { k = Neg(w) y = Mul(x, k) }"
    with pytest.raises(UsageError, match="'k' of the split of 'k' is computed of constants"):
        rewrite_model(model_of(body, w=(1, 4, 1, 1)), split("k", "rows"))


def test_entries_that_overlap_are_refused_by_name():
    plan = RewritePlan((StripedSegment(("a", "c"), 2),), (LayerSplit("b", "rows", 2),))
    with pytest.raises(
        UsageError, match=r"The split of 'b' overlaps the segment 'a' to 'c' in the node 'b'"
    ):
        rewrite_model(chain(), plan)


def test_a_map_that_is_read_outside_is_named_with_its_reader():
    with pytest.raises(UsageError) as error:
        rewrite_model(
            model_of(
                "(float[1,4,12,8] x) => (float y) { a = Relu(x) b = Relu(a) c = Neg(a)"
                " y = Add(b, c) }"
            ),
            stripes("a", "b"),
        )
    assert error.value.message == (
        "The map 'a' inside the segment 'a' to 'b' is read outside it, by the node 'c' (Neg)."
    )
    assert error.value.data == {"tensor": "a"}


def test_a_map_that_is_an_output_of_the_network_is_named():
    body = "(float[1,4,12,8] x) => (float a, float y) { a = Relu(x) y = Neg(a) }"
    with pytest.raises(UsageError, match="'a' inside the segment 'a' to 'y' is an output"):
        rewrite_model(model_of(body), stripes("a", "y"))


def test_layers_that_do_not_meet_have_no_common_output():
    body = (
        "(float[1,4,12,8] x) => (float y, float z) { a = Relu(x) b = Neg(x)"
        " y = GlobalMaxPool(a) z = GlobalMaxPool(b) }"
    )
    with pytest.raises(UsageError, match="'a' inside the segment 'a' to 'b' is read outside"):
        rewrite_model(model_of(body), stripes("a", "b"))


def test_what_nothing_reads_is_refused():
    body = "(float[1,4,12,8] x) => (float y) { a = Relu(x) y = Neg(x) }"
    with pytest.raises(UsageError, match="Nothing reads what the segment 'a' computes"):
        rewrite_model(model_of(body), stripes("a"))


def test_parallel_layers_are_named_by_all_of_them():
    model = model_of(
        "(float[1,4,12,8] x) => (float y) { a = Conv(x, w) b = Conv<pads=[1,1,1,1]>(x, v)"
        " c = Concat<axis=1>(a, b) y = Relu(c) }",
        w=(3, 4, 1, 1),
        v=(3, 4, 3, 3),
    )
    assert members(model, stripes("a", "b", "c")) == [["a", "b", "c", "y"]]
    result = rewritten(model, stripes("a", "b", "c"))
    assert len(operators(result, "Conv")) == 6
