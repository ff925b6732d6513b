"""A program of somebody else as a target."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

from npu_tune.errors import ModelFormatError, TargetError
from npu_tune.network import Network
from npu_tune.targets.command.problem import PROTOCOL, CommandProblem
from npu_tune.targets.command.settings import CommandTable
from npu_tune.targets.measured.data import Arrays, MeasuringData
from npu_tune.targets.metrics import Metric


def content_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class CommandTarget:
    """A program that is run once per evaluation.

    Args:
        table: what is run and what comes back.
        version: of what the program wraps.
        digests: SHA-256 in hexadecimal, by absolute path, of the files that evaluations depend on.
    """

    table: CommandTable
    version: str = ""
    digests: Mapping[str, str] = field(default_factory=dict, hash=False)

    name: ClassVar[str] = "command"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """As the table declares them."""
        return tuple(each.metric() for each in self.table.metrics)

    def bind(self, network: Network) -> CommandProblem:
        """Finds the program and the layers that knobs are about.

        Raises:
            ModelFormatError: if the program does not read such files.
            TargetError: if the program is not there, a file has changed, or a table of knobs does
                not fit the network.
        """
        return self._bind(network, None)

    def fingerprint(self) -> Mapping[str, str]:
        """What is run, by content and not by place, and what it depends on."""
        table = self.table
        named = {path: Path(path).name for path in self.digests}
        files = sorted((named[path], digest) for path, digest in self.digests.items())
        whole = {
            "protocol": PROTOCOL,
            "command": " ".join(named.get(word, word) for word in table.argv),
            "version": self.version,
            "files": ", ".join(f"{name} {digest}" for name, digest in files),
            "environment": ", ".join(f"{k}={v}" for k, v in sorted(table.environment.items())),
            "exit_codes": ", ".join(f"{k}={v}" for k, v in sorted(table.exit_codes.items())),
            "reports": ", ".join(f"{each.name} {each.kind}" for each in table.metrics),
            "profile": ""
            if table.profile is None
            else table.profile.model_dump_json(exclude={"causes"}),
        }
        return {name: text for name, text in whole.items() if text}

    def _bind(self, network: Network, data: MeasuringData | None) -> CommandProblem:
        if network.format not in self.table.formats:
            raise ModelFormatError(
                f"The command does not read {network.format} files.",
                remedy=f"Give one of {', '.join(self.table.formats)}.",
            )
        self._require_program()
        self._require_unchanged()
        return CommandProblem(self, self.table, network, data)

    def _require_program(self) -> None:
        program = self.table.argv[0]
        if shutil.which(program, path=self.table.environment.get("PATH")) is None:
            raise TargetError(
                f"The program {program!r} of the command cannot be found, or not be run.",
                remedy="Give its path, or put its folder into PATH.",
                option="command",
            )

    def _require_unchanged(self) -> None:
        for path, digest in self.digests.items():
            if not Path(path).is_file() or content_digest(Path(path)) != digest:
                raise TargetError(
                    f"The file {path} of the command has changed since the study began, or is gone.",
                    remedy="Put it back, or begin another study.",
                    path=path,
                )


@dataclass(frozen=True)
class CalibratedCommandTarget(CommandTarget):
    """A program that makes int8 of a float network itself.

    Args:
        data: typical inputs.
    """

    data: MeasuringData = field(default_factory=MeasuringData)

    def calibrated(self, arrays: Arrays) -> Self:
        """This target with typical inputs, which the program is given."""
        return replace(self, data=MeasuringData(calibration=arrays))

    def bind(self, network: Network) -> CommandProblem:
        """As ever, with typical inputs.

        Raises:
            ModelError: if they do not fit the network, as well.
        """
        return self._bind(network, self.data)

    def fingerprint(self) -> Mapping[str, str]:
        """With the typical inputs."""
        return {**super().fingerprint(), **self.data.fingerprint()}
