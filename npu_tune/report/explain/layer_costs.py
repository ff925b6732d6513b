"""Where the time goes: what each layer costs before and after, and what bounds it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from npu_tune.report.layer_figures import layer_figures
from npu_tune.space import Value
from npu_tune.targets import ProfileSchema
from npu_tune.tuning.records import StudyResult, TrialRecord

DOMINANT_SHARE = 0.25
"""Of the whole cost, from which a single layer is worth a sentence."""

COMMON_SHARE = 0.5
"""Of the whole cost, from which what bounds so much of it is worth a sentence."""


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One layer in the baseline and in another trial.

    Args:
        layer: its name.
        before: cost in the baseline, in the profile's unit; None where it has no such layer.
        after: cost in the trial; None where it has none.
        share_before: of the baseline's layers together.
        share_after: of the trial's.
        cause_before: the part of the hardware that bounds it in the baseline; "" for unknown.
        cause_after: the same in the trial.
        changes: by knob, the default's value and the trial's.
    """

    layer: str
    before: float | None
    after: float | None
    share_before: float
    share_after: float
    cause_before: str
    cause_after: str
    changes: Mapping[str, tuple[Value | None, Value]]


def layer_costs(result: StudyResult, trial: TrialRecord) -> tuple[LayerCost, ...]:
    """Every layer of the profiles in execution order; nothing where the target reports none."""
    return tuple(
        LayerCost(
            each.change.layer,
            each.change.cost_before,
            each.change.cost_after,
            each.before.share or 0.0,
            each.after.share or 0.0,
            each.before.bound_by,
            each.after.bound_by,
            each.change.changes,
        )
        for each in layer_figures(result, trial)
        if not each.is_network and (each.before.row or each.after.row)
    )


def cause_shares(rows: Iterable[LayerCost]) -> dict[str, float]:
    """By what bounds them, the share of the trial's cost that layers take, largest first."""
    shares: defaultdict[str, float] = defaultdict(float)
    for row in rows:
        if row.cause_after:
            shares[row.cause_after] += row.share_after
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def advice(rows: Sequence[LayerCost], schema: ProfileSchema) -> tuple[str, ...]:
    """Plain sentences where one layer, or one part of the hardware, takes most of the cost."""
    if not rows:
        return ()
    whole = cost_in_words(schema)
    return (*_dominant_layers(rows, whole), *_common_cause(rows, whole))


def cost_in_words(schema: ProfileSchema) -> str:
    """What the costs of the layers add up to, in words."""
    return "the time" if schema.unit in _TIME_UNITS else f"all {schema.cost}"


def _dominant_layers(rows: Sequence[LayerCost], whole: str) -> Iterable[str]:
    for row in sorted(rows, key=lambda row: -row.share_after):
        if row.share_after >= DOMINANT_SHARE:
            because = _REASONS.get(row.cause_after, "")
            yield f"{row.layer} takes {row.share_after:.0%} of {whole}{because}."


def _common_cause(rows: Sequence[LayerCost], whole: str) -> Iterable[str]:
    for cause, share in cause_shares(rows).items():
        if share >= COMMON_SHARE and len(rows) > 1:
            remedy = _REMEDIES.get(cause, "")
            yield f"Layers bounded by {cause} take {share:.0%} of {whole}{remedy}."


_TIME_UNITS = ("cycles", "s", "ms", "us", "ns")

_REASONS: Mapping[str, str] = {
    "flash": ": reading from flash takes longer than computing",
    "on-chip flash": ": reading from on-chip flash takes longer than computing",
    "weights": ": copying its weights to fast memory takes longer than computing",
    "preloading": ": it waits for weights that are loaded before it runs",
    "fixed cost": ": being started takes longer than what it does",
    "DRAM": ": what it reads and writes in DRAM takes longer than computing",
    "SRAM": ": what it reads and writes in SRAM takes longer than computing",
    "RAM": ": what it reads and writes in RAM takes longer than computing",
    "compute": ", computing",
    "CPU": ", on the CPU and not the NPU",
}
"""By what bounds a layer, why it takes long."""

_WEIGHTS = (
    ": fewer or more compressible weights, or weights kept in fast memory, make the network faster; "
    "a faster NPU does not"
)

_JOINING = (
    ": joining layers, so that maps between them stay small, makes the network faster; a faster NPU "
    "does not"
)

_REMEDIES: Mapping[str, str] = {
    "flash": _WEIGHTS,
    "on-chip flash": _WEIGHTS,
    "weights": _WEIGHTS,
    "preloading": _WEIGHTS,
    "fixed cost": ": fewer and larger layers, or layers that run as one, make the network faster",
    "DRAM": ": smaller maps, or more of them in faster memory, make the network faster; a faster "
    "NPU does not",
    "SRAM": _JOINING,
    "RAM": _JOINING,
    "compute": ": only fewer operations, or an NPU with more units, make it much faster",
    "CPU": ": operators that the NPU can do instead make the network faster",
}
"""By what bounds most of the cost, what helps."""
