"""What a study found: as text, as tables, as a picture and as a page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from npu_tune.api.studies import study_result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from npu_tune.api.studies import Study


def show(study: Study, *, layers: bool = True) -> str:
    """The report of ``npu-tune show``: best, references, verdict, front, layers, failures.

    Args:
        study: a study's folder or result.
        layers: whether it lists what the best changes in each layer.
    """
    from npu_tune.report import study_text  # noqa: PLC0415 - brings Optuna

    return study_text(study_result(study), layers=layers)


def trials(study: Study) -> pd.DataFrame:
    """One row per trial, with a column per metric, and one per knob that any trial has changed.

    Args:
        study: a study's folder or result.
    """
    from npu_tune.report.trials import trials_frame  # noqa: PLC0415 - brings pandas

    return trials_frame(study_result(study))


def layers(study: Study, *, pick: str = "best") -> pd.DataFrame:
    """One row per layer: what a trial changes in it, and what it cost before and after.

    Args:
        study: a study's folder or result.
        pick: ``best`` (lowest cost), ``knee`` (of the front), a metric's name, or a trial's number.

    Returns:
        ``changes`` (the values by knob that are not the default's), ``before`` and ``after`` (in
        the unit of the target's profile; NaN where a layer has no row in it, as it was fused into
        another one or stands for the whole network), in execution order.
    """
    from npu_tune.report.layers import layers_frame  # noqa: PLC0415 - brings pandas
    from npu_tune.report.pick import pick_trial  # noqa: PLC0415

    result = study_result(study)
    return layers_frame(result, pick_trial(result, pick))


def plot(study: Study) -> Figure:
    """Front and search of a study, as ``npu-tune show --plot`` draws them; a notebook shows it.

    Args:
        study: a study's folder or result.

    Raises:
        MissingExtraError: if matplotlib is not installed.
        UsageError: if nothing of the study was evaluated yet.
    """
    from npu_tune.report.plots import study_figure  # noqa: PLC0415 - brings Optuna

    return study_figure(study_result(study))


def report(
    study: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    evaluate: str | float = "5s",
) -> Path:
    """Writes a page on what a study found, and why; it loads nothing from elsewhere.

    Args:
        study: the study's folder.
        out: the file; ``report.html`` in the study's folder if None, Markdown if it ends in ``.md``.
        evaluate: how long it is evaluated what changes bring that the study never took back alone,
            such as ``"5s"``, or seconds.

    Returns:
        The file.

    Raises:
        UsageError: if there is no such study.
        MissingExtraError: if Bokeh, which draws the plots, is not installed.
        StorageError: if the file cannot be written.
    """
    from npu_tune.quantities import parse_duration_s  # noqa: PLC0415
    from npu_tune.report.write import REPORT_FILE, write_report  # noqa: PLC0415 - brings Optuna

    seconds = parse_duration_s(evaluate) if isinstance(evaluate, str) else float(evaluate)
    path = Path(study) / REPORT_FILE if out is None else Path(out)
    if path.suffix.lower() == ".md":
        write_report(Path(study), html=None, markdown=path, seconds=seconds)
    else:
        write_report(Path(study), html=path, seconds=seconds)
    return path
