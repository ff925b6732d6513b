"""All of onnx's own tests go through the program, and docs/operators.md says what became of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from onnx_backend_tests import DATA, NETWORKS, Outcome, file_tests, outcome_of, read_outcome_of
from operators_page import PAGE, outcomes, page

ROOT = Path(__file__).resolve().parents[1]
SMALL = ("light_shufflenet", "light_squeezenet")


@pytest.fixture(scope="module")
def found() -> list[Outcome]:
    return outcomes()


@pytest.mark.slow
def test_no_test_of_onnx_ends_in_an_internal_error(found: list[Outcome]) -> None:
    assert [(each.test.name, each.faults) for each in found if each.faults] == []
    assert len(found) > 2500


@pytest.mark.slow
def test_every_refusal_has_a_documented_exit_code_and_a_remedy(found: list[Outcome]) -> None:
    documented = re.findall(
        r"^\| (\d+) \|", (ROOT / "docs/exit_codes.md").read_text(), re.MULTILINE
    )
    errors = [error for each in found for error in (each.refused, each.unconverted) if error]
    assert {str(error.exit_code) for error in errors} <= {*documented} - {"0", "1"}
    assert [error.message for error in errors if not error.remedy] == []


@pytest.mark.slow
def test_the_page_says_what_became_of_them(found: list[Outcome]) -> None:
    assert page(found) == PAGE.read_text(), "run: python tests/support/operators_page.py"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(file.stem for file in (DATA / NETWORKS).glob("*.onnx")))
def test_whole_networks_without_weights_are_read(name: str) -> None:
    test = next(each for each in file_tests([NETWORKS]) if each.name == name)
    outcome = outcome_of(test) if name in SMALL else read_outcome_of(test)
    assert outcome.faults == ()
    assert outcome.kinds or "flash" in str(outcome.refused)
