"""The tables of the studies of samplers, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cells import (
    PROBLEM,
    count,
    four_digits,
    is_of,
    markdown,
    outcomes,
    p_value,
    percent,
    problem_cell,
    rows_by_problem,
    source,
)

from npu_tune.compare import Analysis
from npu_tune.compare.analysis.analysis import TIE
from npu_tune.compare.analysis.statistics import median, wilcoxon_p

RIVALS = ("tpe", "nsga2", "gp", "annealing")
"""Those that `profile` is held against, the best of them on each problem."""

OURS = "profile"
PAPER_SAMPLER, PAPER_RIVAL = "layerwise", "annealing"


# Any comparison -----------------------------------------------------------------------------


def standings(analysis: Analysis) -> str:
    """Per sampler: median regret at every checkpoint, and how soon it is within 1 %."""
    medians, arrivals = analysis.medians, analysis.arrivals
    near = arrivals[arrivals["level"].str.startswith("within")]
    comparison = analysis.result.comparison
    final = medians[medians["evaluations"] == comparison.checkpoints[-1]]
    ranks = final.groupby(PROBLEM)["regret"].transform(lambda regrets: regrets.round(9).rank())
    rows = []
    for sampler, rank in ranks.groupby(final["sampler"]).mean().sort_values().items():
        own = medians[medians["sampler"] == sampler]
        arrived = near[near["sampler"] == sampler]
        rows.append(
            [
                str(sampler),
                f"{rank:.2f}",
                *(
                    percent(median(own.loc[own["evaluations"] == checkpoint, "regret"]))
                    for checkpoint in comparison.checkpoints
                ),
                count(median(arrived["evaluations"])),
                percent(float(arrived["reached"].mean()), 0),
            ]
        )
    header = [
        "sampler",
        "mean rank",
        *(f"regret at {checkpoint:,}" for checkpoint in comparison.checkpoints),
        "evaluations to within 1 %",
        "runs that got there",
    ]
    return markdown(header, rows)


def costs(analysis: Analysis) -> str:
    """Per network and sampler the median cost at the end, and the reference."""
    return _costs_at(analysis, analysis.result.comparison.checkpoints[-1])


def costs_at_200(analysis: Analysis) -> str:
    """The same after 200 evaluations."""
    return _costs_at(analysis, 200)


def _costs_at(analysis: Analysis, evaluations: int) -> str:
    return rows_by_problem(
        analysis,
        lambda curve: {name: median(b[:, evaluations - 1]) for name, b in curve.best.items()},
        four_digits,
        lambda curve: f"{curve.best_known.cost:.4f} ({curve.best_known.source})",
    )


def pairs(analysis: Analysis) -> str:
    """The rival of the file against everyone else, at 200 evaluations and at the end."""
    comparison = analysis.result.comparison
    first = comparison.report.rival or comparison.sampler[0].title
    overall = analysis.overall[analysis.overall["sampler"] == first]
    at = sorted({200, comparison.checkpoints[-1]} & set(overall["evaluations"]))
    rows = [
        [
            str(row["objective"]),
            f"{row['sampler']} : {row['rival']}",
            f"{row['evaluations']:,}",
            f"{row['wins']} / {row['ties']} / {row['losses']}",
            f"{row['a12']:.2f}",
            str(row["pairs"]),
            *(p_value(row[column]) for column in ("p_runs", "p_holm", "p_problems")),
        ]
        for checkpoint in at
        for row in overall[overall["evaluations"] == checkpoint].to_dict("records")
    ]
    header = ["objective", "pair", "evaluations", "won / tied / lost", "A12"]
    return markdown([*header, "pairs of runs", "p", "p (Holm)", "p (problems)"], rows)


# profile against the best rival --------------------------------------------------------------


def against_best(analysis: Analysis) -> str:
    """Per network how soon `profile` is where each rival ends, and how it stands at 200."""
    rivals = [r for r in RIVALS if r in set(analysis.medians["sampler"])]
    last = analysis.result.comparison.checkpoints[-1]
    medians, arrivals = analysis.medians, analysis.arrivals
    rows, needed, better = [], [], []
    for name in analysis.problems:
        own = medians[is_of(medians, name)]
        levels = arrivals[is_of(arrivals, name) & (arrivals["sampler"] == OURS)]
        reached = levels.set_index("level")["evaluations"]
        finals = own[own["evaluations"] == last].set_index("sampler")["regret"]
        best = min(rivals, key=lambda rival: finals[rival])
        at = own[own["evaluations"] == min(200, last)].set_index("sampler")["regret"]
        needed.append([*(reached[f"final of {r}"] for r in rivals), reached[f"final of {best}"]])
        better.append(at[OURS] < at[rivals].min() - TIE)
        rows.append(
            [
                problem_cell(analysis, name),
                *map(count, needed[-1][:-1]),
                f"{count(needed[-1][-1])} ({best})",
                percent(at[OURS]),
                f"{percent(at[rivals].min())} ({at[rivals].idxmin()})",
            ]
        )
    middle = (f"**{count(median(column))}**" for column in zip(*needed, strict=True))
    rows.append(["**median; better at 200**", *middle, f"**{sum(better)} of {len(better)}**", ""])
    header = [
        f"evaluations until `{OURS}` is where a rival ends",
        *rivals,
        "the best of them",
        f"`{OURS}` at 200",
        "best rival at 200",
    ]
    return markdown(header, rows)


def near_reference(analysis: Analysis) -> str:
    """How near `profile` is to the reference, by evaluations."""
    medians = analysis.medians[analysis.medians["sampler"] == OURS]
    checkpoints = analysis.result.comparison.checkpoints
    rows = []
    for name, curve in analysis.problems.items():
        own = medians[is_of(medians, name)].set_index("evaluations")["regret"]
        cells = [percent(own[checkpoint]) for checkpoint in checkpoints]
        rows.append([problem_cell(analysis, name), *cells, curve.best_known.source])
    within = [
        f"**{sum(medians.loc[medians['evaluations'] == c, 'regret'] <= 0.01)} of {len(rows)}**"
        for c in checkpoints
    ]
    rows.append(["**within 1 %**", *within, ""])
    return markdown(["network", *(f"{c:,}" for c in checkpoints), "reference"], rows)


# The published experiment --------------------------------------------------------------------


def readings(analysis: Analysis) -> str:
    """Both readings of 15 % and 43 %, per objective and number of evaluations."""
    rows = []
    for objective, part in analysis.medians.groupby("objective", sort=False):
        for checkpoint, at in part.groupby("evaluations"):
            table = at.pivot_table(index="network", columns="sampler", values="cost")
            ours, theirs = table[PAPER_SAMPLER], table[PAPER_RIVAL]
            gains = (1 - ours[theirs < 1]) / (1 - theirs[theirs < 1]) - 1
            rows.append(
                [
                    str(objective),
                    f"{checkpoint:,}",
                    percent(1 - median(ours), 1),
                    percent(1 - median(theirs), 1),
                    percent(median(1 - ours / theirs), 1),
                    percent(median(gains), 1),
                    outcomes(ours - theirs),
                    p_value(wilcoxon_p(ours, theirs)),
                ]
            )
    header = [
        "objective",
        "evaluations",
        f"`{PAPER_SAMPLER}` below the baseline",
        f"`{PAPER_RIVAL}` below it",
        "cost lower by",
        "improvement larger by",
        "won / tied / lost",
        "p (problems)",
    ]
    return markdown(header, rows)


def gains(analysis: Analysis) -> str:
    """Per objective and sampler the median cost over networks at the end, and below annealing's."""
    last = analysis.result.comparison.checkpoints[-1]
    final = analysis.medians[analysis.medians["evaluations"] == last]
    rows = []
    for objective, part in final.groupby("objective", sort=False):
        table = part.pivot_table(index="network", columns="sampler", values="cost", sort=False)
        for sampler in table:
            own, theirs = table[sampler], table[PAPER_RIVAL]
            cost = median(own)
            against = ["-", "-"]
            if sampler != PAPER_RIVAL:
                against = [percent(median(1 - own / theirs), 1), outcomes(own - theirs)]
            rows.append(
                [str(objective), str(sampler), f"{cost:.3f}", percent(1 - cost, 1), *against]
            )
    header = ["objective", "sampler", "median cost", "below the baseline"]
    return markdown([*header, f"below `{PAPER_RIVAL}`", "won / tied / lost"], rows)


def networks(analysis: Analysis) -> str:
    """Cost of both at the end, network by network."""
    last = analysis.result.comparison.checkpoints[-1]
    final = analysis.medians[analysis.medians["evaluations"] == last]
    seeds = analysis.pairs[
        (analysis.pairs["evaluations"] == last) & (analysis.pairs["sampler"] == PAPER_SAMPLER)
    ]
    rows = []
    for name in analysis.problems:
        own = final[is_of(final, name)].set_index("sampler")["cost"]
        pair = seeds[is_of(seeds, name)].iloc[0]
        rows.append(
            [
                name.objective,
                name.network,
                *(f"{own[sampler]:.4f}" for sampler in (PAPER_SAMPLER, PAPER_RIVAL)),
                percent(1 - own[PAPER_SAMPLER] / own[PAPER_RIVAL]),
                f"{pair['a12']:.2f}",
                p_value(pair["p"]),
            ]
        )
    header = ["objective", "network", PAPER_SAMPLER, PAPER_RIVAL, "lower by", "A12", "p (seeds)"]
    return markdown(header, rows)


# Fronts --------------------------------------------------------------------------------------


def shares(analysis: Analysis) -> str:
    """Hypervolume as a share of the reference's, per network and sampler, at the end."""
    return rows_by_problem(
        analysis,
        lambda curve: {name: 1 - median(r[:, -1]) for name, r in curve.regret.items()},
        four_digits,
        source,
        best_of=max,
    )


def distances(analysis: Analysis) -> str:
    """IGD+ from the reference front, per network and sampler, at the end."""
    return rows_by_problem(
        analysis,
        lambda curve: {name: median(d[:, -1]) for name, d in curve.igd_plus.items()},
        four_digits,
        source,
    )


# Hardware ------------------------------------------------------------------------------------


def latencies(analysis: Analysis) -> str:
    """Per network and limit the least latency in ms of all runs, a target in each column."""
    table = analysis.table
    allowed = table[table["feasible"]]
    keys = ["objective", "network"]
    least = allowed.groupby([*keys, "target"], observed=True)["latency_ms"].min()
    targets = [target.title for target in analysis.result.comparison.target]
    rows = [
        [
            objective.title,
            network.title,
            *(
                f"{least[key]:.3f}"
                if (key := (objective.title, network.title, target)) in least.index
                else "none"
                for target in targets
            ),
        ]
        for objective in analysis.result.comparison.objective
        for network in analysis.result.comparison.network
    ]
    return markdown(["limit", "network", *targets], rows)


# Variants of a target -------------------------------------------------------------------------


def targets(analysis: Analysis) -> str:
    """Per network the median cost of the only sampler at the end, target by target."""
    comparison = analysis.result.comparison
    last = comparison.checkpoints[-1]
    titles = [target.title for target in comparison.target]
    found: dict[str, dict[str, str]] = {}
    for name, curve in analysis.problems.items():
        (best,) = curve.best.values()
        found.setdefault(name.network, {})[name.target] = four_digits(median(best[:, last - 1]))
    rows = [[network, *(own[title] for title in titles)] for network, own in found.items()]
    return markdown(["network", *titles], rows)


TABLES: Mapping[str, Callable[[Analysis], str]] = {
    table.__name__: table
    for table in (
        standings,
        costs,
        costs_at_200,
        pairs,
        against_best,
        near_reference,
        readings,
        gains,
        networks,
        shares,
        distances,
        latencies,
        targets,
    )
}
