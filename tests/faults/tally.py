"""What came of a fault that was injected a number of times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Tally:
    """Counts over all injections of one fault.

    Args:
        injected: how often.
        finished: trials that were finished when it happened, summed over all times.
        lost: of these, how many were missing or different afterwards.
        again: of these, how many configurations were evaluated again afterwards.
        left: processes and files that were still there at the end.
        wrong: whatever else is not as it should be, as sentences.
    """

    injected: int = 0
    finished: int = 0
    lost: int = 0
    again: int = 0
    left: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """True where the fault has cost nothing."""
        return not (self.lost or self.again or self.left or self.wrong)

    def expect(self, holds: bool, sentence: str) -> None:
        """Notes what is wrong, unless something holds."""
        if not holds:
            self.wrong.append(sentence)

    def compare(self, before: Sequence[Any], after: Sequence[Any]) -> None:
        """Counts what was finished before and is not the same afterwards."""
        self.finished += len(before)
        kept = sum(old == new for old, new in zip(before, after, strict=False))
        self.lost += len(before) - kept


@dataclass(frozen=True)
class Fault:
    """Something that may happen to a study.

    Args:
        what: happens.
        where: storage or executor, as the table says it.
        inject: has it happen so many times in a folder, with the moments from a seed.
        times: how often the whole matrix injects it.
        briefly: the same, lasting a shorter time; None where it takes none.
        needs_mount: True where a small disk is mounted, which only root may do.
    """

    what: str
    where: str
    inject: Callable[[Path, int, int], Tally]
    times: int
    briefly: Callable[[Path, int, int], Tally] | None = None
    needs_mount: bool = False

    @property
    def name(self) -> str:
        """Picks it on the command line."""
        return f"{self.what}, {self.where}"
