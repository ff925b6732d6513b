"""What is to be rewritten, as values and as a configuration file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from npu_tune.errors import UsageError, remedy_for
from npu_tune.validation import Table, bounded_text, read_toml, validated

VERSION = 1
"""Of the configuration file."""
_WHOLE = "configuration file"

Over = Literal["kernels", "rows"]


def _require_several(count: int) -> int:
    if count < 2:
        raise UsageError("that cuts nothing", remedy="Give 2 or more, or leave the entry out.")
    return count


@dataclass(frozen=True)
class StripedSegment:
    """Operators that are computed in stripes of rows, one stripe after the other.

    Args:
        layers: names of its first and its last layer, or of more; every operator that lies on a
            path from one of them to another belongs to the segment.
        stripes: of its output map; rows that two of them need are computed twice.
    """

    layers: tuple[str, ...]
    stripes: int

    def __post_init__(self) -> None:
        if not self.layers:
            raise UsageError("A segment has no layers.", remedy="Name its first and last layer.")
        _require_several(self.stripes)

    def __str__(self) -> str:
        ends = dict.fromkeys((self.layers[0], self.layers[-1]))
        return f"the segment {' to '.join(map(repr, ends))}"


@dataclass(frozen=True)
class LayerSplit:
    """One layer that is computed in parts.

    Args:
        layer: its name.
        over: what is divided: its output channels (``kernels``) or its output rows (``rows``).
        parts: their number.
    """

    layer: str
    over: Over
    parts: int

    def __post_init__(self) -> None:
        if self.over not in {"kernels", "rows"}:
            raise UsageError(
                f"A layer cannot be split over {self.over!r}.",
                remedy="Split it over 'kernels' or 'rows'.",
            )
        _require_several(self.parts)

    def __str__(self) -> str:
        return f"the split of {self.layer!r}"


@dataclass(frozen=True)
class RewritePlan:
    """Everything that is rewritten in a network; no operator may belong to two entries."""

    segments: tuple[StripedSegment, ...] = ()
    splits: tuple[LayerSplit, ...] = ()


Count = Annotated[int, AfterValidator(_require_several)]
Names = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1, strict=False)
]


class SegmentTable(Table):
    """An entry of ``segments``."""

    layers: Names
    stripes: Count


class SplitTable(Table):
    """An entry of ``splits``."""

    layer: Annotated[str, Field(min_length=1)]
    over: Over
    parts: Count


class RewriteFile(Table):
    """A configuration file.

    Args:
        version: of this format.
        segments: computed in stripes.
        splits: layers computed in parts.
    """

    version: Literal[1]
    segments: Annotated[tuple[SegmentTable, ...], Field(strict=False)] = ()
    splits: Annotated[tuple[SplitTable, ...], Field(strict=False)] = ()


def read_plan(path: str | os.PathLike[str]) -> RewritePlan:
    """Reads a configuration file, as TOML if it is called ``.toml`` and else as JSON.

    Raises:
        UsageError: if it cannot be read, or a key is unknown, missing or of a wrong value.
    """
    file = Path(path)
    is_toml = file.suffix.lower() == ".toml"
    document = read_toml(file, whole=_WHOLE, kind=UsageError) if is_toml else _read_json(file)
    return parse_plan(document, source=str(file))


def parse_plan(document: Mapping[str, Any], *, source: str) -> RewritePlan:
    """Makes a plan of the content of a configuration file.

    Args:
        document: its keys and values.
        source: what it is called in errors.

    Raises:
        UsageError: if a key is unknown, missing or of a wrong value.
    """
    table = validated(RewriteFile, document, source=source, whole=_WHOLE, kind=UsageError)
    return RewritePlan(
        segments=tuple(StripedSegment(each.layers, each.stripes) for each in table.segments),
        splits=tuple(LayerSplit(each.layer, each.over, each.parts) for each in table.splits),
    )


def plan_document(plan: RewritePlan) -> dict[str, Any]:
    """The content of a configuration file that says the same, for JSON or TOML."""
    return {
        "version": VERSION,
        "segments": [
            {"layers": list(each.layers), "stripes": each.stripes} for each in plan.segments
        ],
        "splits": [
            {"layer": each.layer, "over": each.over, "parts": each.parts} for each in plan.splits
        ],
    }


def _read_json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(bounded_text(file))
    except OSError as error:
        raise UsageError(
            f"Cannot read the {_WHOLE} {file}: {error.strerror}.",
            remedy=remedy_for(error, "Check the path."),
            path=str(file),
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"The {_WHOLE} {file} is not JSON: {str(error).rstrip('.')}.",
            remedy="Mend it, or call it .toml if it is TOML.",
            path=str(file),
        ) from error
    if not isinstance(document, dict):
        raise UsageError(
            f"The {_WHOLE} {file} holds no object of keys and values.",
            remedy='Begin it with {"version": 1, ...}.',
            path=str(file),
        )
    return document
