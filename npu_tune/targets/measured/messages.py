"""What a problem and its measuring process say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npu_tune.targets.measured.engine import Array, Engine, Feed
from npu_tune.targets.measured.rounds import RoundSettings, Timing


@dataclass(frozen=True)
class WrittenConfiguration:
    """One configuration, written.

    Args:
        folder: with the library's files.
        options: of the whole network.
    """

    folder: Path
    options: Mapping[str, Any]


@dataclass(frozen=True)
class MeasuringSetup:
    """What stays the same for all measurements of a problem.

    Args:
        engine: the library.
        references: that candidates are timed against. The first one's time is what ratios are
            made with; a second one, which may fail to load, tells of the machine. It is for
            engines whose networks outlive a fork.
        feeds: inputs on which outputs are compared; the first one is what is timed.
        rounds: how long is measured.
        folder: with all files of the problem, removed by who outlives the other; None for none.
    """

    engine: Engine
    references: tuple[WrittenConfiguration, ...]
    feeds: tuple[Feed, ...]
    rounds: RoundSettings
    folder: Path | None = None


@dataclass(frozen=True)
class MeasuringJob:
    """Something to do with a candidate.

    Args:
        candidate: what is run.
        timed: True to time it, False for its outputs alone.
        usual_s: what the references usually take; empty where nobody knows.
        patience_s: how long to wait for them to take as much.
    """

    candidate: WrittenConfiguration
    timed: bool = True
    usual_s: tuple[float, ...] = ()
    patience_s: float = 0.0


@dataclass(frozen=True)
class Measurement:
    """What was found.

    Args:
        outputs: per feed, the network's outputs.
        load_peak_bytes: while it was loaded, above what the process held before.
        run_peak_bytes: while it ran.
        timing: None where it was not timed.
        layer_seconds: by the writer's names; as one run showed it.
        priority: True where it ran before all other programs.
        drift: by which the second reference took longer than usual, relative to the first.
    """

    outputs: tuple[tuple[Array, ...], ...]
    load_peak_bytes: int = 0
    run_peak_bytes: int = 0
    timing: Timing | None = None
    layer_seconds: Mapping[str, float] | None = None
    priority: bool = False
    drift: float = 1.0


@dataclass(frozen=True)
class MeasurerReady:
    """The reference is loaded."""


@dataclass(frozen=True)
class LibraryRefusal:
    """The library did not load or run something.

    Args:
        said: by it.
    """

    said: str


@dataclass(frozen=True)
class CandidateDeath:
    """The process that ran the candidate ended.

    Args:
        how: such as ``killed by SIGSEGV``.
    """

    how: str


@dataclass(frozen=True)
class NoFreeCore:
    """No core became free.

    Args:
        said: what, and what to do.
    """

    said: str
    remedy: str


Answer = Measurement | LibraryRefusal | CandidateDeath | NoFreeCore
