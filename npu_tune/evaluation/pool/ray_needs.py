"""What a worker on Ray holds while it works."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from npu_tune.errors import ExecutorError
from npu_tune.validation import key_note

SETUP_TIMEOUT_S = 600.0
"""How long Ray takes to make an environment on a node where nothing else is said (its
``config.setup_timeout_seconds``)."""

_WITHOUT_END_S = 86_400.0
"""Stands for a -1 there, with which Ray gives up on no environment."""

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

    def held(self) -> dict[str, Any]:
        """What an actor of Ray's is to hold, as its options."""
        held: dict[str, Any] = {"num_cpus": self.num_cpus, "resources": dict(self.resources)}
        if self.memory is not None:
            held["memory"] = self.memory
        return held

    def there(self, total: Mapping[str, float]) -> WorkerNeeds:
        """The same things as a cluster has them.

        Args:
            total: of all its nodes together, by Ray's names.
        """
        return replace(
            self,
            num_cpus=total.get("CPU", 0),
            memory=None if self.memory is None else int(total.get("memory", 0)),
            resources={name: total.get(name, 0) for name in self.resources},
        )

    @property
    def setup_timeout_s(self) -> float:
        """Seconds within which Ray makes the environment on a node, or says that it cannot."""
        if not self.runtime_env:
            return 0.0
        config = self.runtime_env.get("config") or {}
        seconds = float(config.get("setup_timeout_seconds", SETUP_TIMEOUT_S))
        return seconds if seconds >= 0 else _WITHOUT_END_S

    def require_sound(self) -> None:
        """Checks that Ray takes all of it, before anything is connected or started.

        Raises:
            ExecutorError: if it does not.
        """
        import ray  # noqa: PLC0415 - slow to import, and not needed for --help
        from ray.runtime_env import RuntimeEnv  # noqa: PLC0415

        with _refusals("executor.runtime_env"):
            RuntimeEnv(**self.runtime_env)
        with _refusals("executor.resources"):
            ray.remote(**self.held())(type("Held", (), {}))

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


@contextlib.contextmanager
def _refusals(key: str) -> Iterator[None]:
    """Turns what Ray says of an argument into an ExecutorError."""
    try:
        yield
    except (TypeError, ValueError) as error:
        said = str(error).splitlines()[0].rstrip(".")
        raise ExecutorError(
            f"Ray takes no workers of this kind{key_note(key)}: {said}.",
            remedy="Mend what workers on Ray are to hold, or leave it out.",
        ) from error
