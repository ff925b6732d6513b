"""``npu-tune front``: the best there can be, and how far a study is from it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from npu_tune.cli.answer import Answer, answers
from npu_tune.cli.options import (
    calibration_option,
    model_argument,
    split_weights,
    target_options,
    target_table,
)
from npu_tune.cli.tune import quiet_option
from npu_tune.errors import StudyMismatchError, TargetError, UsageError

if TYPE_CHECKING:
    from npu_tune.network import Network
    from npu_tune.report.optimum import Optimum, Standing
    from npu_tune.space import Configuration, SearchSpace
    from npu_tune.targets import Target
    from npu_tune.targets.oracle import Bound, Front, Progress
    from npu_tune.tuning import StudyResult


@click.command(short_help="Finds the best there can be, where a target can tell.")
@model_argument
@target_options
@calibration_option
@click.option("--objective", help="Metrics, weighted or not: latency_ms=0.7,ram_bytes=0.3.")
@click.option(
    "--study",
    type=click.Path(path_type=Path),
    help="A study's folder: says how far its best trial is from the optimum.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Leave out what gains less than this share of the latency.",
)
@click.option("--most-labels", type=click.IntRange(1), help="Memory and time for the search.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Draw the front and the study into this .png, .svg or .pdf.",
)
@quiet_option
@answers
def front(
    model: str,
    *,
    calibration: Path | None,
    objective: str | None,
    study: Path | None,
    tolerance: float,
    most_labels: int | None,
    plot: Path | None,
    quiet: bool,
    **options: Any,
) -> Answer:
    """Prints the exact front of MODEL over all choices of its layers, or else a lower bound.

    The choices of the whole network stand at their defaults, with --study at those of its best
    trial.
    """
    from npu_tune.report.optimum import Optimum, optimum_document, optimum_text  # noqa: PLC0415
    from npu_tune.targets import load_target  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.targets.oracle import require_oracle  # noqa: PLC0415
    from npu_tune.tuning import load_study_network, read_study  # noqa: PLC0415
    from npu_tune.tuning.sections import ModelSection  # noqa: PLC0415

    table = target_table(**options)
    target = load_target(table.pop("name"), table)
    oracle = require_oracle(target)
    network = load_study_network(ModelSection(path=model, calibration=calibration), target)
    target.check(network)
    space = target.space(network)
    result = None if study is None else _matching(read_study(study), network, target)
    weights = _weights(objective, result, target)
    base = _base(space, result)
    found, reason = None, ""
    try:
        found = oracle.front(
            network,
            objectives=tuple(weights),
            base=base,
            tolerance=tolerance,
            most_labels=most_labels,
            progress=None if quiet else _progress(),
        )
    except TargetError as error:
        reason = str(error)
    bound = oracle.bound(network, base=base)
    best = found or bound
    optimum = Optimum(
        target.metrics,
        space.default,
        found,
        bound,
        reason,
        None if result is None else _standing(result, best, weights, base),
    )
    if plot is not None:
        _draw(optimum, result, plot, f"{network.name} on {target.name}")
    return Answer(
        {
            "model": {"name": network.name, "sha256": network.digest},
            "target": {"name": target.name, "fingerprint": dict(target.fingerprint())},
            **optimum_document(optimum),
        },
        optimum_text(optimum),
    )


def _matching(result: StudyResult, network: Network, target: Target) -> StudyResult:
    fingerprint = dict(target.fingerprint())
    for what, ours, theirs in (
        ("model", network.digest, result.model_sha256),
        ("target", target.name, result.target),
        ("target's options", fingerprint, dict(result.target_fingerprint)),
    ):
        if ours != theirs:
            raise StudyMismatchError(
                f"The study {result.name!r} belongs to another {what}.",
                remedy="Name the model, the target and the options that the study was made with.",
            )
    return result


def _weights(
    objective: str | None, result: StudyResult | None, target: Target
) -> dict[str, float]:
    names, weights = split_weights(objective)
    if names is None:
        if result is not None:
            return dict(result.objective)
        names = [metric.name for metric in target.metrics[:2]]
    known = [metric.name for metric in target.metrics]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise UsageError(
            f"The target does not report the metric {unknown!r}.",
            remedy=f"Known are {', '.join(known)}.",
        )
    return dict(zip(names, weights or [1 / len(names)] * len(names), strict=True))


def _base(space: SearchSpace, result: StudyResult | None) -> Configuration:
    """What stands for the choices of the whole network."""
    if result is None or result.best is None:
        return space.default
    return space.default.replace(_of_network(result.best.configuration))


def _of_network(configuration: Configuration) -> dict[str, Any]:
    from npu_tune.space import NETWORK_SCOPE  # noqa: PLC0415 -- keeps --help fast

    scope = f"{NETWORK_SCOPE}/"
    return {name: value for name, value in configuration.items() if name.startswith(scope)}


def _standing(
    result: StudyResult, best: Front | Bound, weights: dict[str, float], base: Configuration
) -> Standing:
    from npu_tune.report.optimum import Standing  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.targets.oracle import Front, gap, hypervolume_share  # noqa: PLC0415
    from npu_tune.tuning import require_feasible  # noqa: PLC0415

    trial = require_feasible(result)
    baseline = result.baseline
    if baseline is None:
        raise UsageError(
            f"The study {result.name!r} has no baseline yet.", remedy="Run it further."
        )
    share = None
    if isinstance(best, Front):
        chosen = _of_network(base)
        # Other choices of the whole network belong to another front.
        own = [t.metrics for t in result.front if _of_network(t.configuration) == chosen]
        share = hypervolume_share(best, own, baseline=baseline.metrics)
    found = gap(best, trial.metrics, weights=weights, baseline=baseline.metrics)
    return Standing(result.name, trial.number, found, share)


def _draw(optimum: Optimum, result: StudyResult | None, path: Path, title: str) -> None:
    from npu_tune.report.plots import plot_optimum  # noqa: PLC0415 -- keeps --help fast

    trials = () if result is None else [t.metrics for t in result.trials if t.failure is None]
    plot_optimum(optimum, trials, path, title=title)


def _progress() -> Progress:
    shown: list[str] = []

    def show(what: str, _done: int, _of: int) -> None:
        if not shown or shown[-1] != what:
            shown.append(what)
            print(f"{what} ...", file=sys.stderr, flush=True)

    return show
