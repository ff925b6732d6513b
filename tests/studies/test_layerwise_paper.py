"""The bounds on the page of the reconstruction are those that are proved."""

from __future__ import annotations

from pathlib import Path

import pytest
from bounds import compared, main, row

PAGE = Path(__file__).parents[2] / "studies" / "layerwise-paper" / "README.md"


@pytest.mark.parametrize("name", ["st-mnist", "ds-cnn", "resnet8"])
def test_the_page_has_the_bounds_of_a_network(name):
    assert row(name).removesuffix("|") in PAGE.read_text(encoding="utf-8")


def test_the_script_prints_a_table_of_the_networks_it_is_given(capsys):
    assert main(["st-mnist"]) == 0
    header, _, only = capsys.readouterr().out.splitlines()
    assert header == "| network | latency | RAM | weighted |"
    assert only == row("st-mnist")


def test_every_network_of_the_comparisons_has_its_bounds_on_the_page():
    page = PAGE.read_text(encoding="utf-8")
    _, _, rows = page.partition("### How much is left")
    assert len(compared()) == 14
    assert all(f"\n| {name} | " in rows for name in compared())
