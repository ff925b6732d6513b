"""Holds the model of Neural-ART against what its vendor published.

    python studies/neural-art/validate.py [--published CSV] [--epochs CSV] [--out FOLDER]

Two comparisons: the vendor's rule with the vendor compiler's own estimates of single epochs, and
the calibrated rule, default configuration, with latency, RAM and flash published for whole
networks. Without options, the tables of README.md beside this file and validation.png are written
anew; with tables of your own nothing is written but into --out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from calibrate import ROUND, Constants, fitted, held_out, samples_of
from comparisons import (
    QUANTITIES,
    Epoch,
    Prediction,
    Predictions,
    errors_of,
    estimates,
    once_per_network,
    predictions,
    share_near,
)
from plot import draw
from published import (
    BEFORE_CORE_4,
    EPOCHS,
    OLDEST_CORE,
    PUBLISHED,
    SECOND,
    Errors,
    PublishedRow,
    admitted,
    read_published,
)

from npu_tune.errors import NpuTuneError
from npu_tune.report.tables import table

FOLDER = Path(__file__).parent
MUCH = 0.30
"""An error that a network outside of what was validated may well have."""

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Header and rows."""


# Tables -------------------------------------------------------------------------------------


def epochs_table(found: Sequence[Epoch]) -> Table:
    columns: list[list[str]] = []
    for choice in ("alike", "default"):
        pairs = [(getattr(epoch, choice), epoch.reported) for epoch in found]
        compute = share_near((e.compute_cycles, r.compute_cycles) for e, r in pairs)
        most = share_near((e.max_cycles, r.max_cycles) for e, r in pairs)
        total = sum(e.max_cycles for e, _ in pairs) / sum(r.max_cycles for _, r in pairs)
        same = sum(e.accelerators == r.accelerators for e, r in pairs) / len(pairs)
        columns.append([f"{same:.1%}", f"{compute:.1%}", f"{most:.1%}", f"{total:.3f}"])
    labels = [
        "on as many accelerators as the vendor",
        "cycles of the units within 10 %",
        "cycles of the epoch within 10 %",
        "cycles of all epochs, model / vendor",
    ]
    header = [f"{len(found)} hardware epochs", "accelerators as reported", "as the model chooses"]
    return header, [list(row) for row in zip(labels, *columns, strict=True)]


def summary_table(given: Sequence[Prediction], held_out_errors: Sequence[float]) -> Table:
    compared = [quantity for quantity in QUANTITIES if errors_of(given, quantity)]
    rows = [[quantity, *_figures(errors_of(given, quantity))] for quantity in compared]
    if held_out_errors:
        rows.insert(1, ["latency, its family not fitted to", *_figures(held_out_errors)])
    if len({one.row.network for one in given}) < len(given):
        rows += [
            [f"{quantity}, each network once", *_figures(once_per_network(given, quantity))]
            for quantity in compared
        ]
    return ["absolute error of", "rows", "median", "90th percentile", "worst"], rows


def group_table(title: str, group_of: Callable[[PublishedRow], str], given: Predictions) -> Table:
    """Signed errors by group: the median one, and the one that is largest in size."""
    groups: dict[str, list[Prediction]] = {}
    for one in given:
        groups.setdefault(group_of(one.row), []).append(one)
    rows = [
        [name, str(len(group))]
        + [cell for quantity in QUANTITIES for cell in _signed(errors_of(group, quantity))]
        for name, group in groups.items()
    ]
    both = [f"{quantity}, {what}" for quantity in QUANTITIES for what in ("median", "worst")]
    return [title, "rows", *both], rows


def rows_table(given: Predictions) -> Table:
    header = ["network", "Core"]
    for quantity, unit in zip(QUANTITIES, ("ms", "KiB", "KiB"), strict=True):
        header += [f"{quantity} [{unit}]", "published", "error"]
    rows = []
    for one in given:
        row = one.row
        pairs = (
            (f"{one.latency_ms:.2f}", row.latency_ms),
            (f"{one.ram_kib:.0f}", row.total_ram_kib),
            (f"{one.flash_kib:.0f}", row.flash_kib),
        )
        cells = [Path(row.network).name, row.core_text]
        for quantity, (got, wanted) in zip(QUANTITIES, pairs, strict=True):
            error = one.errors.get(quantity)
            cells += [
                got,
                "-" if wanted is None else f"{wanted:g}",
                "-" if error is None else f"{error:+.1%}",
            ]
        rows.append(cells)
    return header, rows


def confidence_table(given: Predictions) -> Table:
    """Absolute errors of latency by what the model says of itself."""
    header = ["the model says", "rows", "median", "90th percentile", "worst", "off by over 30 %"]
    rows = []
    for label, validated in (("validated", True), ("outside", False)):
        errors = errors_of((p for p in given if p.confidence.validated is validated), "latency")
        if errors:
            off = np.mean(np.abs(errors) > MUCH)
            rows.append([label, *_figures(errors), f"{off:.0%}"])
    return header, rows


def constants_table(fits: Mapping[str, Constants]) -> Table:
    header = ["family left out", "cycles per byte of flash", "factor on compute cycles"]
    return header, [
        [family, f"{fit.flash_cycles_per_byte:.3f}", f"{fit.compute_factor:.3f}"]
        for family, fit in fits.items()
    ]


def round_table(errors: Sequence[float]) -> Table:
    header = [
        f"latency with {ROUND.flash_cycles_per_byte:g} and {ROUND.compute_factor:g}",
        "rows",
        "median",
        "90th percentile",
        "worst",
    ]
    return header, [["absolute error", *_figures(errors)]]


def _figures(errors: Sequence[float]) -> list[str]:
    found = Errors.of(errors)
    return [str(found.count), *(f"{x:.1%}" for x in (found.median, found.p90, found.worst))]


def _signed(errors: Sequence[float]) -> list[str]:
    if not errors:
        return ["-", "-"]
    return [f"{np.median(errors):+.1%}", f"{max(errors, key=abs):+.1%}"]


# Command ------------------------------------------------------------------------------------


def sections(
    published: Path, epochs: Path, second: Path | None = None
) -> tuple[dict[str, Table], list[Prediction]]:
    """All tables by the name of their marker, and the predictions that were validated.

    Args:
        published: rows of whole networks.
        epochs: a report of single epochs.
        second: further rows, to which nothing is fitted.
    """
    rows = read_published(published)
    found = {"epochs": epochs_table(estimates(epochs))}
    given = predictions(admitted(rows))
    if given:
        samples = samples_of([one.row for one in given])
        fits = held_out(samples)
        errors = [sample.error(fits[sample.row.family]) for sample in samples if fits]
        found["summary"] = summary_table(given, errors)
        found["families"] = group_table("family", lambda row: row.family, given)
        found["rows"] = rows_table(given)
        found["round"] = round_table([sample.error(ROUND) for sample in samples])
        if fits:
            found["constants"] = constants_table({"none": fitted(samples), **fits})
    newer = [row for row in rows if row.out_of_scope == BEFORE_CORE_4]
    later = predictions([*(read_published(second) if second else ()), *newer])
    if later:
        found["second"] = rows_table(later)
    rest = [row for row in rows if row.out_of_scope and not row.repeats and row not in newer]
    others = predictions(rest)
    in_question = [one for one in (*given, *later, *others) if one.row.core >= OLDEST_CORE]
    found["confidence"] = confidence_table(in_question)
    if others:
        found["others"] = group_table("left out for", lambda row: row.out_of_scope, others)
    return found, [*given, *later]


TITLES = {
    "epochs": "Vendor's rule against the vendor compiler's estimates",
    "summary": "Calibrated rule against published figures",
    "families": "By family (signed errors)",
    "rows": "Row by row",
    "round": "Without a fit",
    "constants": "Constants fitted without a family",
    "second": "Rows that came later",
    "confidence": "Latency by what the model says of itself (Core 3.0 and newer)",
    "others": "Rows that were left out (signed errors)",
}


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_tables(page: str, tables: Mapping[str, str]) -> str:
    """A page with what stands between its markers replaced."""
    for name, text in tables.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, found, rest = page.partition(start)
        if found and end in rest:
            page = f"{before}{start}\n{text}\n{end}{rest.partition(end)[2]}"
    return page


def _blank_page(tables: Mapping[str, str]) -> str:
    parts = [f"## {TITLES[name]}\n\n<!-- {name} -->\n<!-- /{name} -->\n" for name in tables]
    return "\n".join(["# Validation\n", *parts])


def write(folder: Path, tables: Mapping[str, str], given: Sequence[Prediction]) -> None:
    """Puts the tables into the folder's README.md and the picture beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "README.md"
    text = page.read_text(encoding="utf-8") if page.exists() else _blank_page(tables)
    page.write_text(with_tables(text, tables), encoding="utf-8")
    if given:
        draw(given, folder / "validation.png")


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--published", type=Path, default=PUBLISHED, help="CSV of published rows")
    parser.add_argument("--epochs", type=Path, default=EPOCHS, help="CSV of estimated epochs")
    parser.add_argument("--out", type=Path, help="folder for README.md and validation.png")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    arguments = _arguments(given)
    is_own = (arguments.published, arguments.epochs) == (PUBLISHED, EPOCHS)
    folder = arguments.out or (FOLDER if is_own else None)
    try:
        second = SECOND if is_own else None
        tables, validated = sections(arguments.published, arguments.epochs, second)
        print("\n\n".join(f"{TITLES[name]}\n{table(*one)}" for name, one in tables.items()))
        if folder is not None:
            write(folder, {name: markdown(*one) for name, one in tables.items()}, validated)
    except NpuTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 7
    return 0


if __name__ == "__main__":
    sys.exit(main())
