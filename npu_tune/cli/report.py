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
@click.option("--markdown", type=_FILE, help="Write it as Markdown; as HTML too only with --out.")
@click.option("--netron", type=_FILE, help="Write a copy of the model that Netron explains, too.")
@click.option("--png", type=_FILE, help="Draw the front and the search into this .png, too.")
@click.option(
    "--evaluate",
    metavar="TIME",
    default="5s",
    show_default=True,
    help="How long it is evaluated what changes bring that the study never took back alone; 0 for "
    "not at all.",
)
@print_result
def report(
    study: Path,
    out: Path | None,
    markdown: Path | None,
    netron: Path | None,
    png: Path | None,
    *,
    evaluate: str,
) -> CommandResult:
    """Writes a page on STUDY, a folder: what was found, and why; it loads nothing from elsewhere.

    It says what each change brings, where time and memory go, and how to get and check the result.
    """
    from npu_tune.quantities import parse_duration_s  # noqa: PLC0415 -- keeps --help fast
    from npu_tune.report import plot_study  # noqa: PLC0415
    from npu_tune.report.explain.document import report_document  # noqa: PLC0415
    from npu_tune.report.origin import file_command  # noqa: PLC0415
    from npu_tune.report.write import REPORT_FILE, write_report  # noqa: PLC0415

    seconds = 0.0 if evaluate == "0" else parse_duration_s(evaluate)
    if out is None and markdown is None:
        out = study / REPORT_FILE
    written = write_report(study, html=out, markdown=markdown, netron=netron, seconds=seconds)
    files = [*written.files]
    if png is not None:
        plot_study(written.result, png, command=file_command("report", study, png=png))
        files.append(png)
    document = {
        "files": [str(path) for path in files],
        **report_document(written.result, written.explanation, folder=study),
    }
    return CommandResult(document, "\n".join(f"Wrote {path}." for path in files))
