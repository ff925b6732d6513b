"""What a back end brings to be measured: how its files become something that runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

Array = NDArray[Any]

Feed = Mapping[str, Array]
"""A value per input of the network, with its batch."""


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
