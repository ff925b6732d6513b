"""``npu-tune compare``: samplers against each other, run or replayed from a recording."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from npu_tune.cli.output import CommandResult, print_result
from npu_tune.cli.progress import format_duration
from npu_tune.cli.tune import quiet_option
from npu_tune.errors import ExecutorError, NpuTuneError

if TYPE_CHECKING:
    from npu_tune.compare import (
        ComparisonFile,
        ComparisonListener,
        ComparisonProgress,
        ComparisonResult,
    )


@click.command(short_help="Compares samplers over networks, targets and seeds.")
@click.argument("comparison", type=click.Path(path_type=Path))
@click.option(
    "--replay",
    type=click.Path(path_type=Path),
    help="The folder of a comparison, or its results.parquet: makes every table and figure of "
    "what is recorded there, without a compiler.",
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Where everything is written. [default: as the file says]",
)
@click.option(
    "--only",
    multiple=True,
    metavar="FILE",
    help="Write this table or figure only, such as summary.md; repeatable.",
)
@quiet_option
@print_result
def compare(
    comparison: Path,
    *,
    replay: Path | None,
    folder: Path | None,
    only: tuple[str, ...],
    quiet: bool,
) -> CommandResult:
    """Performs the runs of the file COMPARISON (docs/compare.md) and says who wins where."""
    import optuna  # noqa: PLC0415 -- keeps --help fast

    from npu_tune.compare import (  # noqa: PLC0415
        analyse,
        comparison_document,
        load_comparison,
        plain_text,
        run_comparison,
        summary_text,
        write_output,
    )

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asked = load_comparison(comparison).relocate(replay=replay, folder=folder)
    result = run_comparison(asked, listener=None if quiet else _listener(asked))
    analysis = analyse(result)
    files = write_output(analysis, asked.folder, only=only)
    written = "\n".join(map(str, files))
    return CommandResult(
        comparison_document(analysis, files=files),
        f"{plain_text(summary_text(analysis))}\n\nWritten:\n{written}",
        error=_shortcoming(result),
    )


def _listener(comparison: ComparisonFile) -> ComparisonListener:
    """Writes a line for every run that ends."""

    def listen(progress: ComparisonProgress) -> None:
        latest = progress.latest
        parts = [f"{progress.finished}/{progress.planned} runs"]
        if latest is None:
            parts.append(f"{progress.recorded} of them recorded in {comparison.folder}")
        else:
            parts.append(f"{latest.order.name}{' FAILED' if latest.failed else ''}")
            parts.append(f"{format_duration(progress.time_left_s)} left")
        print(", ".join(parts), file=sys.stderr, flush=True)

    return listen


def _shortcoming(result: ComparisonResult) -> NpuTuneError | None:
    if not result.failures:
        return None
    order, error = result.failures[0]
    return ExecutorError(
        f"{len(result.failures)} runs failed, such as that of {order.name}: {error.message}",
        remedy="Mend the cause; the same command again performs the runs that are missing.",
        failures=[str(order.name) for order, _ in result.failures],
    )
