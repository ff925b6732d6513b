"""What an examination of a storage says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Args:
        kind: a word or two, the same for all of its kind.
        what: one sentence.
        remedy: what a repair does, or what a person can do where there is none.
        repairable: whether a repair does it.
    """

    kind: str
    what: str
    remedy: str
    repairable: bool = True


@dataclass(frozen=True)
class Diagnosis:
    """What was found, and what became of it.

    Args:
        storage: that was looked at, without a password.
        study: its name; None where it could not be told.
        trials: finished ones that can be read.
        findings: in the order found.
        repaired: whether all repairable ones were repaired.
        backup: the storage as it was; None where nothing was changed.
    """

    storage: str
    study: str | None
    trials: int
    findings: tuple[Finding, ...]
    repaired: bool = False
    backup: Path | None = None

    @property
    def left(self) -> tuple[Finding, ...]:
        """What is still wrong."""
        return tuple(f for f in self.findings if not (self.repaired and f.repairable))

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "storage": self.storage,
            "study": self.study,
            "trials": self.trials,
            "findings": [
                {
                    "kind": finding.kind,
                    "what": finding.what,
                    "remedy": finding.remedy,
                    "repairable": finding.repairable,
                    "repaired": self.repaired and finding.repairable,
                }
                for finding in self.findings
            ],
            "backup": None if self.backup is None else str(self.backup),
        }


def free_backup_name(path: Path) -> Path:
    """A name beside a path that nothing has yet."""
    number = 1
    while (backup := path.with_name(f"{path.name}.backup{number}")).exists():
        number += 1
    return backup
