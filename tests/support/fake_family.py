"""The synthetic targets as an installable family, such as a vendor would ship."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fake_targets import Failing, Flat, Hanging, LayeredTarget, Lone, Loud, Where

from npu_tune.errors import TargetError
from npu_tune.targets import Target, TargetOptions

DESCRIPTIONS = {
    "fake-npu": "adds up made-up cycles",
    "fake-flat": "has no knobs of layers",
    "fake-lone": "has a single metric",
    "fake-failing": "refuses one choice of its first knob",
    "fake-broken": "refuses even its default",
    "fake-hanging": "never answers for anything but its default",
    "fake-loud": "prints to standard output",
}


class FakeFamily:
    """Makes the targets of ``fake_targets`` by name."""

    def names(self) -> tuple[str, ...]:
        return tuple(DESCRIPTIONS)

    def describe(self, name: str) -> str:
        return DESCRIPTIONS[name]

    def options(self) -> Mapping[str, str]:
        return {"version": "text; of the made-up compiler"}

    def make(self, name: str, options: TargetOptions) -> Target:
        unknown = sorted(set(options) - {"version"})
        if unknown:
            raise TargetError(
                f"The target {name!r} has no option {unknown[0]!r}.", remedy="It takes version."
            )
        inner = LayeredTarget(version=str(options.get("version", "1")))
        where = Where("network/strategy", "speed")
        return {
            "fake-npu": inner,
            "fake-flat": Flat(inner),
            "fake-lone": Lone(inner),
            "fake-failing": Failing(inner, where),
            "fake-broken": Failing(inner, Where("network/strategy", "size")),
            "fake-hanging": Hanging(inner),
            "fake-loud": Loud(inner),
        }[name]


def install(folder: Path) -> None:
    """Makes ``folder``, once it is on the path, offer the family through its entry point."""
    info = folder / "fake_npu-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-npu\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[npu_tune.targets]\nfake = fake_family:FakeFamily\n")
