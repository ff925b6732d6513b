"""``npu-tune report``: what a study found and why, as a page to look at and hand on."""

from __future__ import annotations

from pathlib import Path

import click

from npu_tune.cli.options import study_argument
from npu_tune.cli.output import CommandResult, print_result

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Writes a page on what a study found, and why.")
@study_argument
@click.option("--out", type=_FILE, help="The HTML file. [default: STUDY/report.html]")
@click.option(
    "--markdown", type=_FILE, help="Write the same as Markdown, and no HTML unless asked."
)
@click.option("--png", type=_FILE, help="Draw the front and the search into this .png, too.")
@click.option(
    "--evaluate",
    metavar="TIME",
    default="5s",
    show_default=True,
    help="How long it is evaluated what changes bring that the study never took back alone; 0 for not at "
    "all.",
)
@print_result
def report(
    study: Path, out: Path | None, markdown: Path | None, png: Path | None, *, evaluate: str
) -> CommandResult:
    """Writes a page on STUDY, a folder: what was found, and why; it loads nothing from elsewhere.

    It says what each change brings, where time and memory go, and how to get and check the result.
    """
    from npu_tune.report import plot_study  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.report.build import fill_in_best  # noqa: PLC0415
    from npu_tune.report.explain import explain  # noqa: PLC0415
    from npu_tune.report.explain.document import report_document  # noqa: PLC0415
    from npu_tune.report.write import REPORT_FILE, write_html, write_markdown  # noqa: PLC0415
    from npu_tune.tuning import read_study  # noqa: PLC0415

    result = fill_in_best(study, read_study(study))
    explanation = explain(study, result, seconds=_seconds(evaluate))
    written = []
    if markdown is not None:
        written.append(write_markdown(markdown, result, explanation, folder=study))
    if out is not None or markdown is None:
        out = out or study / REPORT_FILE
        written.append(write_html(out, result, explanation, folder=study))
    if png is not None:
        plot_study(result, png)
        written.append(png)
    document = {
        "files": [str(path) for path in written],
        **report_document(result, explanation, folder=study),
    }
    return CommandResult(document, "\n".join(f"Wrote {path}." for path in written))


def _seconds(text: str) -> float:
    from npu_tune.quantities import parse_duration_s  # noqa: PLC0415 -- keeps --help fast

    return 0.0 if text == "0" else parse_duration_s(text)
