"""Every operator that the onnx package has an example of is imported, or refused clearly."""

from __future__ import annotations

import warnings

import pytest
from imported_graphs import check_graph

from npu_tune.errors import ModelError
from npu_tune.network import network_from_bytes
from npu_tune.targets.neural_art.graph import graph_of


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_no_operator_leads_to_anything_but_a_graph_or_a_clear_error() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node_cases = pytest.importorskip("onnx.backend.test.case.node").collect_testcases(None)
    imported, unclear = 0, []
    for case in node_cases:
        try:
            network = network_from_bytes(case.model.SerializeToString(), "onnx", case.name)
            graph = graph_of(network)
        except ModelError as error:
            unclear += [case.name] if not error.remedy else []
        else:
            check_graph(graph)
            imported += 1
    assert not unclear
    assert imported > 700
