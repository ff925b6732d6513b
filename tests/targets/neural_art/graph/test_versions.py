"""What version 3.0 of the compiler does otherwise."""

from __future__ import annotations

import pytest
from imported_graphs import imported

from npu_tune.network.zoo import zoo_network
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.graph import CORE_3_0, CORE_4_0, compiled_by

GATED = "m = GlobalAveragePool(x) s = Sigmoid(m) y = Mul(x, s)"


def test_version_4_changes_nothing() -> None:
    graph = imported(GATED)
    assert compiled_by(graph, CORE_4_0) is graph


def test_version_3_multiplies_with_gates_on_the_cpu_in_float() -> None:
    older = compiled_by(imported(GATED), CORE_3_0)
    product = older.operations[-1]
    assert product.op == "Mul"
    assert product.kind == "software"
    assert product.in_float
    assert "3.0" in product.software_reason


def test_several_samples_have_a_gate_each() -> None:
    older = compiled_by(imported(GATED, inputs="float[3,8,12,10] x"), CORE_3_0)
    assert older.batch == 3
    assert older.operations[-1].in_float


@pytest.mark.parametrize("op", ["Add", "Sub", "Max", "Div"])
def test_only_products_with_gates_are_the_cpus(op: str) -> None:
    graph = imported(GATED.replace("Mul", op))
    assert compiled_by(graph, CORE_3_0) == graph


@pytest.mark.parametrize(
    "nodes",
    [
        "a = Relu(x) y = Mul(a, x)",
        "a = Relu(x) y = Add(a, x)",
        "y = MaxPool<kernel_shape=[2,2]>(x)",
    ],
)
def test_other_operations_are_the_same_in_both(nodes: str) -> None:
    graph = imported(nodes)
    assert compiled_by(graph, CORE_3_0) == graph


def _default(name: str, core: str) -> dict[str, float]:
    with load_target("neural-art-stm32n6", {"core": core}).bind(zoo_network(name)) as problem:
        return dict(problem.evaluate(problem.space.default).metrics)


def test_squeeze_and_excite_takes_longer_and_a_float_copy_in_version_3() -> None:
    older, newer = (_default("efficientnet-v2-b0-96", core) for core in (CORE_3_0, CORE_4_0))
    assert older["latency_ms"] > 1.2 * newer["latency_ms"]
    assert older["ram_bytes"] > newer["ram_bytes"]
    assert older["software_epochs"] == newer["software_epochs"] + 16


def test_networks_without_gates_are_the_same_and_yet_another_problem() -> None:
    assert _default("resnet8", CORE_3_0) == _default("resnet8", CORE_4_0)
    prints = [load_target("neural-art-stm32n6", {"core": c}).fingerprint() for c in ("3.0", "4.0")]
    assert prints[0] != prints[1]
    assert load_target("neural-art-stm32n6").fingerprint() == prints[1]
