"""What a library brings for one network; made when a target is bound."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from npu_tune.space import Configuration, SearchSpace
from npu_tune.targets.measured.engine import Engine
from npu_tune.targets.measured.layers import FoldedLayer


class BackEnd(Protocol):
    """Choices, files and names of one network in one library."""

    @property
    def space(self) -> SearchSpace:
        """What may be chosen; its default is what the library does by itself in float32."""

    @property
    def engine(self) -> Engine:
        """Loads what :meth:`write` has written."""

    @property
    def main_file(self) -> str:
        """The file that a person would call the model."""

    @property
    def layers(self) -> tuple[FoldedLayer, ...]:
        """That have choices, in execution order."""

    def write(self, configuration: Configuration, folder: Path) -> Mapping[str, Any]:
        """Writes a configuration's files; returns the options of the whole network."""

    def layer_of(self, label: str) -> str:
        """The layer that something the library timed belongs to."""

    def constant_bytes(self, configuration: Configuration) -> Mapping[str, int]:
        """What the constants of each layer take in the files."""

    def noisy_choice(self, configuration: Configuration, layer: str) -> Configuration | None:
        """The default with a layer's choices; None where they lose nothing against float32."""

    def in_int8(self, layers: Collection[str]) -> Configuration:
        """The default with some layers in int8, as the library does it by itself."""

    def work(self, layer: str) -> float:
        """Multiply-accumulates of a layer, or what stands for them."""

    def script(self, configuration: Configuration) -> str:
        """A program that loads the files beside it, and prints outputs and time."""
