"""Every operator of LiteRT's schema is bound by Vela, stays on the CPU or is refused clearly."""

from __future__ import annotations

from collections import Counter

import pytest
from litert_operators import OPERATORS, operator_file
from litert_rows import on_ethos_u
from tflite_files import TfliteFile

from npu_tune.errors import ModelError, UnsupportedOperatorError
from npu_tune.network import Network
from npu_tune.targets import load_target

ON_NPU = {
    *("ABS", "ADD", "ARG_MAX", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D"),
    *("DEPTHWISE_CONV_2D", "EXP", "EXPAND_DIMS", "FULLY_CONNECTED", "HARD_SWISH", "LEAKY_RELU"),
    *("LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MIRROR_PAD", "MUL", "PACK", "PAD"),
    *("PRELU", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR"),
    *("RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SOFTMAX", "SPLIT", "SPLIT_V"),
    *("SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "SUB", "TANH", "TRANSPOSE"),
    *("TRANSPOSE_CONV", "UNPACK"),
}


@pytest.mark.slow
def test_operators_go_where_vela_puts_them_and_none_fails_inside() -> None:
    found = {op: on_ethos_u(op, operator_file(op).network()) for op in OPERATORS}
    assert {op for op, where in found.items() if where == "NPU"} == ON_NPU
    kinds = Counter(where.split(":")[0] for where in found.values())
    assert kinds == {"NPU": len(ON_NPU), "CPU": 117, "refused": 51}


def two_graphs() -> Network:
    file = TfliteFile()
    for name in ("main", "other"):
        if name == "other":
            file.start_graph(name)
        x, y = file.tensor("x", (1, 8, 8, 4)), file.tensor("y", (1, 8, 8, 4))
        file.operator("RELU", [x], [y])
        file.ends([x], [y])
    return file.network("two")


@pytest.mark.parametrize("target", ["ethos-u55-128", "ethos-u85-256"])
@pytest.mark.parametrize("allow_cpu", [False, True])
def test_a_file_of_several_graphs_is_refused(target: str, allow_cpu: bool) -> None:
    with pytest.raises(ModelError, match=r"'two' has 2 graphs \(signatures\), and only one") as e:
        load_target(target, {"allow_cpu": allow_cpu}).bind(two_graphs())
    assert e.value.exit_code == 3
    assert e.value.data["other_graphs"] == ["other"]


@pytest.mark.parametrize("op", ["CALL", "IF", "WHILE"])
def test_control_flow_is_refused_by_name_whatever_is_allowed(op: str) -> None:
    with pytest.raises(UnsupportedOperatorError, match=rf"\({op}\) .* runs another graph"):
        load_target("ethos-u55-128", {"allow_cpu": True}).bind(operator_file(op).network())
