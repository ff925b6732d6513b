"""What a written file says of where it comes from: study, trial, and the command that makes it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from npu_tune.files import write_whole

SUFFIX = ".origin.json"
"""Of the file beside one whose format has no room for a remark."""


@dataclass(frozen=True, slots=True)
class FileOrigin:
    """Where a file comes from. It holds no time, so that equal files have equal bytes.

    Args:
        study: its name.
        trial: the number of the trial that it is about; None where it is about all of them.
        command: that makes it again.
    """

    study: str
    trial: int | None
    command: str

    @property
    def sentence(self) -> str:
        """All of it as one line."""
        what = "All trials" if self.trial is None else f"Trial {self.trial}"
        return f"{what} of the study {self.study}, made by npu-tune; again by: {self.command}"

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


def file_command(command: str, folder: Path, **options: Path) -> str:
    """A command on a study that writes files, each by its name alone.

    Args:
        command: its name.
        folder: of the study.
        options: the files by the option that names each.
    """
    words = [f"--{name} {shlex.quote(path.name)}" for name, path in options.items()]
    return " ".join(["npu-tune", command, shlex.quote(str(folder)), *words])


def write_beside(path: Path, origin: FileOrigin | Mapping[str, Any]) -> Path:
    """Writes where a file comes from into one beside it; returns that.

    Args:
        path: of the file.
        origin: of the file.

    Raises:
        OSError: if it cannot be written.
    """
    beside = path.with_name(path.name + SUFFIX)
    document = origin.to_dict() if isinstance(origin, FileOrigin) else origin
    write_whole(beside, (json.dumps({"file": path.name, **document}, indent=2) + "\n").encode())
    return beside
