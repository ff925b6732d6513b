from dataclasses import dataclass

import pytest
from fake_targets import LayeredTarget, WrappedProblem, WrappedTarget, fake_network

from npu_tune.compare import analyse, run_comparison
from npu_tune.compare.runs.exact import add_exact_fronts, exact_front
from npu_tune.compare.runs.orders import Workload
from npu_tune.compare.runs.recording import ExactFront, ProblemName, Recording
from npu_tune.errors import TargetError
from npu_tune.evaluation.pool import Binding
from npu_tune.targets.oracle import Bound, Front, FrontPoint


@dataclass(frozen=True)
class Knowing(WrappedTarget):
    """Knows a made-up front, which is better where the network is compiled for speed."""

    fails: bool = False
    only: str = ""
    tolerance: float = 0.0

    def bind(self, network):
        return KnowingProblem(self, self.inner.bind(network))


class KnowingProblem(WrappedProblem):
    def front(self, *, objectives, base, progress, tolerance=0.0, most_labels=None):
        asked = self.target
        if asked.fails or asked.only not in ("", base["network/strategy"]):
            raise TargetError("Out of reach.")
        progress("labels", 1, 2)
        factor = 0.5 if base["network/strategy"] == "speed" else 1.0
        optima = [
            {"cycles": 100.0 * factor, "sram_bytes": 9.0},
            {"cycles": 200.0, "sram_bytes": 8.0},
        ]
        points = tuple(FrontPoint(base, row) for row in optima)
        return Front(tuple(objectives), points, asked.tolerance, 10)

    def bases(self):
        default = self.space.default
        return tuple(default.replace({"network/strategy": value}) for value in ("size", "speed"))

    def bound(self, *, base=None):
        return Bound({})


def workload_of(target):
    problem = target.bind(fake_network(2))
    return Workload(problem.identity, Binding.of(problem))


@pytest.fixture
def problem(comparison):
    def make(**objective):
        return run_comparison(comparison(objective=objective)).recording.problems[0]

    return make


def ask(problem, limit_s=60.0, **target):
    return exact_front(workload_of(Knowing(**target)), problem, limit_s=limit_s)


def test_the_front_is_that_over_all_choices_of_the_whole_network(problem):
    assert ask(problem()) == ExactFront(((50.0, 9.0), (200.0, 8.0)), 1.0)


def test_a_front_that_cannot_be_told_for_every_choice_covers_a_share(problem):
    assert ask(problem(), only="size") == ExactFront(((100.0, 9.0), (200.0, 8.0)), 0.5)


def test_points_beyond_a_limit_are_left_out(problem):
    assert ask(problem(limits={"cycles": 150.0})) == ExactFront(((50.0, 9.0),), 1.0)
    assert ask(problem(metrics=["sram_bytes"], limits={"cycles": 150.0})) == ExactFront(
        ((9.0,),), 1.0
    )


def test_points_below_a_lower_limit_are_left_out(problem):
    kept = ask(problem(limits={"cycles": ">= 150"}))
    assert kept == ExactFront(((200.0, 8.0),), 1.0)


def test_there_is_none_where_the_target_cannot_tell_it_or_not_in_time(problem):
    known = problem()
    assert ask(known, fails=True) is None
    assert ask(known, tolerance=0.1) is None
    assert ask(known, limit_s=-1.0) is None
    assert exact_front(workload_of(LayeredTarget()), known, limit_s=60.0) is None
    assert ask(problem(directions={"cycles": "maximize"})) is None


def test_a_front_that_was_found_before_is_not_asked_for_again(problem):
    known = problem()
    before = Recording((with_front(known),), ())
    again = add_exact_fronts(Recording((known,), ()), before, {}, limit_s=1.0)
    assert again.problems == before.problems


def with_front(problem):
    names = {(problem.name.network, problem.name.target): workload_of(Knowing())}
    return add_exact_fronts(Recording((problem,), ()), None, names, limit_s=60.0).problems[0]


@pytest.mark.slow
def test_no_run_on_a_neural_art_is_better_than_its_exact_front(comparison, here):
    asked = comparison(
        compare={
            "evaluations": 40,
            "seeds": 1,
            "folder": "kept",
            "exact": True,
            "exact_limit": "20s",
        },
        network=[{"path": "autoencoder"}],
        target=[{"name": "neural-art-stm32n6"}],
    )
    analysis = analyse(run_comparison(asked))
    curve = analysis.problems[ProblemName("autoencoder", "neural-art-stm32n6", "weighted")]
    assert curve.best_known.source == "partly exact"
    assert min(regret.min() for regret in curve.regret.values()) >= -1e-9
    replayed = asked.relocate(replay=here / "kept", folder=here / "again")
    assert analyse(run_comparison(replayed)).medians.equals(analysis.medians)
