"""What a study is at: named in its progress, and worked out again from its trials."""

from __future__ import annotations

from enum import StrEnum

from npu_tune.tuning.trial import BASELINE, CONFIRMATION, FINALIST, POLISH, SAMPLER


class Phase(StrEnum):
    """What a study is at, in the order in which it comes to it; the value is for people."""

    READING = "reading the model"
    QUANTIZING = "making it int8"
    FRONT_END = "front end"
    REFERENCES = "references"
    WORKERS = "starting workers"
    BASELINE = "baseline"
    STARTS = "planned starts"
    SEARCH = "search"
    REPEATS = "repeats"
    POLISHING = "polishing"
    AGAIN = "baseline again"
    RIVALS = "rivals"
    METRICS = "other metrics"
    BOUND = "bound"
    ENDING = "ending"
    """Any of the last four, of which no trial tells which."""

    @property
    def is_opening(self) -> bool:
        """True where it may still turn out that there is no study at all."""
        return self in _OPENING

    @property
    def is_before(self) -> bool:
        """True where nothing is evaluated yet, and how many trials there are is not known."""
        return self in _BEFORE

    @property
    def is_after(self) -> bool:
        """True where the search has ended, and only what is stated of it is worked out."""
        return self in _AFTER


_OPENING = frozenset({Phase.READING, Phase.QUANTIZING, Phase.FRONT_END})
_BEFORE = _OPENING | {Phase.REFERENCES, Phase.WORKERS}
_AFTER = frozenset({Phase.AGAIN, Phase.RIVALS, Phase.METRICS, Phase.BOUND, Phase.ENDING})

_BY_ORIGIN = {
    BASELINE: Phase.BASELINE,
    SAMPLER: Phase.SEARCH,
    FINALIST: Phase.REPEATS,
    CONFIRMATION: Phase.REPEATS,
}


def phase_of(origin: str, before: Phase) -> Phase:
    """What a study is at that evaluates a trial of this origin.

    Args:
        origin: of a trial.
        before: what it was at, which another evaluation of the baseline between does not end.
    """
    if origin.startswith(POLISH):
        return Phase.POLISHING
    if origin.startswith("start: "):
        return Phase.STARTS
    return _BY_ORIGIN.get(origin, before)
