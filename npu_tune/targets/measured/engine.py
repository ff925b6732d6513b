"""What a back end brings to be measured: how its files become something that runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]

Feed = Mapping[str, Array]
"""A value per input of the network, with its batch."""


def profiled_runs(*, least: int = 3, most: int = 10, seconds: float = 0.5) -> Iterator[None]:
    """Runs of which the least time of each layer counts.

    With three, single layers are often 10 % off, and what samplers learn of layers is made of these;
    a network that takes long has layers that do, too, whose times vary less.

    Args:
        least: runs; the first one is warming up.
        most: runs.
        seconds: after which there are no more than the least.
    """
    started = time.perf_counter()
    for number in range(most):
        if number >= least and time.perf_counter() - started > seconds:
            return
        yield


class Runnable(Protocol):
    """A network that a library has loaded."""

    def run(self, feed: Feed) -> list[Array]:
        """The network's outputs, in its order, as arrays that own their memory."""

    def layer_seconds(self, feed: Feed) -> Mapping[str, float]:
        """What each layer took in one run, by the names that the writer gave; {} if unknown."""

    def close(self) -> None:
        """Releases everything."""


class Engine(Protocol):
    """A library, as a picklable value.

    Attributes:
        threads: that it computes with.
        outlives_fork: True where a network that was loaded before a fork runs behind it too.
        device: ``cpu`` or ``gpu``; thread CPU time says nothing of the latter.
    """

    @property
    def threads(self) -> int: ...

    @property
    def outlives_fork(self) -> bool: ...

    @property
    def device(self) -> str: ...

    def prepare(self) -> None:
        """Imports the library."""

    def load(self, folder: Path, options: Mapping[str, Any], *, profile: bool) -> Runnable:
        """Loads what the writer has put into a folder.

        Args:
            folder: of one configuration.
            options: of the whole network, by the names of its knobs.
            profile: True where :meth:`Runnable.layer_seconds` will be asked for.
        """
