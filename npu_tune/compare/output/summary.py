"""Summary of a comparison in Markdown: which sampler wins and which loses where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from npu_tune.compare.analysis.analysis import (
    Analysis,
    final_level,
    in_scope,
    near_level,
    scopes,
)
from npu_tune.compare.analysis.regrets import ProblemCurves
from npu_tune.compare.analysis.statistics import median
from npu_tune.compare.file.config import ComparisonFile
from npu_tune.compare.file.labels import ALL_TARGETS
from npu_tune.compare.output.markdown import (
    count_of_seeds,
    evaluations,
    four_digits,
    markdown_table,
    p_value,
    percent,
)

_STANDINGS = (
    "Regrets, IGD+ and shares of feasible evaluations are medians over problems of the median "
    "over seeds, the last two at the end, as are ranks, 1 being best. Below, the problems won, "
    "tied and lost by the median at the end. A12 is how often a run of the first is better than "
    "one of the second (0.5: no difference), in the mean over problems. p is of Wilcoxon's "
    "signed-rank test over pairs of runs of the same problem and seed; Holm adjusts it for all "
    "pairs of samplers; the last one pairs the medians of problems, and so counts every problem "
    "once. `overall.csv` has every pair and checkpoint."
)


def summary_text(analysis: Analysis) -> str:
    """Formats the whole summary."""
    sections = [
        _heading(analysis),
        _failures(analysis),
        _per_scope(analysis),
        _lost_problems(analysis),
        _per_problem(analysis),
        _how_to_read(analysis),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _heading(analysis: Analysis) -> str:
    comparison = analysis.result.comparison
    runs = len(analysis.result.recording.runs)
    counts = [
        f"{len(comparison.network)} networks",
        f"{len(comparison.target)} targets",
        f"{len(comparison.objective)} objectives",
        f"{len(comparison.sampler)} samplers",
        f"{len(comparison.compare.seeds)} seeds",
    ]
    planned = comparison.planned
    missing = "" if runs == planned else f" **{planned - runs} of {planned} runs are missing.**"
    return (
        f"# {comparison.name}\n\n"
        f"{' x '.join(counts)}, {comparison.compare.evaluations:,} evaluations each, "
        f"{runs:,} runs.{missing}{_fewer_seeds(comparison)}"
    )


def _fewer_seeds(comparison: ComparisonFile) -> str:
    """A note on samplers that do not run with every seed."""
    every = len(comparison.compare.seeds)
    counts = {sampler.title: len(comparison.seeds_of(sampler)) for sampler in comparison.sampler}
    fewer = [f"{title} {count}" for title, count in counts.items() if count < every]
    if not fewer:
        return ""
    return (
        f"\n\nOf the {every} seeds, {', '.join(fewer)}: their medians are over those, and tests "
        "pair the seeds that both samplers have."
    )


def _failures(analysis: Analysis) -> str:
    lines = [f"- {order.name}: {error}" for order, error in analysis.result.failures]
    return "\n".join(["## Runs that failed", "", *lines]) if lines else ""


def _per_scope(analysis: Analysis) -> str:
    """Standings and tests per objective, and per target where there are several."""
    sections = [
        "## Standings",
        _STANDINGS,
    ]
    for objective, target in scopes(analysis.problems):
        where = "all targets" if target == ALL_TARGETS else target
        sections += [
            f"### {objective}, {where}",
            _standings(analysis, objective, target),
            _pairs(analysis, objective, target),
        ]
    return "\n\n".join(section for section in sections if section)


def _standings(analysis: Analysis, objective: str, target: str) -> str:
    """Table of a row per sampler: rank, regret at every checkpoint, arrival."""
    comparison = analysis.result.comparison
    checkpoints = comparison.checkpoints
    level = near_level(comparison.report.within)
    medians = in_scope(analysis.medians, objective, target)
    arrivals = in_scope(analysis.arrivals, objective, target)
    arrivals = arrivals[arrivals["level"] == level]
    final = medians[medians["evaluations"] == checkpoints[-1]]
    has_front = bool(final["igd_plus"].notna().any())
    # Sums of the same numbers in another order are one result.
    ranks = final.groupby(["network", "target"])["regret"].transform(lambda r: r.round(9).rank())
    ranks = ranks.groupby(final["sampler"]).mean().sort_values(kind="stable")
    rows = []
    for sampler, rank in ranks.items():
        own = medians[medians["sampler"] == sampler]
        regrets = (median(own.loc[own["evaluations"] == c, "regret"]) for c in checkpoints)
        last = final[final["sampler"] == sampler]
        arrived = arrivals[arrivals["sampler"] == sampler]
        rows.append(
            [
                str(sampler),
                count_of_seeds(own["seeds"]),
                f"{rank:.2f}",
                *(percent(regret) for regret in regrets),
                *([four_digits(median(last["igd_plus"]))] if has_front else []),
                evaluations(median(arrived["evaluations"])),
                percent(float(arrived["reached"].mean())),
                percent(median(last["feasible"])),
            ]
        )
    header = [
        "sampler",
        "seeds",
        "mean rank",
        *(f"regret at {checkpoint:,}" for checkpoint in checkpoints),
        *(["IGD+"] if has_front else []),
        f"evaluations to {level}",
        "runs that got there",
        "feasible",
    ]
    return markdown_table(header, rows)


def _pairs(analysis: Analysis, objective: str, target: str) -> str:
    """Table of the rival against each other sampler, at the end."""
    comparison = analysis.result.comparison
    rival = comparison.report.rival or comparison.sampler[0].title
    overall = in_scope(analysis.overall, objective, target)
    final = overall[
        (overall["evaluations"] == comparison.checkpoints[-1]) & (overall["sampler"] == rival)
    ]
    if final.empty:
        return ""
    arrivals = in_scope(analysis.arrivals, objective, target)
    own = arrivals[arrivals["sampler"] == rival]
    rows = [
        [
            row["sampler"],
            row["rival"],
            f"{row['wins']} / {row['ties']} / {row['losses']}",
            evaluations(median(own.loc[own["level"] == final_level(row["rival"]), "evaluations"])),
            f"{row['a12']:.2f}",
            *(p_value(row[column]) for column in ("p_runs", "p_holm", "p_problems")),
        ]
        for row in final.to_dict("records")
    ]
    header = [
        "sampler",
        "against",
        "won / tied / lost",
        "evaluations to its final median",
        *("A12", "p", "p (Holm)", "p (problems)"),
    ]
    return markdown_table(header, rows)


def _lost_problems(analysis: Analysis) -> str:
    """List of the problems on which each sampler loses, and to which other one."""
    comparison = analysis.result.comparison
    if len(comparison.sampler) < 2:
        return ""
    pairs = analysis.pairs
    final = pairs[
        (pairs["evaluations"] == comparison.checkpoints[-1]) & (pairs["outcome"] == "loss")
    ]
    lines = []
    for sampler in comparison.sampler:
        lost = final[final["sampler"] == sampler.title]
        if lost.empty:
            lines.append(f"- **{sampler.title}** loses nowhere.")
            continue
        lines.append(f"- **{sampler.title}** loses")
        lines.extend(
            f"  - {text}" for text in _loss_lines(lost, _distinguishing_columns(analysis))
        )
    return "## Who loses where\n\nMedian regrets at the end, its own first.\n\n" + "\n".join(lines)


def _distinguishing_columns(analysis: Analysis) -> list[str]:
    """Columns that it takes to tell one problem from another."""
    comparison = analysis.result.comparison
    columns = ["network"]
    if len(comparison.target) > 1:
        columns.append("target")
    if len(comparison.objective) > 1:
        columns.append("objective")
    return columns


def _loss_lines(lost: pd.DataFrame, columns: Sequence[str]) -> Iterator[str]:
    for rival, part in lost.groupby("rival", sort=False):
        places = [
            f"{' '.join(row[column] for column in columns)} "
            f"({percent(row['regret'])} : {percent(row['rival_regret'])}, p {p_value(row['p'])})"
            for row in part.to_dict("records")
        ]
        yield f"to {rival} on {', '.join(places)}"


def _per_problem(analysis: Analysis) -> str:
    """A table per target and objective, with a row per network and a column per sampler."""
    comparison = analysis.result.comparison
    sections = []
    for target in comparison.target:
        for objective in comparison.objective:
            curves = [
                curve
                for name, curve in analysis.problems.items()
                if (name.target, name.objective) == (target.title, objective.title)
            ]
            if curves:
                title = f"### {target.title}, {objective.title}"
                sections.append(f"{title}\n\n{_problem_table(analysis, curves)}")
    return "\n\n".join(["## Results at the end", *sections])


def _problem_table(analysis: Analysis, curves: Sequence[ProblemCurves]) -> str:
    titles = [sampler.title for sampler in analysis.result.comparison.sampler]
    pareto = curves[0].problem.objective.pareto
    rows = []
    for curve in curves:
        values = curve.hypervolume if pareto else curve.best
        finals = {t: median(values[t][:, -1]) for t in titles if t in values}
        best = (max if pareto else min)(finals.values())
        reference = curve.best_known.hypervolume if pareto else curve.best_known.cost
        cells = (_mark_best(finals.get(title), best) for title in titles)
        rows.append(
            [curve.problem.name.network, *cells, f"{reference:.4f} ({curve.best_known.source})"]
        )
    what = "Hypervolume as a share of the box" if pareto else "Cost; the baseline has 1"
    return f"{what}.\n\n" + markdown_table(["network", *titles, "reference"], rows)


def _mark_best(value: float | None, best: float) -> str:
    if value is None or not np.isfinite(value):
        return "-"
    text = four_digits(value)
    return f"**{text}**" if value == best else text


def _how_to_read(analysis: Analysis) -> str:
    comparison = analysis.result.comparison
    proposals = (
        "then the target's own proposals, then its own choices"
        if comparison.compare.starts
        else "and none of the target's own proposals"
    )
    return (
        "## How to read this\n\n"
        f"Every run evaluates {comparison.compare.evaluations:,} different configurations: the "
        f"default first, {proposals}. An answer that another run has already got costs an "
        "evaluation too; a configuration that a run proposes a second time costs nothing. "
        "The regret of a weighted objective is best cost / reference - 1, that of a front "
        "1 - hypervolume / reference; the reference is the exact optimum or front where the "
        "target can tell it, else (best known) the best of all runs here, which a longer search "
        "may beat, or (partly exact) the better of both. "
        "Hypervolumes reach up to "
        f"{comparison.report.reference_point:g} times the baseline in every metric. IGD+ is how "
        "far the front falls short of the reference front, in multiples of the baseline: 0 where "
        "it does nowhere. An evaluation is feasible that did not fail and keeps to the limits."
    )
