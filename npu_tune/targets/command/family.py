"""The target ``command``, from a study's ``[target]`` table or a file of one's own."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from npu_tune.errors import TargetError, remedy_for
from npu_tune.files import is_file
from npu_tune.targets.base import TargetOptions
from npu_tune.targets.command.settings import CommandTable
from npu_tune.targets.options import OptionInfo, read_options
from npu_tune.targets.problem import Target
from npu_tune.validation import Table, known_remedy, read_toml, validated

NAME = "command"

_VERSION_S = 60.0


class CommandOptions(Table):
    """A study's ``[target]`` table without the name."""

    command: Annotated[
        str | dict[str, Any],
        OptionInfo(flag=True, takes="the path of a command file (.toml), or its table"),
    ] = Field(
        description="path of a TOML file that says what is run, what may be chosen and what comes "
        "back (docs/command.md), or that table itself",
    )


class CommandFamily:
    """Any device and any compiler through a program of yours."""

    @property
    def options(self) -> type[CommandOptions]:
        """The command."""
        return CommandOptions

    def names(self) -> tuple[str, ...]:
        """The one target."""
        return (NAME,)

    def describe(self, name: str) -> str:
        """One line on it."""
        del name
        return "a program of yours that is run once per evaluation: any board, any compiler"

    def make(self, name: str, options: TargetOptions) -> Target:
        """Makes the target.

        Raises:
            TargetError: for an unknown name, option or option value, for a command file that is
                not there or not right, and for a version that cannot be had.
        """
        if name != NAME:
            raise TargetError(f"There is no target {name!r}.", remedy=known_remedy(name, (NAME,)))
        given = read_options(CommandOptions, options, target=name).command
        if isinstance(given, str):
            path = Path(given)
            document = read_toml(path, whole="command file", kind=TargetError)
            table, base = _table(document, source=str(path)), path.resolve().parent
        else:
            table, base = _table(given, source="[target.command]"), Path.cwd()
        # Problems bring in processes and NumPy, which nobody needs who asks for help.
        from npu_tune.targets.command.target import (  # noqa: PLC0415
            CalibratedCommandTarget,
            CommandTarget,
            content_digest,
        )

        table = _with_paths(table, base)
        paths = [word for word in table.argv if Path(word).is_absolute() and is_file(word)]
        kind = CalibratedCommandTarget if table.calibration else CommandTarget
        # The program itself may be as large as an interpreter, and says little without what it loads.
        named = dict.fromkeys([*paths, *table.files])
        return kind(table, _version(table), {path: content_digest(Path(path)) for path in named})


def _table(document: Mapping[str, Any], *, source: str) -> CommandTable:
    return validated(CommandTable, document, source=source, whole="the command", kind=TargetError)


def _with_paths(table: CommandTable, base: Path) -> CommandTable:
    """With absolute paths of the files that are named, those in a command file counted from it."""

    def existing(word: str) -> str:
        return str(base / word) if word and is_file(base / word) else word

    files = tuple(existing(word) for word in table.files)
    for path in files:
        if not is_file(path):
            raise TargetError(
                f"The command names the file {path!r}, which is not there.",
                remedy="Give its path as seen from the command file.",
                path=path,
            )
    version = table.version
    return table.model_copy(
        update={
            "argv": tuple(map(existing, table.argv)),
            "files": files,
            "version": version if isinstance(version, str) else tuple(map(existing, version)),
        }
    )


def _version(table: CommandTable) -> str:
    """The version that is stated, or what the program prints that states it."""
    if isinstance(table.version, str):
        return table.version
    try:
        ended = subprocess.run(
            table.version,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_S,
            check=True,
        )
    except OSError as error:
        said, remedy = error.strerror or str(error), remedy_for(error, "")
    except subprocess.TimeoutExpired:
        said, remedy = f"it takes longer than {_VERSION_S:g} s", "Mend it."
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip() or error.stdout.strip()).rpartition("\n")[2]
        said, remedy = f"it ends with status {error.returncode} ({last})", "Mend it."
    else:
        return " ".join(ended.stdout.split()) or " ".join(ended.stderr.split())
    raise TargetError(
        f"The version of the command cannot be had from {' '.join(table.version)!r}: {said}.",
        remedy=remedy,
        option="command",
    )
