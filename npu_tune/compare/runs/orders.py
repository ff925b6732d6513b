"""Run orders: the runs that a comparison file asks for, and what they run on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from npu_tune.compare.file.config import (
    ComparedObjective,
    ComparedSampler,
    ComparisonFile,
)
from npu_tune.compare.file.labels import file_words
from npu_tune.compare.runs.recording import SCHEMA_VERSION, ProblemName, RunName
from npu_tune.compare.runs.run import RunOrder
from npu_tune.errors import UsageError
from npu_tune.evaluation.pool import Binding
from npu_tune.targets import Identity, Problem, load_target
from npu_tune.tuning.objective import Objective
from npu_tune.tuning.problems import open_problem
from npu_tune.tuning.samplers import require_layers
from npu_tune.tuning.search import new_search


@dataclass(frozen=True)
class Workload:
    """A network on a target that was found fit to be searched.

    Args:
        identity: of the problem.
        binding: makes it.
    """

    identity: Identity
    binding: Binding


Workloads = dict[tuple[str, str], Workload]
"""By the labels of network and target."""


def run_orders(comparison: ComparisonFile) -> list[RunOrder]:
    """Lists every run, by problem, then seed, then sampler, so that samplers share evaluations early."""
    section = comparison.compare
    return [
        RunOrder(
            name=RunName(name, sampler.title, seed),
            digest=_digest(comparison, sampler, objective),
            sampler=sampler,
            objective=objective,
            evaluations=section.evaluations,
            duplicates_in_a_row=section.duplicates_in_a_row,
            starts=section.starts,
        )
        for name, objective in _problems(comparison)
        for seed in section.seeds
        for sampler in comparison.sampler
        if seed in comparison.seeds_of(sampler)
    ]


def run_path(folder: Path, order: RunOrder) -> Path:
    """Path of the recording of one run."""
    problem = order.name.problem
    labels = (problem.network, problem.target, problem.objective, order.name.sampler)
    text = json.dumps([*labels, order.name.seed, order.digest])
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return folder / "runs" / f"{file_words(labels)}--{order.name.seed}--{digest}.parquet"


def load_workloads(comparison: ComparisonFile) -> Workloads:
    """Loads every network for every target, and checks that all can be searched as asked.

    Raises:
        UsageError: if a sampler or a metric is unknown, or a sampler refuses its options.
        ModelError: if a network cannot be read, or is not fit for one of the targets.
        TargetError: if a target or one of its options is unknown.
    """
    workloads: Workloads = {}
    targets = [(each.title, load_target(each.name, each.options)) for each in comparison.target]
    # A built-in network is made once for all targets that come one after another.
    for network_section in comparison.network:
        for title, target in targets:
            with open_problem(network_section, target) as problem:
                _require_searchable(comparison, problem)
                workload = Workload(problem.identity, Binding.of(problem))
            workloads[network_section.title, title] = workload
    return workloads


def _require_searchable(comparison: ComparisonFile, problem: Problem) -> None:
    for sampler in comparison.sampler:
        require_layers(sampler.name, problem.space)
    for section in comparison.objective:
        objective = Objective.of(section, section.limits, problem.metrics)
        if objective.pareto and len(objective.weights) < 2:
            raise UsageError(
                f"The objective {section.title!r} has mode = 'pareto', which needs several metrics, "
                f"and {problem.target.name} has one.",
                remedy="Use mode = 'weighted'.",
                key="objective.mode",
            )
        for sampler in comparison.sampler:
            new_search(sampler, seed=0, problem=problem, objective=objective)


def _problems(comparison: ComparisonFile) -> Iterator[tuple[ProblemName, ComparedObjective]]:
    for target in comparison.target:
        for network in comparison.network:
            for objective in comparison.objective:
                yield ProblemName(network.title, target.title, objective.title), objective


def _digest(
    comparison: ComparisonFile, sampler: ComparedSampler, objective: ComparedObjective
) -> str:
    """Digest of what is asked of a run; network and target have digests of their own."""
    section = comparison.compare
    asked = [
        SCHEMA_VERSION,
        sampler.name,
        sampler.options,
        {
            **objective.model_dump(exclude={"label", "limits"}, mode="json"),
            "limits": {name: bounds.to_digest() for name, bounds in objective.limits.items()},
        },
        section.evaluations,
        section.duplicates_in_a_row,
        section.starts,
    ]
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
