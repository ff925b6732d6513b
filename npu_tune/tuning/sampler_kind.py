"""How a sampler is declared, and what a study tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from optuna.samplers import BaseSampler


@dataclass(frozen=True)
class SamplerContext:
    """What a study knows that a sampler may use.

    Args:
        seed: of the sampler's random choices.
        layer_order: names of the network's layers in execution order; None where unknown.
        baseline: Optuna parameters of the configuration to start from; empty where there is none.
        evaluations: the budget; None where there is none.
        noise: relative standard deviation of a trial's values; 0 for exact evaluations.
        objectives: number of objectives; None where unknown.
        profile_cost: the column of profiles that holds a layer's cost.
        profile_group: the column of profiles with one value in neighbouring rows of layers that
            ran together; None where profiles do not tell.
    """

    seed: int
    layer_order: tuple[str, ...] | None = None
    baseline: Mapping[str, Any] = field(default_factory=dict)
    evaluations: int | None = None
    noise: float = 0.0
    objectives: int | None = None
    profile_cost: str = "cycles"
    profile_group: str | None = "epoch"


MakeSampler: TypeAlias = Callable[[Mapping[str, Any], SamplerContext], BaseSampler]
"""Makes a sampler from the options of a study file, which win, and the context."""


@dataclass(frozen=True)
class RequiredModule:
    """A Python module that a sampler needs and that may not be installed.

    Args:
        module: its import name.
        title: what people call it.
        remedy: one sentence that says how to install it.
    """

    module: str
    title: str
    remedy: str


@dataclass(frozen=True)
class SamplerKind:
    """A sampler as study files name it.

    Args:
        name: in study files; equal to the entry point's where there is one.
        description: one line for people.
        make: makes the sampler; raises ValueError or TypeError for an option's wrong value.
        options: by name, what each option means in one line.
        walks_layers: whether it needs parameters that belong to layers.
        seeded_per_trial: whether it draws from a generator of its own, and so needs a fresh
            instance for every trial to go on after an interruption; see ``SeededPerTrial``.
        of_one_objective: what a person should know where there is one objective only; "" where
            that is what it is made for.
        requires: a module it needs beside this package's dependencies.
    """

    name: str
    description: str
    make: MakeSampler
    options: Mapping[str, str] = field(default_factory=dict)
    walks_layers: bool = False
    seeded_per_trial: bool = False
    of_one_objective: str = ""
    requires: RequiredModule | None = None
