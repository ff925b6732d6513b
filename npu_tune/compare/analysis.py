"""What a comparison says: medians, arrivals, and sampler against sampler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd

from npu_tune.compare.comparing import ComparisonResult
from npu_tune.compare.recording import ProblemName
from npu_tune.compare.regrets import ProblemCurves, problem_curves
from npu_tune.compare.scores import Floats, tidy_table
from npu_tune.compare.statistics import a12, first_reached, holm, median, quartiles, wilcoxon_p

TIE = 1e-9
"""Medians closer than this are equal: sums of the same figures in another order."""

Problems = Mapping[ProblemName, ProblemCurves]
Row = dict[str, object]


@dataclass(frozen=True)
class Analysis:
    """Everything that tables, figures and the summary are made of.

    Args:
        result: the comparison.
        table: tidy, one row per evaluation.
        problems: the curves, by name.
        medians: per problem, sampler and checkpoint: quartiles of cost, hypervolume and regret.
        arrivals: per problem, sampler and level: quartiles of the evaluations until it was
            reached, infinite where it was not, and the share of runs that reached it.
        pairs: per problem, checkpoint and ordered pair of samplers: regrets, effect, p-value.
        overall: the same over all problems.
    """

    result: ComparisonResult
    table: pd.DataFrame
    problems: Problems
    medians: pd.DataFrame
    arrivals: pd.DataFrame
    pairs: pd.DataFrame
    overall: pd.DataFrame


def analyse(result: ComparisonResult) -> Analysis:
    """Works out what a comparison says: a function of its file and its recording alone.

    Raises:
        MissingExtraError: if SciPy is not installed.
    """
    comparison = result.comparison
    table = tidy_table(result.recording, reference_point=comparison.report.reference_point)
    problems = problem_curves(result, table)
    pairs = pd.DataFrame(_pairs(problems, comparison.checkpoints), columns=_PAIR_COLUMNS)
    return Analysis(
        result=result,
        table=table,
        problems=problems,
        medians=pd.DataFrame(_medians(problems, comparison.checkpoints)),
        arrivals=pd.DataFrame(_arrivals(problems, comparison.report.within)),
        pairs=pairs,
        overall=_with_holm(pd.DataFrame(_overall(problems, pairs), columns=_OVERALL_COLUMNS)),
    )


def _labels(name: ProblemName) -> Row:
    return {"network": name.network, "target": name.target, "objective": name.objective}


def _medians(problems: Problems, checkpoints: Sequence[int]) -> Iterator[Row]:
    for name, curve in problems.items():
        columns = {"cost": curve.best, "hypervolume": curve.hypervolume, "regret": curve.regret}
        for sampler, regret in curve.regret.items():
            for checkpoint in checkpoints:
                seeds = int((~np.isnan(regret[:, -1])).sum())
                row = _labels(name)
                row |= {"sampler": sampler, "evaluations": checkpoint, "seeds": seeds}
                for column, values in columns.items():
                    at = values[sampler][:, checkpoint - 1] if sampler in values else [np.nan]
                    low, middle, high = quartiles(at)
                    row |= {f"{column}_q1": low, column: middle, f"{column}_q3": high}
                yield row | {"reference": curve.reference.source}


def _arrivals(problems: Problems, within: float) -> Iterator[Row]:
    """Evaluations until near the reference, and until each rival's median final result."""
    for name, curve in problems.items():
        levels = {near(within): within} | {
            final_of(rival): median(regret[:, -1]) + TIE for rival, regret in curve.regret.items()
        }
        for sampler, regret in curve.regret.items():
            for label, level in levels.items():
                reached = first_reached(regret, level)
                low, middle, high = quartiles(reached)
                yield _labels(name) | {
                    "sampler": sampler,
                    "level": label,
                    "evaluations_q1": low,
                    "evaluations": middle,
                    "evaluations_q3": high,
                    "reached": float(np.isfinite(reached).sum() / (~np.isnan(reached)).sum()),
                }


def near(within: float) -> str:
    """The level of having come near the reference."""
    return f"within {100 * within:g} %"


def final_of(rival: str) -> str:
    """The level of a rival's median final result."""
    return f"final of {rival}"


_PAIR_COLUMNS = [
    *("network", "target", "objective", "evaluations", "sampler", "rival"),
    *("regret", "rival_regret", "outcome", "a12", "p"),
]


def _pairs(problems: Problems, checkpoints: Sequence[int]) -> Iterator[Row]:
    for name, curve in problems.items():
        for checkpoint in checkpoints:
            at = {title: regret[:, checkpoint - 1] for title, regret in curve.regret.items()}
            for sampler, rival in permutations(at, 2):
                regret, rival_regret = median(at[sampler]), median(at[rival])
                yield _labels(name) | {
                    "evaluations": checkpoint,
                    "sampler": sampler,
                    "rival": rival,
                    "regret": regret,
                    "rival_regret": rival_regret,
                    "outcome": _outcome(regret, rival_regret),
                    "a12": a12(at[sampler], at[rival]),
                    "p": wilcoxon_p(at[sampler], at[rival]),
                }


def _outcome(ours: float, theirs: float) -> str:
    if ours == theirs or abs(ours - theirs) <= TIE:
        return "tie"
    return "win" if ours < theirs else "loss"


_OVERALL_COLUMNS = [
    *("evaluations", "sampler", "rival", "problems", "wins", "ties", "losses"),
    *("a12", "p_runs", "p_problems"),
]


def _overall(problems: Problems, pairs: pd.DataFrame) -> Iterator[Row]:
    keys = pairs[["evaluations", "sampler", "rival"]].drop_duplicates()
    for key in keys.to_dict("records"):
        part = pairs[(pairs[list(key)] == pd.Series(key)).all(axis=1)]
        ours, theirs = _paired(problems, **key)
        counts = part["outcome"].value_counts()
        yield key | {
            "problems": len(part),
            "wins": int(counts.get("win", 0)),
            "ties": int(counts.get("tie", 0)),
            "losses": int(counts.get("loss", 0)),
            "a12": float(part["a12"].mean()),
            "p_runs": wilcoxon_p(ours, theirs),
            "p_problems": wilcoxon_p(part["regret"], part["rival_regret"]),
        }


def _with_holm(overall: pd.DataFrame) -> pd.DataFrame:
    """Adds ``p_holm``: ``p_runs`` adjusted for all pairs of samplers at the same checkpoint."""
    # Every pair stands there in both directions, with the same p.
    once = overall[overall["sampler"] < overall["rival"]]
    adjusted = {
        (row["evaluations"], row["sampler"], row["rival"]): p
        for _, part in once.groupby("evaluations")
        for row, p in zip(part.to_dict("records"), holm(part["p_runs"]), strict=True)
    }
    keys = zip(overall["evaluations"], overall["sampler"], overall["rival"], strict=True)
    return overall.assign(p_holm=[adjusted[n, *sorted((a, b))] for n, a, b in keys])


def _paired(
    problems: Problems, *, evaluations: int, sampler: str, rival: str
) -> tuple[Floats, Floats]:
    """Regrets of both, problem by problem and seed by seed."""
    both = [c.regret for c in problems.values() if sampler in c.regret and rival in c.regret]
    return (
        np.concatenate([regret[sampler][:, evaluations - 1] for regret in both]),
        np.concatenate([regret[rival][:, evaluations - 1] for regret in both]),
    )
