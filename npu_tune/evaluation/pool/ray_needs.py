"""What a worker on Ray holds while it works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from npu_tune.errors import ExecutorError
from npu_tune.validation import key_note

_OF_RAY = ("node:", "accelerator_type:")
"""How the names of resources begin that Ray itself gives to the nodes that it starts."""


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

    def require_here(self) -> None:
        """Checks that a Ray that is started on this machine alone can have what a worker holds.

        Raises:
            ExecutorError: if there is a custom resource among it, which only a cluster has.
        """
        for name in self.resources:
            if not name.startswith(_OF_RAY):
                raise ExecutorError(
                    f"Ray as it is started on this machine has no resource {name!r}"
                    f"{key_note('executor.resources')}.",
                    remedy="Name a cluster whose nodes were started with it, by its address or "
                    "`auto`, or leave it out.",
                    resource=name,
                )

    def __str__(self) -> str:
        parts = [f"num_cpus = {self.num_cpus:g}"]
        if self.memory is not None:
            parts.append(f"memory = {self.memory}")
        parts += [f"{name} = {count:g}" for name, count in self.resources.items()]
        return ", ".join(parts)
