"""What a configuration changes against the default, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from npu_tune.space import NETWORK_SCOPE, Value
from npu_tune.tuning.changes import knob_changes
from npu_tune.tuning.records import StudyResult, TrialRecord

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class LayerChange:
    """One layer in the baseline and in another trial.

    Args:
        layer: its name, or ``network`` for what belongs to the whole network.
        changes: by knob name, the default's value and the trial's.
        cost_before: in the baseline, in the unit of :class:`npu_tune.targets.ProfileSchema`; None
            where its profile has no such layer.
        cost_after: the same in the trial.
    """

    layer: str
    changes: Mapping[str, tuple[Value | None, Value]]
    cost_before: float | None = None
    cost_after: float | None = None

    @property
    def is_change(self) -> bool:
        """True where a knob or the layer's cost differs."""
        return bool(self.changes) or self.cost_before != self.cost_after


def layer_changes(result: StudyResult, trial: TrialRecord) -> tuple[LayerChange, ...]:
    """Every layer of the profile in execution order, with what ``trial`` changes in it.

    The whole network comes first where a network-wide knob changed; layers that have a changed
    knob but no row in either profile (they were fused into another one) come last.
    """
    column = result.profile.cost
    changes = knob_changes(trial.configuration, result.default)
    before = result.baseline.profile if result.baseline is not None else {}
    ordered = dict.fromkeys([NETWORK_SCOPE, *trial.profile, *before, *changes])
    if NETWORK_SCOPE not in changes:
        del ordered[NETWORK_SCOPE]
    return tuple(
        LayerChange(
            layer=layer,
            changes=changes.get(layer, {}),
            cost_before=before.get(layer, {}).get(column),
            cost_after=trial.profile.get(layer, {}).get(column),
        )
        for layer in ordered
    )


def layers_frame(result: StudyResult, trial: TrialRecord) -> pd.DataFrame:
    """The same as a table, by layer: the trial's values that are changes, and both costs."""
    import pandas as pd  # noqa: PLC0415 - slow to import

    rows = layer_changes(result, trial)
    table = {
        "changes": [{knob: after for knob, (_, after) in row.changes.items()} for row in rows],
        "before": [row.cost_before for row in rows],
        "after": [row.cost_after for row in rows],
    }
    index = pd.Index([row.layer for row in rows], name="layer")
    return pd.DataFrame(table, index=index).astype({"before": float, "after": float})
