"""What a trial reports to Ray Tune: flat metrics, and its profile as one value."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from npu_tune.targets import Evaluation
from npu_tune.targets.profiles import pack_profile, unpack_profile

if TYPE_CHECKING:
    import pandas as pd

PROFILE = "profile"
"""The key of a result under which the profile stands."""

SAMPLES = "samples"
"""The key of a result with the number of evaluations that its metrics are the mean of."""


@dataclass(frozen=True, slots=True)
class LayerTable:
    """A profile as one small value, which Ray's tables and loggers show as a few words.

    Args:
        layers: number of rows.
        data: the packed profile as compressed JSON.
    """

    layers: int
    data: bytes

    @classmethod
    def of(cls, profile: Mapping[str, Mapping[str, float]]) -> LayerTable:
        text = json.dumps(pack_profile(profile), separators=(",", ":"))
        return cls(len(profile), zlib.compress(text.encode(), 1))

    def packed(self) -> dict[str, Any]:
        """As trials keep it: column names and rows."""
        table: dict[str, Any] = json.loads(zlib.decompress(self.data))
        return table

    def to_dataframe(self) -> pd.DataFrame:
        """One row per layer, in execution order."""
        return Evaluation({}, unpack_profile(self.packed())).to_dataframe()

    def __str__(self) -> str:
        return f"of {self.layers} layers"

    __repr__ = __str__


def report_of(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """What is reported of the evaluations of one configuration: the means of all numbers.

    Args:
        evaluations: one, or several samples of a measurement.
    """
    first = evaluations[0]
    report: dict[str, Any] = {
        name: fmean(e.metrics[name] for e in evaluations)
        for name in first.metrics
        if all(name in e.metrics for e in evaluations)
    }
    if first.profile:
        report[PROFILE] = LayerTable.of(_mean_profile([e.profile for e in evaluations]))
    return report


def _mean_profile(
    profiles: Sequence[Mapping[str, Mapping[str, float]]],
) -> Mapping[str, Mapping[str, float]]:
    if len(profiles) == 1:
        return profiles[0]
    return {
        layer: {
            column: fmean(p[layer][column] for p in profiles)
            for column in row
            if all(column in p.get(layer, {}) for p in profiles)
        }
        for layer, row in profiles[0].items()
    }
