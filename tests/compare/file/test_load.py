import pytest

from npu_tune.compare import comparison_to_toml, load_comparison
from npu_tune.errors import UsageError


def test_a_comparison_file_is_read_back_as_it_was_written(comparison, here):
    given = comparison(
        sampler=[{"name": "layerwise", "label": "wide", "beam_width": 8}, {"name": "random"}],
        objective={"mode": "pareto", "metrics": ["cycles", "sram_bytes"]},
        report={"checkpoints": [2, 4], "rival": "random"},
        replay={"recorded": "elsewhere"},
    )
    (here / "again.toml").write_text(comparison_to_toml(given))
    assert load_comparison(here / "again.toml") == given


def test_seeds_are_a_list_or_how_many(comparison):
    assert comparison(compare={"seeds": 3}).compare.seeds == (0, 1, 2)
    assert comparison(compare={"seeds": [7, 5]}).compare.seeds == (7, 5)


def test_a_sampler_runs_with_the_comparisons_seeds_or_some_of_them(comparison):
    given = comparison(
        compare={"seeds": [9, 0, 1, 2]},
        sampler=[
            {"name": "random"},
            {"name": "tpe", "seeds": 2},
            {"name": "nsga2", "seeds": [1, 9]},
        ],
    )
    assert [given.seeds_of(s) for s in given.sampler] == [(9, 0, 1, 2), (0, 1), (9, 1)]
    assert given.planned == 8
    assert given.sampler[1].options == {}


def test_the_budget_is_always_a_checkpoint(comparison):
    compare = {"evaluations": 100}
    assert comparison(compare=compare).checkpoints == (10, 25, 50, 100)
    assert comparison(compare=compare, report={"checkpoints": [7]}).checkpoints == (7, 100)


def test_a_comparison_is_called_after_its_file_and_kept_beside_it(comparison, here):
    given = comparison(compare={})
    assert (given.name, given.folder) == ("small", here / "small")


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"compare": {"evaluations": 0}}, "compare.evaluations.* is 0"),
        ({"compare": {"seeds": 10**12}}, "10,000 is the most"),
        ({"compare": {"seeds": 0}}, "at least one seed"),
        ({"compare": {"seeds": [1, 2, 1]}}, "the seed 1 is there twice"),
        ({"compare": {"seeds": [[1], {}]}}, "compare.seeds.*valid integer"),
        ({"compare": {"name": "../up"}}, "as a folder is not beside the file"),
        ({"compare": {"seeds": [-1]}}, "compare.seeds.* is -1"),
        ({"compare": {"budget": 3}}, "no key 'compare.budget'"),
        ({"network": []}, "'network' .* must not be empty"),
        ({"network": [{"path": "x", "pth": "y"}]}, "no key 'network.pth'.*'path'"),
        ({"sampler": [{"name": "tpe", "seeds": 3}]}, "'tpe' asks for the seed 2, .* none of"),
        ({"sampler": [{"name": "tpe", "seeds": [1, 1]}]}, "the seed 1 is there twice"),
        ({"sampler": [{"name": "tpe", "seeds": []}]}, "sampler.seeds.*must not be empty"),
        ({"sampler": [{"label": "x"}]}, "'sampler.name' is missing"),
        ({"sampler": [{"name": "tpe"}, {"name": "tpe"}]}, r"two tables \[\[sampler\]\].*'tpe'"),
        ({"network": [{"path": "a/x.onnx"}, {"path": "b/x.onnx"}]}, r"\[\[network\]\].*'x'"),
        (
            {"objective": {"mode": "pareto", "metrics": ["cycles"]}},
            "'pareto' needs several metrics, and there is one",
        ),
        ({"target": [{"name": "x", "label": "all"}]}, "a target is called 'all'"),
        (
            {"target": [{"name": "x", "label": "a b"}, {"name": "x", "label": "A-b"}]},
            r"two tables \[\[target\]\] have labels that are both 'a-b' in the names of figures",
        ),
        ({"objective": [{"metrics": ["cycles"]}] * 2}, r"\[\[objective\]\].*'weighted-cycles'"),
        ({"report": {"checkpoints": [4, 9]}}, "checkpoint 9 lies beyond the 8 evaluations"),
        ({"report": {"rival": "layerwis"}}, "no sampler 'layerwis'.*Did you mean 'layerwise'"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(comparison, tables, said):
    with pytest.raises(UsageError, match=said):
        comparison(**tables)


def test_a_file_that_is_missing_or_no_toml_is_refused(here):
    with pytest.raises(UsageError, match="Cannot read"):
        load_comparison(here / "none.toml")
    (here / "bad.toml").write_text("[compare")
    with pytest.raises(UsageError, match="is not TOML"):
        load_comparison(here / "bad.toml")
