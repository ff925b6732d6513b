"""Targets for the tests of this project alone; those that anybody may use are in the package.

Everything here is a frozen, picklable value, so that it goes through real worker processes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Self

from npu_tune.errors import CompilerError, ModelError
from npu_tune.network import Network
from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets import Evaluation, Metric, Problem
from npu_tune.testing import (
    CrashingTarget,
    FailingTarget,
    HangingTarget,
    LayeredTarget,
    NoisyTarget,
    SelectiveTarget,
    SlowTarget,
    Where,
    WrappedProblem,
    WrappedTarget,
    fake_network,
)

__all__ = [
    "Acting",
    "Closing",
    "Counting",
    "CrashingTarget",
    "Drifting",
    "Environment",
    "FailingTarget",
    "Flat",
    "HangingTarget",
    "LayeredTarget",
    "Lone",
    "Loud",
    "Meeting",
    "MeetingPlace",
    "NoisyTarget",
    "Refusing",
    "SelectiveTarget",
    "SlowTarget",
    "Spoiling",
    "Thrifty",
    "Unready",
    "Waiting",
    "Where",
    "WrappedProblem",
    "WrappedTarget",
    "fake_network",
    "is_running",
    "note",
    "start_daemon",
    "take_much",
    "wait_until",
]


@dataclass(frozen=True)
class Flat(WrappedTarget):
    """Has knobs of the whole network only."""

    def bind(self, network: Network) -> Problem:
        return _FlatProblem(self, self.inner.bind(network))


class _FlatProblem(WrappedProblem):
    @cached_property
    def _space(self) -> SearchSpace:
        return SearchSpace(tuple(k for k in self.inner.space.knobs if k.layer == "network"))

    @property
    def space(self) -> SearchSpace:
        return self._space

    def evaluate(self, configuration: Configuration) -> Evaluation:
        return self.inner.evaluate(self.inner.space.default.replace(dict(configuration)))


@dataclass(frozen=True)
class Lone(WrappedTarget):
    """Has a single metric."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.inner.metrics[:1]


@dataclass(frozen=True)
class Thrifty(WrappedTarget):
    """Works out ``share`` on request only."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(
            dataclasses.replace(metric, on_request=metric.name == "share")
            for metric in self.inner.metrics
        )

    def bind(self, network: Network) -> Problem:
        return _ThriftyProblem(self, self.inner.bind(network))


class _ThriftyProblem(WrappedProblem):
    def evaluate_some(self, configuration: Configuration, metrics: Collection[str]) -> Evaluation:
        evaluation = self.evaluate(configuration)
        known = evaluation.metrics.items()
        kept = {name: v for name, v in known if name != "share" or name in metrics}
        return dataclasses.replace(evaluation, metrics=kept)


@dataclass(frozen=True)
class Loud(WrappedTarget):
    """Prints from Python and past it."""

    def prepare(self, problem: WrappedProblem, configuration: Configuration) -> None:
        print("NOISE from Python", flush=True)
        print("NOISE from Python", file=sys.stderr, flush=True)
        os.write(1, b"NOISE from C\n")
        os.write(2, b"NOISE from C\n")


@dataclass(frozen=True)
class Drifting(WrappedTarget):
    """Answers every evaluation with more cycles than the last one, and says it does not."""

    by: float = 1.0

    def change(self, problem: WrappedProblem, evaluation: Evaluation, number: int) -> Evaluation:
        cycles = evaluation.metrics["cycles"] + self.by * number
        return dataclasses.replace(evaluation, metrics={**evaluation.metrics, "cycles": cycles})


@dataclass(frozen=True)
class Spoiling(SelectiveTarget):
    """Reports NaN for some configurations."""

    metric: str = "cycles"

    def bind(self, network: Network) -> Problem:
        return _SpoilingProblem(self, self.inner.bind(network))


class _SpoilingProblem(WrappedProblem):
    target: Spoiling

    def evaluate(self, configuration: Configuration) -> Evaluation:
        evaluation = self.inner.evaluate(configuration)
        if not self.target.where.holds(configuration, self.space):
            return evaluation
        spoilt = {**evaluation.metrics, self.target.metric: float("nan")}
        return dataclasses.replace(evaluation, metrics=spoilt)


@dataclass(frozen=True)
class Counting(WrappedTarget):
    """Appends a line to a file for every evaluation: process id and configuration."""

    log: Path = Path("evaluations.log")

    def prepare(self, problem: WrappedProblem, configuration: Configuration) -> None:
        changed = configuration.difference(problem.space.default)
        line = f"{os.getpid()} {sorted(changed.items())}\n".encode()
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line)
        os.close(descriptor)


@dataclass(frozen=True)
class Waiting(SelectiveTarget):
    """Says in a file that it has begun, and answers only a process that finds another one there."""

    folder: Path = Path()

    def misbehave(self) -> None:
        if (self.folder / "go").exists():
            return
        note(self.folder / "begun", str(os.getpid()))
        threading.Event().wait()


@dataclass(frozen=True)
class Acting(SelectiveTarget):
    """Does something in some configurations before it answers.

    Args:
        act: a function of a module; it gets the folder.
        folder: to leave something in.
    """

    act: Callable[[Path], None] = Path.touch
    folder: Path = Path()

    def misbehave(self) -> None:
        self.act(self.folder)


def take_much(folder: Path) -> None:
    """Takes a gibibyte of memory for a moment."""
    bytearray(2**30)


def find_what_was_brought(folder: Path) -> None:
    """Notes the variable ``BROUGHT`` of a process that can import ``brought_along``."""
    assert importlib.util.find_spec("brought_along")
    (folder / "found").write_text(os.environ["BROUGHT"])


def start_daemon(folder: Path) -> None:
    """Starts a process in a session of its own that nobody is the parent of; notes its number."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        daemon = os.fork()
        if daemon:
            os.write(writer, str(daemon).encode())
            os._exit(0)
        os.closerange(0, 64)
        threading.Event().wait()
    os.wait()
    note(folder / "pids", os.read(reader, 20).decode())


def note(path: Path, text: str) -> None:
    """Writes a file that is there whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


@dataclass(frozen=True)
class Unready(WrappedTarget):
    """Kills its process when it is bound in another one, a number of times.

    Args:
        folder: in which every one of these times leaves a file.
        times: how often.
        home: number of the process that made it.
    """

    folder: Path = Path()
    times: int = 1
    home: int = field(default_factory=os.getpid)

    def bind(self, network: Network) -> Problem:
        if os.getpid() != self.home:
            for number in range(self.times):
                with contextlib.suppress(FileExistsError):
                    (self.folder / f"killed{number}").touch(exist_ok=False)
                    os.kill(os.getpid(), signal.SIGKILL)
        return super().bind(network)


@dataclass(frozen=True)
class Environment(WrappedTarget):
    """Reports an environment variable of the process it runs in."""

    variable: str = "OMP_NUM_THREADS"

    def change(self, problem: WrappedProblem, evaluation: Evaluation, number: int) -> Evaluation:
        return Evaluation({"value": float(os.environ[self.variable])})


@dataclass(frozen=True)
class Refusing(WrappedTarget):
    """Binds in the process that made it only once, and nowhere else at all."""

    home: int = field(default_factory=os.getpid)
    bound: list[int] = field(default_factory=list, compare=False)

    def bind(self, network: Network) -> Problem:
        if self.bound or os.getpid() != self.home:
            raise ModelError("Not here.", remedy="Elsewhere.")
        self.bound.append(os.getpid())
        return super().bind(network)


@dataclass(frozen=True)
class Closing(WrappedTarget):
    """Adds a line to a file when a problem is closed in another process than this one."""

    log: Path = Path("closed.log")
    home: int = field(default_factory=os.getpid)

    def bind(self, network: Network) -> Problem:
        return _ClosingProblem(self, self.inner.bind(network))


class _ClosingProblem(WrappedProblem):
    target: Closing

    def close(self) -> None:
        super().close()
        if os.getpid() != self.target.home:
            with self.target.log.open("a") as log:
                log.write(f"{os.getpid()}\n")


@dataclass(frozen=True)
class Meeting(SelectiveTarget):
    """Answers only when as many evaluations as the meeting wants are under way at once."""

    address: str = ""

    def misbehave(self) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.address)
            connection.sendall(f"{os.getpid()}\n".encode())
            if connection.recv(1) != b"+":
                raise CompilerError("The meeting did not come about.")


class MeetingPlace:
    """Lets evaluations of a :class:`Meeting` target go on in groups.

    Args:
        path: of the socket.
        size: of a group.
        patience_s: how long a group may take to gather; then the test has failed.
    """

    def __init__(self, path: Path, size: int, *, patience_s: float = 60.0) -> None:
        self.path = str(path)
        self.groups: list[list[int]] = []
        self._size = size
        self._closing = False
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self.path)
        self._server.listen()
        self._server.settimeout(patience_s)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        with socket.socket(socket.AF_UNIX) as wake:
            wake.connect(self.path)
            self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        while True:
            present: list[tuple[socket.socket, int]] = []
            try:
                while len(present) < self._size:
                    connection, _ = self._server.accept()
                    if self._closing:
                        raise ConnectionAbortedError
                    present.append((connection, int(connection.makefile().readline())))
            except OSError:
                for connection, _ in present:
                    connection.close()
                return
            self.groups.append([pid for _, pid in present])
            for connection, _ in present:
                connection.sendall(b"+")
                connection.close()


def wait_until(happened: Callable[[], bool], *, patience_s: float = 60.0) -> None:
    """Returns as soon as something has happened in another process; gives up after a while."""
    deadline = time.monotonic() + patience_s
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError("it never happened")
        threading.Event().wait(0.01)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_running(pid: int) -> bool:
    """False for a process that is gone, or is dead and only waits to be collected."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
