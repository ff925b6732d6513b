from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from fake_targets import LayeredTarget, WrappedTarget
from study_results import measured_result, study_result

from npu_tune.api.fronts import _base, _standing
from npu_tune.errors import StudyMismatchError, TargetError
from npu_tune.space import Knob, SearchSpace
from npu_tune.targets import Goal, Problem
from npu_tune.targets.oracle import Bound, Front, FrontPoint

N6 = ("--target", "neural-art-stm32n6")


class _KnownProblem(Problem):
    """Knows one optimum: the default with one layer's block doubled."""

    def __init__(self, target, network):
        super().__init__(target, network)
        self._inner = target.inner.bind(network)

    @property
    def space(self):
        return self._inner.space

    def evaluate(self, configuration):
        return self._inner.evaluate(configuration)

    def front(self, *, objectives=(), base, tolerance=0.0, most_labels=None, progress=None):
        if most_labels is not None:
            raise TargetError(f"The front takes more than {most_labels} labels.")
        if progress is not None:
            progress("all solutions", 1, 1)
        block = next(k for k in self.space.knobs if k.name == "block")
        optimum = base.replace({block.full_name: block.values[1]})
        point = FrontPoint(optimum, self.evaluate(optimum).metrics)
        return Front(tuple(objectives), (point,), tolerance, 10**6)

    def bases(self):
        return (self.space.default,)

    def bound(self, *, base=None):
        del base
        return Bound({"cycles": 1000.0, "sram_bytes": 1000.0})


@dataclass(frozen=True)
class _KnownTarget(WrappedTarget):
    """The layered target, and an oracle."""

    def bind(self, network):
        return _KnownProblem(self, network)

    def fingerprint(self):
        return self.inner.fingerprint()


@pytest.fixture
def known(npu_tune, here, monkeypatch):
    """Runs ``front`` on a fake target that is an oracle, beside a study ``s`` of ds-cnn."""
    tuned = npu_tune(
        "tune", "ds-cnn", "--target", "fake-npu", "--workers", 1, "--evaluations", 12,
        "--study", "s", "--quiet",
    )  # fmt: skip
    assert tuned.code == 0, tuned.err
    made = []

    def run(*arguments, model="ds-cnn", target=None):
        made[:] = [target or _KnownTarget(LayeredTarget())]
        monkeypatch.setattr("npu_tune.api.problems.load_target", lambda *_: made[0])
        return npu_tune("front", model, "--target", "fake-npu", *arguments)

    return run


@pytest.mark.slow
def test_a_front_and_a_bound_are_told_in_the_documented_schema(known, here):
    exact = known("--study", "s", "--json", "--quiet", "--plot", "front.svg").document
    assert exact["kind"] == "exact"
    assert exact["standing"]["study"] == "s"
    assert len(exact["front"]["points"][0]["changes"]) >= 1
    assert (here / "front.svg").read_text().startswith("<?xml")
    bound = known("--study", "s", "--json", "--quiet", "--most-labels", 2).document
    assert bound["kind"] == "bound"
    assert "2 labels" in bound["reason"]
    told = known("--study", "s")
    assert "all solutions ..." in told.err
    assert "Study s: the cost of its best trial" in told.out


@pytest.mark.slow
def test_a_study_of_another_model_or_of_other_hardware_is_refused_by_name(known):
    ended = known("--study", "s", model="resnet8")
    assert ended.code == 5
    assert "its model (SHA-256) is" in ended.err
    ended = known("--study", "s", target=_KnownTarget(LayeredTarget(compiler="2")))
    assert ended.code == 5
    assert "its target's compiler is" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--objective", "speed"), "does not report"),
        (("--objective", "cycles,cycles"), "a metric twice"),
        (("--objective", "accuracy"), "'accuracy' more is better"),
    ],
)
def test_an_objective_without_optima_is_refused(known, arguments, words):
    ended = known(*arguments, target=_Sharing(LayeredTarget()))
    assert ended.code == 2
    assert words in ended.err


@dataclass(frozen=True)
class _Sharing(_KnownTarget):
    """Says that more of its last metric is better."""

    @property
    def metrics(self):
        *others, share = self.inner.metrics
        return (*others, replace(share, goal=Goal.MAXIMIZE))


@pytest.mark.parametrize(
    "knobs",
    [
        (Knob("conv", "ofm_block", ("8x8x16", "4x4x16"), "8x8x16"),),
        (Knob("network", "strategy", ("Performance",), "Performance"),),
    ],
)
def test_a_study_that_chose_what_the_target_does_not_offer_is_another_one(knobs):
    with pytest.raises(StudyMismatchError, match="'tiny-study' chose"):
        _base(SearchSpace(knobs), study_result())


def test_a_study_leaves_what_belongs_to_layers_at_their_defaults():
    space = SearchSpace((Knob("network", "strategy", ("Performance", "Size"), "Performance"),))
    assert dict(_base(space, study_result())) == {"network/strategy": "Size"}
    assert dict(_base(space, measured_result())) == {"network/strategy": "Performance"}


def test_a_study_below_a_restricted_front_is_held_against_the_bound():
    result = study_result()
    weights = dict.fromkeys(result.objective.weights, 1.0)
    metrics = {name: result.best.metrics[name] for name in weights}
    base = result.best.configuration
    worse = FrontPoint(base, {name: 2 * value for name, value in metrics.items()})
    front = Front(tuple(weights), (worse,), 0.0, 10, notes=("No layer goes on depth-first.",))
    bound = Bound({name: value / 2 for name, value in metrics.items()})
    standing = _standing(result, front, bound, weights, base)
    assert standing.gap.excess == pytest.approx(1.0)
    assert standing.gap.nearest is None
    assert standing.front_cost == pytest.approx(2 * standing.gap.cost)
    better = replace(front, points=(FrontPoint(base, metrics),))
    assert _standing(result, better, bound, weights, base).front_cost is None


def test_the_exact_front_is_printed_and_drawn(npu_tune, here):
    ended = npu_tune("front", "ds-cnn", *N6, "--plot", "front.svg")
    assert ended.code == 0, ended.err
    assert "Front (exact; " in ended.out
    assert "all solutions ..." in ended.err
    assert (here / "front.svg").read_text().startswith("<?xml")


def test_what_cannot_be_found_exactly_is_answered_with_the_bound(npu_tune):
    ended = npu_tune("front", "ds-cnn", *N6, "--most-labels", 2, "--quiet")
    assert ended.code == 0, ended.err
    assert "Bound, not a front: The exact front takes more than 2 labels." in ended.out
    assert not ended.err


@pytest.mark.slow
def test_a_study_is_held_against_the_optimum_in_the_documented_schema(npu_tune, here):
    tuned = npu_tune(
        "tune", "resnet8", *N6, "--workers", 1, "--evaluations", 40, "--study", "s", "--quiet"
    )
    assert tuned.code == 0, tuned.err
    # Its best trial packs memory by size, which has no exact front.
    document = npu_tune("front", "resnet8", *N6, "--study", "s", "--quiet", "--json").document
    assert document["kind"] == "bound"
    assert "by_size" in document["reason"]
    assert document["bound"]["front"]
    assert document["standing"]["excess"] >= -1e-11
    assert document["standing"]["hypervolume_share"] is None
    text = npu_tune("front", "resnet8", *N6, "--study", "s", "--quiet", "--plot", "s.png")
    assert "above the bound" in text.out
    other = npu_tune("front", "ds-cnn", *N6, "--study", "s", "--quiet")
    assert other.code == 5


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("front", "ds-cnn", "--target", "ethos-u85-256"), 4, "knows no optima"),
        (("front", "ds-cnn", *N6, "--objective", "latency"), 2, "no metric|does not report"),
        (("front", "ds-cnn", *N6, "--study", "nowhere"), 2, "no study"),
    ],
)
def test_what_makes_no_sense_ends_with_its_documented_code(npu_tune, here, arguments, code, words):
    ended = npu_tune(*arguments)
    assert ended.code == code
    assert any(word in ended.err for word in words.split("|"))
