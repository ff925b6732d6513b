"""The synthetic targets as an installable family, such as a vendor would ship."""

from __future__ import annotations

from pathlib import Path

from fake_targets import (
    CrashingTarget,
    FailingTarget,
    Flat,
    HangingTarget,
    LayeredTarget,
    Lone,
    Loud,
    NoisyTarget,
    Where,
)
from pydantic import Field

from npu_tune.targets import Target, TargetOptions
from npu_tune.targets.options import read_options
from npu_tune.validation import Table

DESCRIPTIONS = {
    "fake-npu": "adds up made-up cycles",
    "fake-flat": "has no knobs of layers",
    "fake-lone": "has a single metric",
    "fake-failing": "refuses one choice of its first knob",
    "fake-broken": "refuses even its default",
    "fake-crashing": "crashes in one choice of its first knob",
    "fake-hanging": "never answers for anything but its default",
    "fake-noisy": "never answers the same twice",
    "fake-loud": "prints to standard output",
}


class FakeOptions(Table):
    layer_cycles: float = Field(
        default=1000.0, strict=False, description="number; cycles of a layer at its best"
    )
    version: str = Field(default="1", description="text; of the made-up compiler")


class FakeFamily:
    """Makes the targets of ``fake_targets`` by name."""

    options = FakeOptions

    def names(self) -> tuple[str, ...]:
        return tuple(DESCRIPTIONS)

    def describe(self, name: str) -> str:
        return DESCRIPTIONS[name]

    def make(self, name: str, options: TargetOptions) -> Target:
        read = read_options(FakeOptions, options, target=name)
        inner = LayeredTarget(compiler=read.version, layer_cycles=read.layer_cycles)
        where = Where("network/strategy", "speed")
        return {
            "fake-npu": inner,
            "fake-flat": Flat(inner),
            "fake-lone": Lone(inner),
            "fake-failing": FailingTarget(inner, where),
            "fake-broken": FailingTarget(inner, Where("network/strategy", "size")),
            "fake-crashing": CrashingTarget(inner, where),
            "fake-hanging": HangingTarget(inner),
            "fake-noisy": NoisyTarget(inner),
            "fake-loud": Loud(inner),
        }[name]


def install(folder: Path) -> None:
    """Makes ``folder``, once it is on the path, offer the family through its entry point."""
    info = folder / "fake_npu-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-npu\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[npu_tune.targets]\nfake = fake_family:FakeFamily\n")
