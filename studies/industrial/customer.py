"""The table that a customer gets: what each device gained, and of which kind each number is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cells import markdown
from devices import Limits, Tuned, milliseconds

from npu_tune.targets import Artifact

UNKNOWN = "not known"


@dataclass(frozen=True)
class Row:
    """What is said of a device.

    Args:
        device: for people.
        target: its name.
        folder: of its study and its files.
        kind: of time, memory and energy: estimated, simulated or measured.
        evaluations: that its study made.
        limits_met: by limit, whether what is deployed keeps to it.
        accuracy_float: share of the test recordings that the float network recognises.
        accuracy_deployed: the same of what is deployed.
        accuracy_by: what ran it.
        changed: test recordings on which the two decide otherwise.
        default_ms: time of an inference of the default compilation.
        tuned_ms: of what was found.
        time_ratio: tuned by default; of measurements taken in turns where they drift.
        time_interval: 99 % confidence interval of that; None where evaluations repeat exactly.
        time_spread: relative standard deviation of one measurement; 0 where there is none.
        default_bytes: working memory of the default compilation.
        tuned_bytes: of what was found.
        limit_bytes: that were allowed.
        energy_ratio: tuned by default; None where the target tells none.
        files: names of what was exported.
        choices: settings that differ from the default.
    """

    device: str
    target: str
    folder: str
    kind: str
    evaluations: int
    limits_met: Mapping[str, bool]
    accuracy_float: float
    accuracy_deployed: float
    accuracy_by: str
    changed: int
    default_ms: float
    tuned_ms: float
    time_ratio: float
    time_interval: tuple[float, float] | None
    time_spread: float
    default_bytes: float
    tuned_bytes: float
    limit_bytes: int
    energy_ratio: float | None
    files: tuple[str, ...]
    choices: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Judged:
    """Accuracy on the test recordings.

    Args:
        of_float: the float network's.
        of_deployed: what is deployed has.
        by: what ran that.
        changed: decisions that differ between the two.
    """

    of_float: float
    of_deployed: float
    by: str
    changed: int


def row_of(tuned: Tuned, judged: Judged, limits: Limits) -> Row:
    """The row of a device; its limits are judged by the numbers of the row itself."""
    device, result = tuned.device, tuned.result
    before, after = tuned.baseline.metrics, tuned.chosen.metrics
    kinds = {metric.name: metric.kind for metric in result.metrics}
    # Of drifting measurements the cost is the ratio that was taken in turns.
    ratio = after[device.time] / before[device.time]
    if not result.deterministic and tuned.chosen.cost is not None:
        ratio = tuned.chosen.cost
    loss = judged.of_float - judged.of_deployed
    return Row(
        device=device.title,
        target=device.target,
        folder=device.folder,
        kind=str(kinds[device.time]),
        evaluations=sum(trial.duplicate_of is None for trial in result.trials),
        limits_met={
            "accuracy": loss <= limits.accuracy_loss + 1e-12,
            "memory": after[device.memory] <= tuned.memory_limit,
        },
        accuracy_float=judged.of_float,
        accuracy_deployed=judged.of_deployed,
        accuracy_by=judged.by,
        changed=judged.changed,
        default_ms=milliseconds(device, before),
        tuned_ms=milliseconds(device, after),
        time_ratio=ratio,
        time_interval=None if result.deterministic else _finite(tuned.chosen.cost_interval),
        time_spread=float(result.likely_spread.get(device.time, 0.0)),
        default_bytes=before[device.memory],
        tuned_bytes=after[device.memory],
        limit_bytes=tuned.memory_limit,
        energy_ratio=after[device.energy] / before[device.energy] if device.energy else None,
        files=_names(tuned.artifact),
        choices=len(tuned.chosen.configuration.difference(result.default)),
    )


def _names(artifact: Artifact) -> tuple[str, ...]:
    """The files by their paths in the exported folder, in which the model stands."""
    folder = artifact.files["model"].parent
    return tuple(sorted({path.relative_to(folder).as_posix() for path in artifact.files.values()}))


def _finite(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    return interval if interval and all(map(math.isfinite, interval)) else None


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table in Markdown, of rows as JSON has them."""
    header = [
        "device",
        "accuracy, float",
        "accuracy, deployed",
        "ms, default",
        "ms, tuned",
        "time, tuned / default",
        "KiB, default",
        "KiB, tuned (limit)",
        "energy, tuned / default",
        "time, memory, energy are",
        "limits",
    ]
    return markdown(header, [_cells(row) for row in rows])


def files_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """What was exported for each device."""
    cells = [
        [
            row["device"],
            f"{row['folder']}/deploy",
            ", ".join(f"`{name}`" for name in row["files"]),
            f"{row['evaluations']:,}",
            str(row["choices"]),
            str(row["changed"]),
        ]
        for row in rows
    ]
    header = ["device", "folder", "files", "evaluations", "settings changed"]
    return markdown([*header, "test decisions other than in float"], cells)


def summary(result: Mapping[str, Any]) -> str:
    """A sentence on the network and one on the run."""
    network, test, seconds = result["network"], result["test"], result["seconds"]
    low, high = test["float_interval"]
    share = result["devices"][0]["accuracy_float"]
    by_machine = test["float_by_machine"]
    return (
        f"{network['parameters']:,} parameters in {network['convolutions']} convolutions and a "
        f"dense layer; the float network recognises {share:.1%} of {result['recordings']['test']:,} "
        f"test recordings ({low:.1%} to {high:.1%} by Wilson's 95 % interval), {min(by_machine):.0%} "
        f"to {max(by_machine):.0%} by machine. ONNX differs from JAX by "
        f"{network['onnx_from_jax']:.0e} of the greatest logit; int8 keeps "
        f"{network['int8_decibels']} dB. All of it took {seconds['all'] / 60:.0f} minutes, of "
        f"which training {seconds['training'] / 60:.0f}."
    )


def _cells(row: Mapping[str, Any]) -> list[str]:
    ratio = f"{row['time_ratio']:.3f}"
    if row["time_interval"]:
        low, high = row["time_interval"]
        ratio += f" ({low:.3f} to {high:.3f})"
    missed = [name for name, is_met in row["limits_met"].items() if not is_met]
    energy = row["energy_ratio"]
    return [
        row["device"],
        f"{row['accuracy_float']:.2%}",
        f"{row['accuracy_deployed']:.2%}",
        f"{row['default_ms']:.3f}",
        f"{row['tuned_ms']:.3f}",
        ratio,
        f"{row['default_bytes'] / 1024:,.0f}",
        f"{row['tuned_bytes'] / 1024:,.0f} ({row['limit_bytes'] / 1024:,.0f})",
        UNKNOWN if energy is None else f"{energy:.3f}",
        row["kind"],
        f"not met: {', '.join(missed)}" if missed else "met",
    ]


def likely_range(accuracy: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of independent recordings."""
    middle = (accuracy + z * z / (2 * count)) / (1 + z * z / count)
    half = (
        z
        / (1 + z * z / count)
        * math.sqrt(accuracy * (1 - accuracy) / count + z * z / (4 * count * count))
    )
    return middle - half, middle + half
