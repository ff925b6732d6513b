"""Targets without a compiler: a synthetic layered one, and wrappers that make it misbehave.

Everything here is a frozen, picklable value, so that it goes through real worker processes.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from npu_tune.errors import CompilerError, IllegalConfigurationError
from npu_tune.network import Layer, Network, Tensor
from npu_tune.space import Configuration, Knob, SearchSpace, Value
from npu_tune.targets import Artifact, Evaluation, Kind, Metric, Start


def fake_network(layers: int = 4, *, content: bytes = b"model") -> Network:
    """A chain of layers whose file no reader would take."""
    tensors = {f"t{i}": Tensor(f"t{i}", (1, 8, 8, 4), "int8") for i in range(layers + 1)}
    chain = tuple(
        Layer(f"layer{i}", "CONV_2D", (f"t{i}",), (f"t{i + 1}",), MappingProxyType({"stride": 1}))
        for i in range(layers)
    )
    return Network("fake", "tflite", chain, tensors, ("t0",), (f"t{layers}",), content)


@dataclass(frozen=True)
class LayeredTarget:
    """Cycles add up over the layers; memory is that of the hungriest one.

    Per layer an ordered block size, an unordered traversal and a cascade flag whose stripe height
    matters only where the flag is set. The cheapest choice differs from layer to layer.
    """

    blocks: int = 4
    version: str = "1"
    start_labels: tuple[str, ...] = ()
    forbidden_block: int | None = None

    @property
    def name(self) -> str:
        return "fake-npu"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric("cycles", "cycles", Kind.SIMULATED),
            Metric("sram_bytes", "B", Kind.SIMULATED),
            Metric("share", "", Kind.SIMULATED),
        )

    def check(self, network: Network) -> None:
        """Takes everything."""

    def space(self, network: Network) -> SearchSpace:
        knobs = [Knob("network", "strategy", ("size", "speed"), "size")]
        for layer in network.layers:
            blocks = tuple(8 * (i + 1) for i in range(self.blocks))
            knobs += [
                Knob(layer.name, "block", blocks, blocks[0], ordered=True),
                Knob(layer.name, "traversal", ("depth", "part"), "depth"),
                Knob(layer.name, "cascade", (False, True), False),
                Knob(layer.name, "stripe", (1, 2, 4), 1, ordered=True),
            ]
        return SearchSpace(tuple(knobs), effective=_effective, check=self._check_configuration)

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        self._check_configuration(configuration)
        effective = _effective(configuration)
        profile: dict[str, dict[str, float]] = {}
        for index, layer in enumerate(network.layers):
            block = float(effective[f"{layer.name}/block"])
            best = 8.0 * (1 + index % self.blocks)
            cycles = 1000.0 + 10.0 * (block - best) ** 2
            if (effective[f"{layer.name}/traversal"] == "part") == (index % 2 == 0):
                cycles *= 0.9
            sram = 4096.0 + 64.0 * block
            if effective[f"{layer.name}/cascade"]:
                stripe = float(effective[f"{layer.name}/stripe"])
                cycles, sram = cycles * (1.0 + 0.1 / stripe), sram * (0.4 + 0.1 * stripe)
            profile[layer.name] = {"cycles": cycles, "sram_bytes": sram}
        factor = 0.95 if effective["network/strategy"] == "speed" else 1.0
        return Evaluation(
            metrics=MappingProxyType(
                {
                    "cycles": factor * sum(row["cycles"] for row in profile.values()),
                    "sram_bytes": max(row["sram_bytes"] for row in profile.values()) / factor,
                    "share": 0.5,
                }
            ),
            profile=profile,
            notes=("synthetic",),
        )

    def build(self, network: Network, configuration: Configuration, folder: Path) -> Artifact:
        path = folder / "model.bin"
        path.write_bytes(network.model_bytes)
        return Artifact({"model": path}, self.evaluate(network, configuration))

    def starts(self, network: Network) -> tuple[Start, ...]:
        default = self.space(network).default
        return tuple(
            Start(label, default.replace({"layer0/block": 8 * (i + 2)}))
            for i, label in enumerate(self.start_labels)
        )

    def references(self, network: Network) -> Mapping[str, Mapping[str, float]]:
        return {"other compiler": {"cycles": 3000.0 * len(network.layers), "sram_bytes": 5000.0}}

    def fingerprint(self) -> Mapping[str, str]:
        return {"version": self.version}

    def _check_configuration(self, configuration: Configuration) -> None:
        if self.forbidden_block in [v for k, v in configuration.items() if k.endswith("/block")]:
            raise IllegalConfigurationError(f"The block {self.forbidden_block} is forbidden.")


def _effective(configuration: Configuration) -> Configuration:
    return configuration.replace(
        {
            name: 1
            for name in configuration
            if name.endswith("/stripe") and not configuration[name.replace("/stripe", "/cascade")]
        }
    )


@dataclass(frozen=True)
class Wrapped:
    """A target that behaves like another one; subclasses change how it evaluates."""

    inner: Any = field(default_factory=LayeredTarget)

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.inner.metrics

    def check(self, network: Network) -> None:
        self.inner.check(network)

    def space(self, network: Network) -> SearchSpace:
        return self.inner.space(network)

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        return self.inner.evaluate(network, configuration)

    def build(self, network: Network, configuration: Configuration, folder: Path) -> Artifact:
        return self.inner.build(network, configuration, folder)

    def starts(self, network: Network) -> tuple[Start, ...]:
        return self.inner.starts(network)

    def references(self, network: Network) -> Mapping[str, Mapping[str, float]]:
        return self.inner.references(network)

    def fingerprint(self) -> Mapping[str, str]:
        return self.inner.fingerprint()


@dataclass(frozen=True)
class Flat(Wrapped):
    """Has knobs of the whole network only."""

    def space(self, network: Network) -> SearchSpace:
        space = self.inner.space(network)
        return SearchSpace(tuple(knob for knob in space.knobs if knob.layer == "network"))

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        whole = self.inner.space(network).default.replace(dict(configuration))
        return self.inner.evaluate(network, whole)


@dataclass(frozen=True)
class Lone(Wrapped):
    """Has a single metric."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return self.inner.metrics[:1]


@dataclass(frozen=True)
class Where:
    """Picks the configurations in which a knob has a value; None stands for any but the default."""

    knob: str | None = None
    value: Value | None = None

    def holds(self, target: Any, network: Network, configuration: Configuration) -> bool:
        if self.knob is None:
            return configuration != target.space(network).default
        return configuration[self.knob] == self.value


@dataclass(frozen=True)
class _Misbehaving(Wrapped):
    where: Where = field(default_factory=Where)

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        if self.where.holds(self, network, configuration):
            self.misbehave()
        return self.inner.evaluate(network, configuration)

    def misbehave(self) -> None:
        raise NotImplementedError


@dataclass(frozen=True)
class Failing(_Misbehaving):
    """Its compiler refuses some configurations; with ``bug`` it raises what nobody
    expects, with ``exits`` it wants to end the process."""

    bug: bool = False
    exits: bool = False

    def misbehave(self) -> None:
        if self.exits:
            sys.exit("bad option")
        if self.bug:
            raise ZeroDivisionError("an odd shape")
        raise CompilerError("The compiler said no.")


@dataclass(frozen=True)
class Crashing(_Misbehaving):
    """Its process dies of a signal; with a folder only the first time."""

    signal: int = signal.SIGSEGV
    once_in: Path | None = None

    def misbehave(self) -> None:
        if self.once_in is not None:
            try:
                (self.once_in / "crashed").touch(exist_ok=False)
            except FileExistsError:
                return
        os.write(2, b"Segmentation fault in the compiler\n")
        os.kill(os.getpid(), self.signal)
        threading.Event().wait()


@dataclass(frozen=True)
class Hanging(_Misbehaving):
    """Never answers, and has started a process that never ends either; its id goes to a file."""

    pid_file: Path | None = None

    def misbehave(self) -> None:
        child = os.fork()
        if child == 0:
            threading.Event().wait()
        if self.pid_file is not None:
            partial = self.pid_file.with_suffix(".partial")
            partial.write_text(f"{os.getpid()} {child}")
            partial.replace(self.pid_file)
        threading.Event().wait()


@dataclass(frozen=True)
class Loud(Wrapped):
    """Prints from Python and past it."""

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        print("NOISE from Python", flush=True)
        print("NOISE from Python", file=sys.stderr, flush=True)
        os.write(1, b"NOISE from C\n")
        os.write(2, b"NOISE from C\n")
        return self.inner.evaluate(network, configuration)


@dataclass(frozen=True)
class Drifting(Wrapped):
    """Answers every evaluation with more cycles than the last one in this process."""

    by: float = 1.0

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        evaluation = self.inner.evaluate(network, configuration)
        _drift[0] += self.by
        cycles = evaluation.metrics["cycles"] + _drift[0]
        return Evaluation({**evaluation.metrics, "cycles": cycles}, evaluation.profile)


_drift = [0.0]


@dataclass(frozen=True)
class Spoiling(_Misbehaving):
    """Reports NaN for some configurations."""

    metric: str = "cycles"

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        evaluation = self.inner.evaluate(network, configuration)
        if not self.where.holds(self, network, configuration):
            return evaluation
        return Evaluation({**evaluation.metrics, self.metric: float("nan")}, evaluation.profile)


@dataclass(frozen=True)
class Counting(Wrapped):
    """Appends a line to a file for every evaluation: process id and configuration."""

    log: Path = Path("evaluations.log")

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        changed = dict(configuration.difference(self.space(network).default))
        line = f"{os.getpid()} {sorted(changed.items())}\n".encode()
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line)
        os.close(descriptor)
        return self.inner.evaluate(network, configuration)


@dataclass(frozen=True)
class Waiting(_Misbehaving):
    """Says in a file that it has begun, and answers only a process that finds another one there."""

    folder: Path = Path()

    def misbehave(self) -> None:
        if (self.folder / "go").exists():
            return
        partial = self.folder / "begun.partial"
        partial.write_text(str(os.getpid()))
        partial.replace(self.folder / "begun")
        threading.Event().wait()


@dataclass(frozen=True)
class Environment(Wrapped):
    """Reports an environment variable of the process it runs in."""

    variable: str = "OMP_NUM_THREADS"

    def evaluate(self, network: Network, configuration: Configuration) -> Evaluation:
        del network, configuration
        return Evaluation({"value": float(os.environ[self.variable])})


@dataclass(frozen=True)
class Meeting(_Misbehaving):
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


def is_running(pid: int) -> bool:
    """False for a process that is gone, or is dead and only waits to be collected."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
