"""The bounds on the page of the reconstruction are those that are proved."""

from __future__ import annotations

from pathlib import Path

import pytest
from bounds import COMPARISONS, compared, main, medians, row
from network_wide import recorded, table

PAGE = Path(__file__).parents[2] / "studies" / "layerwise-paper" / "README.md"


@pytest.mark.parametrize("name", ["st-mnist", "ds-cnn", "resnet8"])
def test_the_page_has_the_bounds_of_a_network(name):
    assert row(name).removesuffix("|") in PAGE.read_text(encoding="utf-8")


def test_the_script_prints_a_table_of_the_networks_it_is_given(capsys):
    assert main(["st-mnist"]) == 0
    header, _, only = capsys.readouterr().out.splitlines()
    assert header == (
        "| network | latency | RAM | weighted | best found, weighted | above the bound |"
    )
    assert only == row("st-mnist")


def test_every_network_of_the_comparisons_has_its_bounds_on_the_page():
    page = PAGE.read_text(encoding="utf-8")
    _, _, rows = page.partition("### How much is left")
    assert len(compared()) == 14
    assert all(f"\n| {name} | " in rows for name in compared())


@pytest.mark.slow
def test_the_page_has_the_medians_of_the_bounds():
    page = PAGE.read_text(encoding="utf-8")
    assert all(medians(file) in page for file in COMPARISONS)


def test_the_page_says_how_far_below_the_vendors_settings_what_was_found_is():
    costs = recorded()
    page = PAGE.read_text(encoding="utf-8")
    *_, network, middle = table(["ds-cnn"], costs).splitlines()
    assert network in page
    assert middle == network.replace("ds-cnn", "median")
    assert all(f"\n| {name} | " in page for name in costs)
