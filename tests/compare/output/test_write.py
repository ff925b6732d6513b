import numpy as np
import pandas as pd
import pytest

from npu_tune.compare import analyse, run_comparison, summary_text, write_output
from npu_tune.compare.runs.recording import ProblemName
from npu_tune.errors import UsageError


@pytest.fixture
def analysed(comparison):
    def run(**tables):
        return analyse(run_comparison(comparison(**tables)))

    return run


def test_everything_is_written_once(analysed, tmp_path):
    objectives = [{"mode": "weighted"}, {"mode": "pareto", "label": "front"}]
    files = write_output(analysed(objective=objectives), tmp_path)
    assert all(path.stat().st_size > 0 for path in files)
    assert {path.name for path in files} == {
        *("table.parquet", "table.csv.gz", "medians.csv", "arrivals.csv", "pairs.csv"),
        *("overall.csv", "summary.md", "origin.json"),
        *("regret--weighted--fake-npu.png", "regret--front--fake-npu.png"),
        *("best-so-far--fake-npu--weighted.png", "hypervolume--fake-npu--weighted.png"),
        *("best-so-far--fake-npu--front.png", "hypervolume--fake-npu--front.png"),
    }
    figures = [path for path in files if path.suffix == ".png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in figures)


def test_one_file_is_written_on_request_and_an_unknown_one_refused(analysed, tmp_path):
    analysis = analysed()
    files = write_output(analysis, tmp_path, only=["medians.csv"])
    assert files == (tmp_path / "medians.csv", tmp_path / "origin.json")
    with pytest.raises(UsageError, match=r"no file 'median.csv'.*Did you mean 'medians.csv'"):
        write_output(analysis, tmp_path, only=["median.csv"])


def test_both_forms_of_the_tidy_table_say_the_same(analysed, tmp_path):
    write_output(analysed(), tmp_path)
    packed, text = (
        pd.read_parquet(tmp_path / "table.parquet"),
        pd.read_csv(tmp_path / "table.csv.gz", keep_default_na=False, na_values=["nan"]),
    )
    assert list(packed) == list(text)
    assert len(packed) == len(text) == 2 * 2 * 8
    assert packed["cost"].tolist() == pytest.approx(text["cost"].tolist())


def test_regrets_count_from_the_best_of_all_runs(analysed):
    analysis = analysed()
    curve = analysis.problems[ProblemName("net", "fake-npu", "weighted")]
    assert curve.best_known.cost == pytest.approx(analysis.table["cost"].min())
    assert min(regret[:, -1].min() for regret in curve.regret.values()) == pytest.approx(0.0)


def test_the_regret_of_a_front_is_what_it_lacks_in_hypervolume(analysed):
    analysis = analysed(objective={"mode": "pareto"})
    curve = analysis.problems[ProblemName("net", "fake-npu", "pareto")]
    volume = curve.hypervolume["random"][:, -1]
    wanted = 1.0 - volume / curve.best_known.hypervolume
    assert curve.regret["random"][:, -1] == pytest.approx(wanted)
    assert (wanted > 0).any()


def test_fronts_are_held_against_the_reference_front_of_their_problem(analysed):
    objectives = [{"mode": "pareto", "label": "front"}, {"mode": "weighted"}]
    analysis = analysed(objective=objectives)
    front = analysis.table["objective"] == "front"
    assert (analysis.table.loc[front, "igd_plus"] >= 0.0).all()
    assert analysis.table.loc[~front, "igd_plus"].isna().all()
    # The reference is the best of all runs together: some lack a part of it.
    curve = analysis.problems[ProblemName("net", "fake-npu", "front")]
    finals = np.concatenate([values[:, -1] for values in curve.igd_plus.values()])
    assert finals.max() > 0.0
    last = analysis.medians[front_at_the_end(analysis.medians)].set_index("sampler")
    assert last.loc["random", "igd_plus"] == pytest.approx(curve.igd_plus["random"][:, -1].mean())
    assert "| IGD+ |" in summary_text(analysis)


def front_at_the_end(medians):
    return (medians["objective"] == "front") & (medians["evaluations"] == 8)


def test_a_single_run_is_its_own_reference_front(analysed):
    alone = {"compare": {"evaluations": 8, "seeds": 1}, "sampler": [{"name": "random"}]}
    analysis = analysed(objective={"mode": "pareto", "label": "front"}, **alone)
    assert analysis.medians["igd_plus"].iloc[-1] == 0.0
    assert analysis.medians["hypervolume"].iloc[-1] > 0.0


def test_the_share_of_feasible_evaluations_counts_those_so_far(analysed):
    free = analysed().table
    limit = float(free["sram_bytes"].median())
    analysis = analysed(objective={"label": "limited", "limits": {"sram_bytes": limit}})
    table, medians = analysis.table, analysis.medians
    own = table[(table["sampler"] == "random") & (table["evaluation"] <= 4)]
    wanted = own.groupby("seed")["feasible"].mean()
    at = medians[(medians["sampler"] == "random") & (medians["evaluations"] == 4)]
    assert at["feasible"].tolist() == pytest.approx([wanted.median()])
    assert 0.0 < table["feasible"].mean() < 1.0
    assert "| feasible |" in summary_text(analysis)


def test_outcomes_of_both_directions_mirror_each_other(analysed):
    overall = analysed().overall
    final = overall[overall["evaluations"] == 8].set_index("sampler")
    ours, theirs = final.loc["random"], final.loc["layerwise"]
    assert (ours["wins"], ours["ties"], ours["losses"]) == (
        theirs["losses"],
        theirs["ties"],
        theirs["wins"],
    )
    assert ours["a12"] + theirs["a12"] == pytest.approx(1.0)
    assert ours["p_runs"] == theirs["p_runs"]


def test_targets_stand_alone_and_together_and_objectives_apart(analysed):
    analysis = analysed(
        target=[{"name": "fake-npu"}, {"name": "fake-npu", "label": "other", "version": "2"}],
        objective=[{"metrics": ["cycles"]}, {"metrics": ["sram_bytes"]}],
    )
    counted = analysis.overall[analysis.overall["evaluations"] == 8]
    groups = counted.groupby(["objective", "target"])["problems"].first().to_dict()
    assert groups == {
        (objective, target): 2 if target == "all" else 1
        for objective in ("weighted-cycles", "weighted-sram_bytes")
        for target in ("fake-npu", "other", "all")
    }


def test_a_sampler_arrives_at_its_own_final_median(analysed):
    arrivals = analysed().arrivals
    own = arrivals[arrivals["level"] == "final of " + arrivals["sampler"].astype(str)]
    assert (own["evaluations"] <= 8).all()
    assert (own["reached"] >= 0.5).all()


def test_the_summary_says_who_loses_where(analysed):
    text = summary_text(analysed(report={"rival": "layerwise"}))
    assert "1 networks x 1 targets x 1 objectives x 2 samplers x 2 seeds, 8 evaluations" in text
    assert "| layerwise | random |" in text
    assert "loses" in text
    assert "missing" not in text


def test_the_summary_says_what_is_missing(analysed):
    both = [{"name": "fake-npu"}, {"name": "fake-broken", "version": "2"}]
    text = summary_text(analysed(target=both))
    assert "**4 of 8 runs are missing.**" in text
    assert "default configuration cannot be evaluated" in text


@pytest.fixture
def with_fewer_seeds(analysed):
    """Random search has all five seeds, and the layer-wise search two of them."""
    return analysed(
        compare={"evaluations": 8, "seeds": 5, "folder": "kept"},
        sampler=[{"name": "random"}, {"name": "layerwise", "seeds": [3, 1]}],
    )


def test_medians_are_over_the_seeds_that_a_sampler_has(with_fewer_seeds):
    table, medians = with_fewer_seeds.table, with_fewer_seeds.medians
    final = medians[medians["evaluations"] == 8].set_index("sampler")
    assert final["seeds"].to_dict() == {"random": 5, "layerwise": 2}
    last = table[(table["evaluation"] == 8) & (table["sampler"] == "layerwise")]
    assert sorted(last["seed"]) == [1, 3]
    assert final.loc["layerwise", "cost"] == pytest.approx(last["best"].mean())
    assert with_fewer_seeds.arrivals["reached"].between(0.0, 1.0).all()


def test_tests_pair_the_seeds_that_both_samplers_have(with_fewer_seeds):
    pairs, overall = with_fewer_seeds.pairs, with_fewer_seeds.overall
    assert set(pairs["seeds"]) == {2}
    assert set(overall["pairs"]) == {2}
    # Two pairs allow no smaller p than 0.5.
    assert (pairs["p"] >= 0.5).all()
    assert not overall.isna().any(axis=None)


def test_the_summary_and_the_figures_say_who_had_fewer_seeds(with_fewer_seeds, tmp_path):
    text = summary_text(with_fewer_seeds)
    assert "Of the 5 seeds, layerwise 2:" in text
    assert "missing" not in text
    assert "| layerwise | 2 |" in text
    assert len(write_output(with_fewer_seeds, tmp_path)) > 7


def test_one_sampler_alone_is_compared_with_nobody(analysed, tmp_path):
    analysis = analysed(sampler=[{"name": "random"}])
    assert analysis.overall.empty
    write_output(analysis, tmp_path)


def test_a_limit_that_nothing_meets_leaves_infinite_regrets(analysed, tmp_path):
    analysis = analysed(objective={"limits": {"sram_bytes": 1.0}})
    assert (analysis.medians["regret"] == float("inf")).all()
    assert analysis.overall["ties"].eq(1).all()
    write_output(analysis, tmp_path)
