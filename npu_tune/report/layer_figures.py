"""Everything that is known of each layer, in the baseline and in another trial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from npu_tune.report.layers import LayerChange, layer_changes
from npu_tune.space import NETWORK_SCOPE
from npu_tune.targets import ProfileSchema, bounding_cause
from npu_tune.tuning.records import StudyResult, TrialRecord


@dataclass(frozen=True, slots=True)
class LayerState:
    """A layer in one trial.

    Args:
        row: of the profile; empty where it has none.
        share: of the cost of all layers; None where it costs nothing that is known.
        bound_by: the part of the hardware that bounds it; "" where nobody can tell.
    """

    row: Mapping[str, float] = field(default_factory=dict)
    share: float | None = None
    bound_by: str = ""


@dataclass(frozen=True, slots=True)
class LayerFigures:
    """A layer before and after.

    Args:
        change: what was chosen for it.
        before: in the baseline.
        after: in the trial.
    """

    change: LayerChange
    before: LayerState
    after: LayerState

    @property
    def is_network(self) -> bool:
        """True for the choices of the whole network, which have no row of their own."""
        return self.change.layer == NETWORK_SCOPE


def layer_figures(result: StudyResult, trial: TrialRecord) -> tuple[LayerFigures, ...]:
    """Every layer in the order of :func:`npu_tune.report.layer_changes`.

    Args:
        result: of the study.
        trial: that is compared with its baseline.
    """
    profiles = ({} if result.baseline is None else result.baseline.profile, trial.profile)
    column = result.profile.cost
    totals = [sum(row.get(column, 0.0) for row in profile.values()) for profile in profiles]
    return tuple(
        LayerFigures(
            change,
            *(
                _state(result.profile, profile.get(change.layer, {}), total)
                for profile, total in zip(profiles, totals, strict=True)
            ),
        )
        for change in layer_changes(result, trial)
    )


def _state(schema: ProfileSchema, row: Mapping[str, float], total: float) -> LayerState:
    cost = row.get(schema.cost)
    share = None if cost is None or not total else cost / total
    return LayerState(row, share, bounding_cause(schema, row))
