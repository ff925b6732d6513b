"""What a worker on Ray holds while it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class WorkerNeeds:
    """What a worker on Ray holds, in Ray's own words.

    Args:
        num_cpus: processors.
        memory: bytes; None to reserve none.
        resources: custom resources of the cluster's nodes, such as ``{"board": 1}``.
        runtime_env: the environment that Ray makes for it, as ``{"pip": [...]}``.
    """

    num_cpus: float = 1.0
    memory: int | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    runtime_env: Mapping[str, Any] = field(default_factory=dict)

    def options(self) -> dict[str, Any]:
        """As options of a Ray actor."""
        options: dict[str, Any] = {"num_cpus": self.num_cpus, "resources": dict(self.resources)}
        if self.memory is not None:
            options["memory"] = self.memory
        if self.runtime_env:
            options["runtime_env"] = dict(self.runtime_env)
        return options

    def __str__(self) -> str:
        parts = [f"num_cpus = {self.num_cpus:g}"]
        if self.memory is not None:
            parts.append(f"memory = {self.memory}")
        parts += [f"{name} = {count:g}" for name, count in self.resources.items()]
        return ", ".join(parts)
