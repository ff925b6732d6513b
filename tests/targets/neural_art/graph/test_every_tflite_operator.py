"""Every operator of LiteRT's schema is imported or refused clearly, whole or damaged."""

from __future__ import annotations

from collections import Counter

import pytest
from imported_graphs import check_graph
from litert_operators import OPERATORS, operator_file
from litert_rows import on_neural_art
from mutations import mutants

from npu_tune.errors import EvaluationError, ModelError
from npu_tune.network import network_from_bytes
from npu_tune.targets import load_target
from npu_tune.targets.neural_art.graph import graph_of

REFUSED = {
    "CALL": "runs another graph",
    "IF": "runs another graph",
    "STABLEHLO_CASE": "runs another graph",
    "STABLEHLO_COMPOSITE": "runs another graph",
    "STABLEHLO_WHILE": "runs another graph",
    "WHILE": "runs another graph",
    "ASSIGN_VARIABLE": "keeps a variable",
    "CALL_ONCE": "keeps a variable",
    "READ_VARIABLE": "keeps a variable",
    "VAR_HANDLE": "keeps a variable",
    "HASHTABLE": "keeps a variable or a table",
    "HASHTABLE_FIND": "keeps a variable or a table",
    "HASHTABLE_IMPORT": "keeps a variable or a table",
    "HASHTABLE_SIZE": "keeps a variable or a table",
    "MULTINOMIAL": "makes random values",
    "RANDOM_STANDARD_NORMAL": "makes random values",
    "RANDOM_UNIFORM": "makes random values",
    "STABLEHLO_RNG_BIT_GENERATOR": "makes random values",
    "DELEGATE": "is no operator that this version knows",
    "PLACEHOLDER_FOR_GREATER_OP_CODES": "is no operator that this version knows",
    # Alone these compute nothing.
    "RANK": "its outputs are its inputs",
    "SHAPE": "its outputs are its inputs",
    "STABLEHLO_IOTA": "does not depend on any input",
}


@pytest.mark.parametrize("op", OPERATORS)
def test_an_operator_is_imported_and_costed_or_refused_by_name(op: str) -> None:
    network = operator_file(op).network()
    if op in REFUSED:
        with pytest.raises(ModelError, match=REFUSED[op]) as caught:
            graph_of(network)
        assert caught.value.remedy
        assert on_neural_art(op, network).startswith("refused: ")
        return
    check_graph(graph_of(network))
    with load_target("neural-art-stm32n6").bind(network) as problem:
        metrics = problem.evaluate(problem.space.default).metrics
    assert metrics["latency_ms"] > 0
    on_cpu = on_neural_art(op, network).startswith("CPU")
    assert metrics["software_epochs"] == on_cpu


def test_most_operators_run_on_a_unit_or_on_the_cpu() -> None:
    found = Counter(
        on_neural_art(op, operator_file(op).network()).split(" (")[0]
        for op in OPERATORS
        if op not in REFUSED
    )
    assert found == {"unit": 61, "CPU": 120, "no work": 6}


@pytest.mark.filterwarnings("ignore:The file of")
@pytest.mark.parametrize("seed", range(2))
def test_damaged_files_are_read_or_refused_and_nothing_else(seed: int) -> None:
    """Every mutant that is read is compiled and simulated too."""
    target = load_target("neural-art-stm32n6")
    counted: Counter[str] = Counter()
    for op in OPERATORS:
        for content in mutants(operator_file(op).content(), 4, seed=seed):
            try:
                network = network_from_bytes(content, "tflite", "mutant")
                with target.bind(network) as problem:
                    problem.evaluate(problem.space.default)
            except (ModelError, EvaluationError) as error:
                assert error.remedy, error  # noqa: PT017 -- most are refused, some are read
                counted["refused"] += 1
            else:
                counted["read"] += 1
    assert counted["refused"] > 200
    assert counted["read"] > 100
