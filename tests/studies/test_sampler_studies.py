"""The tables of the studies of samplers come from recorded comparisons, and their pages ask for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from again import main as again_main
from again import repeated
from figures import MARKER, RESULTS, filled, main, replayed
from study_tables import TABLES

from npu_tune.compare import Analysis, load_comparison, run_comparison
from npu_tune.compare.runs.recording import read_recording, write_recording
from npu_tune.errors import UsageError

STUDIES = Path(__file__).parents[2] / "studies"
PAGES = [
    STUDIES / name / "README.md"
    for name in ("samplers", "layerwise-paper", "front", "hardware", "cpu", "tpu-mlir")
]
FILES = sorted(file for page in PAGES for file in page.parent.glob("*.toml"))

COMPARISON = """
[compare]
evaluations = 12
seeds = 2
cache = false

[report]
checkpoints = [4]
rival = "profile"

[executor]
kind = "inline"

[[network]]
path = "st-mnist"

[[target]]
name = "neural-art-stm32n6"

[[sampler]]
name = "profile"

[[sampler]]
name = "layerwise"

[[sampler]]
name = "annealing"

[[sampler]]
name = "random"
seeds = 1

[[objective]]
label = "both"
{objective}
"""


def recorded(folder: Path, objective: str) -> Path:
    file = folder / "small.toml"
    file.write_text(COMPARISON.format(objective=objective))
    run_comparison(load_comparison(file))
    return file


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("weighted"), "")


@pytest.fixture(scope="module")
def analysis(weighted: Path) -> Analysis:
    return replayed(weighted)


@pytest.fixture(scope="module")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return replayed(recorded(tmp_path_factory.mktemp("fronts"), 'mode = "pareto"'))


def body(table: str) -> list[list[str]]:
    return [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]


def test_a_table_has_a_row_per_network_and_marks_the_best(analysis: Analysis) -> None:
    (row,) = body(TABLES["costs"](analysis))
    assert row[0] == "st-mnist"
    assert len(row) == 6
    assert any(cell.startswith("**") for cell in row[1:5])


def test_the_standings_have_a_row_per_sampler_from_the_best_rank_on(analysis: Analysis) -> None:
    rows = body(TABLES["standings"](analysis))
    assert {row[0] for row in rows} == {"profile", "layerwise", "annealing", "random"}
    assert [float(row[1]) for row in rows] == sorted(float(row[1]) for row in rows)


def test_pairs_hold_the_rival_against_everyone_else(analysis: Analysis) -> None:
    rows = body(TABLES["pairs"](analysis))
    assert [row[1] for row in rows] == [
        "profile : layerwise",
        "profile : annealing",
        "profile : random",
    ]
    assert [row[5] for row in rows] == ["2", "2", "1"]


def test_profile_is_held_against_the_rivals_that_ran(analysis: Analysis) -> None:
    network, last = body(TABLES["against_best"](analysis))
    assert network[2] == f"{network[1]} (annealing)"
    assert last[1] == f"**{network[1]}**"
    assert re.fullmatch(r"\*\*[01] of 1\*\*", last[3])


def test_nearness_is_counted_over_networks(analysis: Analysis) -> None:
    network, within = body(TABLES["near_reference"](analysis))
    is_near = [float(cell.removesuffix(" %")) <= 1 for cell in network[1:3]]
    assert within[1:3] == [f"**{int(near)} of 1**" for near in is_near]


def test_both_readings_follow_from_the_costs(analysis: Analysis) -> None:
    last = body(TABLES["readings"](analysis))[-1]
    own, rival = (1 - float(cell.removesuffix(" %")) / 100 for cell in last[2:4])
    assert float(last[4].removesuffix(" %")) == pytest.approx(100 * (1 - own / rival), abs=0.2)
    (network,) = body(TABLES["networks"](analysis))
    assert float(network[2]) == pytest.approx(own, abs=1e-3)


def test_gains_are_counted_from_the_baseline_and_from_annealing(analysis: Analysis) -> None:
    rows = {row[1]: row[2:] for row in body(TABLES["gains"](analysis))}
    assert rows["annealing"][2:] == ["-", "-"]
    costs = {sampler: float(row[0]) for sampler, row in rows.items()}
    for sampler in ("profile", "layerwise", "random"):
        below, against, outcome = rows[sampler][1:]
        cost = costs[sampler]
        assert float(below.removesuffix(" %")) == pytest.approx(100 * (1 - cost), abs=0.1)
        lower = 100 * (1 - cost / costs["annealing"])
        assert float(against.removesuffix(" %")) == pytest.approx(lower, abs=0.2)
        assert sum(map(int, outcome.split(" / "))) == 1


def test_fronts_are_shares_of_the_reference(fronts: Analysis) -> None:
    (volumes,) = body(TABLES["shares"](fronts))
    (distances,) = body(TABLES["distances"](fronts))
    for volume, distance in zip(volumes[1:5], distances[1:5], strict=True):
        assert 0 < float(volume.strip("*")) <= 1
        assert float(distance.strip("*")) >= 0


def test_latencies_stand_under_their_target(analysis: Analysis) -> None:
    (row,) = body(TABLES["latencies"](analysis))
    assert row[:2] == ["both", "st-mnist"]
    assert float(row[2]) < 0.0723


def test_a_page_gets_its_tables_anew(weighted: Path) -> None:
    page = weighted.parent / "README.md"
    page.write_text("# Found\n\n<!-- small: costs -->\nold\n<!-- /small: costs -->\n\nEnd.\n")
    assert main([str(weighted.parent)]) == 0
    text = page.read_text()
    assert "old" not in text
    assert "| st-mnist |" in text
    assert text.endswith("<!-- /small: costs -->\n\nEnd.\n")


def test_a_table_that_there_is_none_of_is_named(analysis: Analysis) -> None:
    with pytest.raises(UsageError, match="no table 'nought'"):
        filled("<!-- small: nought -->\n<!-- /small: nought -->\n", lambda _: analysis)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_pages_ask_for_tables_of_their_own_recordings(page: Path) -> None:
    asked = [match.groups()[:2] for match in MARKER.finditer(page.read_text(encoding="utf-8"))]
    assert asked
    for file, table in asked:
        assert table in TABLES
        assert (page.parent / f"{file}.toml").is_file()


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_recordings_are_of_what_the_comparison_file_asks_for(file: Path) -> None:
    comparison = load_comparison(file)
    recording = read_recording(comparison.folder / RESULTS)
    samplers = {sampler.title: comparison.seeds_of(sampler) for sampler in comparison.sampler}
    assert {run.name.sampler for run in recording.runs} == set(samplers)
    assert all(run.name.seed in samplers[run.name.sampler] for run in recording.runs)
    assert all(run.budget == comparison.compare.evaluations for run in recording.runs)


def test_a_recorded_run_performed_again_is_the_same(weighted: Path) -> None:
    found = list(repeated(weighted, seeds=1))
    assert {one.name.sampler for one in found} == {"profile", "layerwise", "annealing", "random"}
    assert all(one.difference is None and one.evaluations == 12 for one in found)
    assert len(list(repeated(weighted, samplers=["annealing"]))) == 2


def test_a_run_that_came_out_otherwise_is_named(
    weighted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / weighted.name
    file.write_text(weighted.read_text())
    recording = read_recording(weighted.with_suffix("") / RESULTS)
    for run in recording.runs:
        if run.name.sampler == "random":
            run.rows.loc[5, "latency_ms"] *= 1.01
    write_recording(file.with_suffix("") / RESULTS, recording)
    assert again_main([str(file), "--seeds", "1"]) == 1
    text = capsys.readouterr().out
    assert "random, seed 0" in text
    assert "evaluation 5 differs" in text
    assert "4 runs, 48 evaluations: 3 the same" in text
