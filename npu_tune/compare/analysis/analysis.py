"""Analysis of a comparison: medians, arrivals, and sampler against sampler."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd

from npu_tune.compare.analysis.best_known import add_igd_plus, find_best_known
from npu_tune.compare.analysis.regrets import ProblemCurves, problem_curves
from npu_tune.compare.analysis.scores import tidy_table
from npu_tune.compare.analysis.statistics import (
    a12,
    evaluations_to_level,
    holm,
    median,
    quartiles,
    wilcoxon_p,
)
from npu_tune.compare.file.labels import ALL_TARGETS
from npu_tune.compare.runs.comparison import ComparisonResult
from npu_tune.compare.runs.recording import ProblemName
from npu_tune.pareto import Floats

TIE = 1e-9
"""Medians closer than this are equal: sums of the same numbers in another order differ."""

Problems = Mapping[ProblemName, ProblemCurves]
Row = dict[str, object]


@dataclass(frozen=True)
class Analysis:
    """Results of a comparison, from which tables, figures and the summary are made.

    Args:
        result: the comparison.
        table: tidy, one row per evaluation.
        problems: the curves by name of the problem.
        medians: per problem, sampler and checkpoint: quartiles of cost, hypervolume, IGD+,
            share of feasible evaluations, and regret.
        arrivals: per problem, sampler and level of regret: quartiles of the evaluations until
            runs reached it, infinite where they did not, and the share of runs that did.
        pairs: per problem, checkpoint and ordered pair of samplers: number of seeds both have,
            median regrets, effect size, p-value.
        overall: the same over all problems of a scope; see :func:`scopes`.
    """

    result: ComparisonResult
    table: pd.DataFrame
    problems: Problems
    medians: pd.DataFrame
    arrivals: pd.DataFrame
    pairs: pd.DataFrame
    overall: pd.DataFrame

    def to_dataframe(self) -> pd.DataFrame:
        """The tidy table: one row per evaluation of every run."""
        return self.table


def analyse(result: ComparisonResult) -> Analysis:
    """Analyses a comparison: a function of its file and its recording alone.

    Raises:
        MissingExtraError: if SciPy is not installed.
    """
    comparison = result.comparison
    recording, corner = result.recording, comparison.report.reference_point
    table = tidy_table(recording, reference_point=corner)
    best_known = find_best_known(recording, table, reference_point=corner)
    table = add_igd_plus(table, recording, best_known)
    problems = problem_curves(result, table, best_known)
    pairs = pd.DataFrame(_pair_rows(problems, comparison.checkpoints), columns=_PAIR_COLUMNS)
    overall = pd.DataFrame(_overall_rows(problems, pairs), columns=_OVERALL_COLUMNS)
    return Analysis(
        result=result,
        table=table,
        problems=problems,
        medians=pd.DataFrame(_median_rows(problems, comparison.checkpoints)),
        arrivals=pd.DataFrame(_arrival_rows(problems, comparison.report.within)),
        pairs=pairs,
        overall=_add_holm(overall),
    )


def _labels(name: ProblemName) -> Row:
    return {"network": name.network, "target": name.target, "objective": name.objective}


def _median_rows(problems: Problems, checkpoints: Sequence[int]) -> Iterator[Row]:
    for name, curve in problems.items():
        columns = {
            "cost": curve.best,
            "hypervolume": curve.hypervolume,
            "igd_plus": curve.igd_plus,
            "feasible": curve.feasible,
            "regret": curve.regret,
        }
        for sampler, regret in curve.regret.items():
            for checkpoint in checkpoints:
                seeds = int((~np.isnan(regret[:, -1])).sum())
                row = _labels(name)
                row |= {"sampler": sampler, "evaluations": checkpoint, "seeds": seeds}
                for column, values in columns.items():
                    at = values[sampler][:, checkpoint - 1] if sampler in values else [np.nan]
                    low, middle, high = quartiles(at)
                    row |= {f"{column}_q1": low, column: middle, f"{column}_q3": high}
                yield row | {"reference": curve.best_known.source}


def _arrival_rows(problems: Problems, within: float) -> Iterator[Row]:
    """Evaluations until near the best known, and until each rival's median final regret."""
    for name, curve in problems.items():
        levels = {near_level(within): within} | {
            final_level(rival): median(regret[:, -1]) + TIE
            for rival, regret in curve.regret.items()
        }
        for sampler, regret in curve.regret.items():
            for label, level in levels.items():
                reached = evaluations_to_level(regret, level)
                low, middle, high = quartiles(reached)
                yield _labels(name) | {
                    "sampler": sampler,
                    "level": label,
                    "evaluations_q1": low,
                    "evaluations": middle,
                    "evaluations_q3": high,
                    "reached": float(np.isfinite(reached).sum() / (~np.isnan(reached)).sum()),
                }


def near_level(within: float) -> str:
    """Label of the level near the best known."""
    return f"within {100 * within:g} %"


def final_level(rival: str) -> str:
    """Label of the level of a rival's median final regret."""
    return f"final of {rival}"


_PAIR_COLUMNS = [
    *("network", "target", "objective", "evaluations", "sampler", "rival", "seeds"),
    *("regret", "rival_regret", "outcome", "a12", "p"),
]


def _pair_rows(problems: Problems, checkpoints: Sequence[int]) -> Iterator[Row]:
    for name, curve in problems.items():
        for checkpoint in checkpoints:
            at = {title: regret[:, checkpoint - 1] for title, regret in curve.regret.items()}
            for sampler, rival in permutations(at, 2):
                regret, rival_regret = median(at[sampler]), median(at[rival])
                yield _labels(name) | {
                    "evaluations": checkpoint,
                    "sampler": sampler,
                    "rival": rival,
                    "seeds": _count_pairs(at[sampler], at[rival]),
                    "regret": regret,
                    "rival_regret": rival_regret,
                    "outcome": _outcome(regret, rival_regret),
                    "a12": a12(at[sampler], at[rival]),
                    "p": wilcoxon_p(at[sampler], at[rival]),
                }


def _count_pairs(ours: Floats, theirs: Floats) -> int:
    """Number of seeds with a run of both samplers."""
    return int((~np.isnan(ours) & ~np.isnan(theirs)).sum())


def _outcome(ours: float, theirs: float) -> str:
    if ours == theirs or abs(ours - theirs) <= TIE:
        return "tie"
    return "win" if ours < theirs else "loss"


_OVERALL_COLUMNS = [
    *("objective", "target", "evaluations", "sampler", "rival", "problems"),
    *("wins", "ties", "losses", "a12", "pairs", "p_runs", "p_problems"),
]


def scopes(problems: Iterable[ProblemName]) -> list[tuple[str, str]]:
    """Groups of problems that may be counted together, as pairs of objective and target.

    Regrets of different objectives are never put together. Beside the scope of each target stands
    that of all targets, under the target ``all``.
    """
    found: dict[str, dict[str, None]] = {}
    for name in problems:
        found.setdefault(name.objective, {})[name.target] = None
    return [
        (objective, target)
        for objective, targets in found.items()
        for target in ([*targets, ALL_TARGETS] if len(targets) > 1 else targets)
    ]


def in_scope(table: pd.DataFrame, objective: str, target: str) -> pd.DataFrame:
    """Selects the rows of a table that belong to a scope."""
    table = table[table["objective"] == objective]
    return table if target == ALL_TARGETS else table[table["target"] == target]


def curves_in_scope(problems: Problems, objective: str, target: str) -> list[ProblemCurves]:
    """Selects the curves of the problems that belong to a scope."""
    return [
        curves
        for name, curves in problems.items()
        if name.objective == objective and target in (name.target, ALL_TARGETS)
    ]


def _overall_rows(problems: Problems, pairs: pd.DataFrame) -> Iterator[Row]:
    columns = ["evaluations", "sampler", "rival"]
    for objective, target in scopes(problems):
        scope = in_scope(pairs, objective, target)
        inside = [curve.regret for curve in curves_in_scope(problems, objective, target)]
        for row in scope[columns].drop_duplicates().to_dict("records"):
            key: dict[str, Any] = {str(column): value for column, value in row.items()}
            part = scope[(scope[columns] == pd.Series(key)).all(axis=1)]
            ours, theirs = _paired_regrets(inside, **key)
            counts = part["outcome"].value_counts()
            yield {
                "objective": objective,
                "target": target,
                **key,
                "problems": len(part),
                "wins": int(counts.get("win", 0)),
                "ties": int(counts.get("tie", 0)),
                "losses": int(counts.get("loss", 0)),
                "a12": float(part["a12"].mean()),
                "pairs": _count_pairs(ours, theirs),
                "p_runs": wilcoxon_p(ours, theirs),
                "p_problems": wilcoxon_p(part["regret"], part["rival_regret"]),
            }


def _add_holm(overall: pd.DataFrame) -> pd.DataFrame:
    """Adds ``p_holm``: ``p_runs`` adjusted for all pairs of samplers at a scope's checkpoint."""
    scope = ["objective", "target", "evaluations"]
    # Every pair is there in both directions, with the same p.
    once = overall[overall["sampler"] < overall["rival"]]
    adjusted = {
        (*key, row["sampler"], row["rival"]): p
        for key, part in once.groupby(scope)
        for row, p in zip(part.to_dict("records"), holm(part["p_runs"]), strict=True)
    }
    keys = (
        (*(row[column] for column in scope), *sorted((row["sampler"], row["rival"])))
        for row in overall.to_dict("records")
    )
    return overall.assign(p_holm=[adjusted[key] for key in keys])


def _paired_regrets(
    regrets: Sequence[Mapping[str, Floats]], *, evaluations: int, sampler: str, rival: str
) -> tuple[Floats, Floats]:
    """Regrets of both samplers, problem by problem and seed by seed."""
    both = [regret for regret in regrets if sampler in regret and rival in regret]
    return (
        np.concatenate([regret[sampler][:, evaluations - 1] for regret in both]),
        np.concatenate([regret[rival][:, evaluations - 1] for regret in both]),
    )
