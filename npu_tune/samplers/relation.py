"""How the objectives come out of the profile: which columns, added up how, with which factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from npu_tune.samplers.history import Floats
from npu_tune.samplers.profiles import LARGEST, MAX, SUM, Profiles
from npu_tune.samplers.surrogate import Figure

_MOST_TERMS = 3
_ENOUGH = 0.9995
"""The share of an objective's variance beyond which no further column is looked for."""

_WORTHWHILE = 0.7
"""A further column must leave no more than this share of what was unexplained before."""

_PREFERRED = "cycles"
"""The column every target has; among columns that explain equally much it is taken."""


@dataclass(frozen=True)
class Relation:
    """A score as a sum of figures added up over the layers, each with a positive factor.

    Args:
        factors: by figure.
        explained: the share of the score's variance that this explains.
    """

    factors: dict[Figure, float]
    explained: float

    def part(self, kind: int) -> dict[Figure, float]:
        """The figures that are added up in one way."""
        return {figure: f for figure, f in self.factors.items() if figure.kind == kind}


def relate(profiles: Profiles, scores: Floats) -> Relation:
    """Fits a score to the profiles' totals, trials with better scores counting more.

    Args:
        profiles: of the trials.
        scores: per trial that has a profile, lower is better; infinite ones do not count.
    """
    totals: Floats = np.stack([profiles.totals(SUM), profiles.totals(MAX)], axis=2)
    usable = np.abs(scores) <= LARGEST
    totals, scores = totals[usable], scores[usable]
    figures = [Figure(c, kind) for c in range(len(profiles.columns)) for kind in (SUM, MAX)]
    columns: Floats = totals.reshape(len(scores), len(figures))
    spread = columns.std(axis=0) if len(scores) else np.zeros(len(figures))
    varying = np.flatnonzero(
        spread > 1e-9 * np.maximum(np.abs(columns).max(axis=0, initial=0), 1e-300)
    )
    scale = float(scores.std()) if len(scores) > 1 else 0.0
    if not len(varying) or scale <= 1e-12 * max(float(np.abs(scores).max(initial=0)), 1e-300):
        return Relation({}, 0.0)
    weights = np.sqrt(0.05 + np.exp(-(scores - scores.min()) / scale))
    chosen: list[int] = []
    left = _unexplained(columns[:, :0], scores, weights)
    whole = left.rest
    while len(chosen) < _MOST_TERMS and left.rest > (1 - _ENOUGH) * whole:
        fits = [
            (_unexplained(columns[:, np.array([*chosen, i])], scores, weights), i)
            for i in varying
            if i not in chosen
        ]
        allowed = [(fit, i) for fit, i in fits if (fit.factors > 0).all()]
        if not allowed:
            break
        least = min(fit.rest for fit, _ in allowed)
        if least > _WORTHWHILE * left.rest:
            break
        near = [(fit, i) for fit, i in allowed if fit.rest <= least * 1.05 + 1e-9 * whole]
        left, best = min(near, key=lambda each: _rank(profiles, figures[each[1]]))
        chosen.append(int(best))
    factors = {figures[i]: float(f) for i, f in zip(chosen, left.factors, strict=True)}
    return Relation(factors, 1.0 - left.rest / whole if whole else 0.0)


@dataclass(frozen=True)
class _Fit:
    factors: Floats
    rest: float


def _unexplained(columns: Floats, scores: Floats, weights: Floats) -> _Fit:
    design = np.concatenate([columns, np.ones((len(scores), 1))], axis=1)
    scale = np.abs(design).max(axis=0)
    weighted = design / scale * weights[:, None]
    normal = weighted.T @ weighted
    normal[np.diag_indices_from(normal)] += 1e-9 * len(scores)
    factors = np.linalg.solve(normal, weighted.T @ (scores * weights))
    rest = float((((design / scale) @ factors - scores) ** 2 * weights**2).sum())
    return _Fit((factors / scale)[:-1], rest)


def _rank(profiles: Profiles, figure: Figure) -> tuple[bool, int, int]:
    return profiles.columns[figure.column] != _PREFERRED, figure.kind, figure.column


def default_relation(profiles: Profiles, columns: Sequence[str] = (_PREFERRED,)) -> Relation:
    """What is assumed before there is anything to fit: the sum of the cycles."""
    known = [c for c in columns if c in profiles.columns] or profiles.columns[:1]
    return Relation({Figure(profiles.columns.index(c), SUM): 1.0 for c in known}, 0.0)
