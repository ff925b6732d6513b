"""Programs of somebody else, run one after the other, with an end to all that they start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from npu_tune.closing import Closing
from npu_tune.processes.partner import Partner

Stopped = Literal["", "late", "loud", "unwanted"]


@dataclass(frozen=True)
class Program:
    """A program that is to be run.

    Args:
        argv: the program and its arguments; no shell reads them.
        folder: in which it runs.
        input: a file for its standard input.
        output: the file for its standard output.
        errors: the file for its standard error.
        time_limit_s: after which it is ended.
        most_bytes: of output, or of errors, beyond which it is ended.
        environment: all of its variables.
    """

    argv: tuple[str, ...]
    folder: Path
    input: Path
    output: Path
    errors: Path
    time_limit_s: float
    most_bytes: int
    environment: Mapping[str, str]


@dataclass(frozen=True)
class ProgramEnd:
    """How a program ended.

    Args:
        status: its exit status as :mod:`subprocess` gives it.
        stopped: why it was ended: it was ``late`` or too ``loud``, or nobody waited for it any
            more; "" where it has ended by itself.
        left: processes that it left behind, which were ended.
        refused: what the system says where it cannot be started; "" where it was.
        seconds: that it took.
    """

    status: int = 0
    stopped: Stopped = ""
    left: int = 0
    refused: str = ""
    seconds: float = 0.0


class ProgramRunner(Closing):
    """Runs programs in a process of its own, which is started for the first one."""

    def __init__(self) -> None:
        self._partner: Partner | None = None

    def run(self, program: Program) -> ProgramEnd:
        """Runs a program to its end, and ends everything that it leaves.

        Raises:
            EOFError, OSError: if the process that runs programs cannot be started, or has ended.
        """
        self._partner = self._partner or Partner("npu_tune.processes.runner")
        try:
            self._partner.connection.send(program)
            end: ProgramEnd = self._partner.connection.recv()
        except BaseException:  # an answer that nobody has taken would be taken for the next one
            self.close()
            raise
        return end

    def close(self) -> None:
        """Ends the process, and the program that it runs."""
        partner, self._partner = self._partner, None
        if partner is not None:
            partner.end()
