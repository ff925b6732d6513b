"""A target with any number of knobs, and evaluations of the size of a real compiler's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from npu_tune.network import Network
from npu_tune.space import Configuration, Knob, SearchSpace
from npu_tune.targets import Evaluation, Kind, Metric, Problem

COLUMNS = tuple(f"column_{number}" for number in range(10))


@dataclass(frozen=True)
class WideTarget:
    """Three knobs a layer, fifteen metrics, and a profile of ten columns.

    Args:
        knobs: in all.
        on_evaluation: is called before every evaluation.
    """

    knobs: int = 94
    on_evaluation: Callable[[], None] | None = None

    name = "wide"
    metrics = (
        Metric("cycles", "", Kind.SIMULATED),
        *(Metric(f"metric_{number}", "", Kind.SIMULATED) for number in range(14)),
    )

    def bind(self, network: Network) -> Problem:
        return _WideProblem(self, network)

    def fingerprint(self) -> dict[str, str]:
        return {"knobs": str(self.knobs)}


class _WideProblem(Problem):
    target: WideTarget

    @cached_property
    def _space(self) -> SearchSpace:
        kinds = (
            ("block", tuple(range(8, 88, 8)), True),
            ("traversal", ("depth", "part", "rows"), False),
            ("cascade", (False, True), False),
        )
        knobs = []
        for number in range(self.target.knobs):
            name, values, ordered = kinds[number % 3]
            layer = f"block_{number // 3}/conv2d"
            knobs.append(Knob(layer, name, values, values[0], ordered=ordered))
        return SearchSpace(tuple(knobs))

    @property
    def space(self) -> SearchSpace:
        return self._space

    def evaluate(self, configuration: Configuration) -> Evaluation:
        if self.target.on_evaluation is not None:
            self.target.on_evaluation()
        profile: dict[str, dict[str, float]] = {}
        for place, knob in enumerate(self.space.knobs):
            value = knob.values.index(configuration[knob.full_name])
            row = profile.setdefault(knob.layer, dict.fromkeys(COLUMNS, 0.0))
            row["column_0"] += 1000.0 + 17.3 * (value - place % len(knob.values)) ** 2
            row["column_1"] += value / 7.0
            row["column_2"] += 4096.0 * value
        cycles = sum(row["column_0"] for row in profile.values())
        metrics = {metric.name: cycles / (1 + i) for i, metric in enumerate(self.metrics)}
        return Evaluation(metrics, profile, ("made up",))
