"""A verification as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from npu_tune.report.tables import filled, table
from npu_tune.report.verification.outcome import MetricCheck, Verification

_MOST_SHOWN = 20
"""Lines of one kind."""


def verification_document(found: Verification) -> dict[str, Any]:
    """What ``npu-tune verify --json`` prints."""
    sums = found.checksums
    return {
        "folder": str(found.folder),
        "kind": found.kind,
        "study": found.study,
        "trials": list(found.trials),
        "same": found.same,
        "checksums": None
        if sums is None
        else {
            "changed": list(sums.changed),
            "missing": list(sums.missing),
            "added": list(sums.added),
        },
        "versions": [
            {"name": each.name, "recorded": each.recorded, "now": each.now}
            for each in found.versions
        ],
        "files": [
            {"path": each.path, "same": not each.difference, "difference": each.difference}
            for each in found.files
        ],
        "metrics": [
            {
                "trial": each.trial,
                "name": each.name,
                "recorded": each.recorded,
                "now": each.now,
                "same": each.same,
                "noise": each.noise,
            }
            for each in found.metrics
        ],
        "shortfall": "" if found.error is None else str(found.error),
        "failures": [
            {"trial": number, "message": message} for number, message in found.failures.items()
        ],
    }


def verification_text(found: Verification) -> str:
    """What ``npu-tune verify`` prints."""
    return "\n".join(filled(line) if "\n" not in line else line for line in _lines(found))


def _lines(found: Verification) -> Iterator[str]:
    yield from _checksums(found)
    for each in found.versions:
        yield f"{each.name} was {each.recorded}, and is {each.now}."
    if found.files:
        yield from _files(found)
    for number, message in found.failures.items():
        yield f"Trial {number} cannot be evaluated any more: {message}"
    if found.metrics:
        yield from _metrics(found)
    if found.error is not None and found.differs:
        yield f"Nothing was made once more: {found.error}"
    if found.same:
        yield "It is the same."


def _checksums(found: Verification) -> Iterator[str]:
    sums = found.checksums
    if sums is None:
        return
    if sums.same:
        yield "Every file has its checksum."
    for names, what in (
        (sums.changed, "is not what was exported"),
        (sums.missing, "is missing"),
        (sums.added, "was added"),
    ):
        yield from (f"{name} {what}." for name in names[:_MOST_SHOWN])
        if len(names) > _MOST_SHOWN:
            yield f"And so {len(names) - _MOST_SHOWN} more."


def _files(found: Verification) -> Iterator[str]:
    differing = [each for each in found.files if each.difference]
    count = len(found.files)
    yield (
        f"Trial {found.trials[0]} was built once more: {count - len(differing)} of {count} files "
        "are the same."
    )
    yield from (f"{each.path}: {each.difference}." for each in differing)


def _metrics(found: Verification) -> Iterator[str]:
    exact = [each for each in found.metrics if each.counts]
    if exact:
        differing = [each for each in exact if not each.same]
        trials = len({each.trial for each in exact})
        yield (
            f"{len(exact) - len(differing)} of {len(exact)} metrics of {trials} "
            f"trial{'s' * (trials != 1)} are exactly the same."
        )
        if differing:
            yield _table(differing)
    measured = [each for each in found.metrics if not each.counts]
    if measured:
        yield "Measured metrics do not repeat exactly, and decide nothing here:"
        yield _table(measured)


def _table(checks: list[MetricCheck]) -> str:
    rows = [
        [
            str(each.trial),
            each.name,
            f"{each.recorded:g}" if each.noise is not None else repr(each.recorded),
            f"{each.now:g}" if each.noise is not None else repr(each.now),
            "" if each.noise is None else f"{'within' if each.same else 'beyond'} the noise",
        ]
        for each in checks[:_MOST_SHOWN]
    ]
    more = len(checks) - _MOST_SHOWN
    shown = table(["trial", "metric", "recorded", "now", ""], rows, left=2)
    return shown + (f"\nand {more} more" if more > 0 else "")
