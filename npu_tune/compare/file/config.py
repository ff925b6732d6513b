"""Sections of a comparison file, and the values each key takes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from npu_tune.tuning.config import model_name
from npu_tune.tuning.fields import Limits, PathField, PositiveFinite, Seconds
from npu_tune.tuning.run_sections import ExecutorSection
from npu_tune.tuning.sections import ModelSection, ObjectiveSection, SamplerSection, TargetSection
from npu_tune.validation import Table

DEFAULT_EVALUATIONS = 200
DEFAULT_SEEDS = 10
MOST_SEEDS = 10_000
DEFAULT_EXACT_LIMIT_S = 1800.0


def _parse_seeds(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise ValueError("there must be at least one seed")
        if value > MOST_SEEDS:
            raise ValueError(f"{MOST_SEEDS:,} is the most that makes sense")
        return tuple(range(value))
    if isinstance(value, list | tuple) and all(isinstance(seed, int) for seed in value):
        twice = first_duplicate(value)
        if twice is not None:
            raise ValueError(f"the seed {twice} is there twice, so that two runs would be one")
        return tuple(value)
    return value


def first_duplicate(values: Iterable[Any]) -> Any | None:
    """Returns the first value that occurs more than once; None if there is none."""
    return next((value for value, count in Counter(values).items() if count > 1), None)


def _as_tables(value: object) -> object:
    """Wraps a single table where a list of tables may stand."""
    return (value,) if isinstance(value, dict) else value


Label = Annotated[str, Field(min_length=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seeds = Annotated[
    tuple[Seed, ...], BeforeValidator(_parse_seeds), Field(min_length=1, strict=False)
]
Checkpoints = Annotated[tuple[PositiveInt, ...], Field(min_length=1, strict=False)]
Share = Annotated[float, Field(gt=0, lt=1)]


class CompareSection(Table):
    """``[compare]``: name and folder of the comparison, and the budget of each run.

    Args:
        name: of the comparison; the file's own name if absent.
        folder: holds everything; ``name`` beside the comparison file if absent.
        evaluations: budget of each run, in different configurations, the baseline and failed ones
            included. An answer out of the shared cache counts like any other; a configuration
            that a run proposes again costs it nothing.
        seeds: a list, or their number, from 0 on.
        starts: whether the target's own proposals come before the sampler's.
        cache: whether evaluations are kept for the other runs and for later.
        exact: whether to compute the exact front, where the target can; this takes minutes.
        exact_limit: time limit for the exact front of one problem, in seconds; such as ``1h`` in
            the file.
        duplicates_in_a_row: number of proposals without a new configuration that ends a run.
    """

    name: Label | None = None
    folder: PathField | None = None
    evaluations: PositiveInt = DEFAULT_EVALUATIONS
    seeds: Seeds = tuple(range(DEFAULT_SEEDS))
    starts: bool = False
    cache: bool = True
    exact: bool = False
    exact_limit: Seconds = DEFAULT_EXACT_LIMIT_S
    duplicates_in_a_row: PositiveInt = 1000


class ComparedNetwork(ModelSection):
    """``[[network]]``: as ``[model]`` of a study file, with a label for tables."""

    label: Label | None = None

    @property
    def title(self) -> str:
        """Its name in tables."""
        return self.label or model_name(self.path)


class ComparedTarget(TargetSection):
    """``[[target]]``: as ``[target]`` of a study file, with a label for tables."""

    label: Label | None = None

    @property
    def title(self) -> str:
        """Its name in tables."""
        return self.label or self.name


class ComparedSampler(SamplerSection):
    """``[[sampler]]``: as ``[sampler]`` of a study file, with a label for tables.

    Args:
        seeds: those of the comparison that this sampler runs with; all if absent.
    """

    name: str
    label: Label | None = None
    seeds: Seeds | None = None

    @property
    def title(self) -> str:
        """Its name in tables."""
        return self.label or self.name


class ComparedObjective(ObjectiveSection):
    """``[[objective]]``: as ``[objective]`` of a study file, with limits and a label."""

    label: Label | None = None
    limits: Limits = Field(default_factory=dict)

    @property
    def title(self) -> str:
        """Its name in tables."""
        return self.label or "-".join([self.mode, *(self.metrics or ())])

    @model_validator(mode="after")
    def _require_several_metrics(self) -> ComparedObjective:
        if self.mode == "pareto" and self.metrics is not None and len(self.metrics) < 2:
            raise ValueError(
                "mode = 'pareto' needs several metrics, and there is one; use mode = 'weighted'"
            )
        return self


class ReportSection(Table):
    """``[report]``: how the runs are analysed.

    Args:
        checkpoints: numbers of evaluations at which samplers are compared; a tenth, a quarter,
            a half and all of the budget if absent.
        within: regret at which a run has arrived, as a share.
        reference_point: the corner of hypervolumes, as a multiple of the baseline.
        rival: sampler against which the summary compares all others; the first one if absent.
    """

    checkpoints: Checkpoints | None = None
    within: Share = 0.01
    reference_point: PositiveFinite = 1.1
    rival: Label | None = None


class ReplaySection(Table):
    """``[replay]``: takes runs from a recording, and evaluates nothing.

    Args:
        recorded: the folder of another comparison, or its ``results.parquet``.
    """

    recorded: PathField


class ComparisonFile(Table):
    """A whole comparison file; see ``docs/compare.md``."""

    compare: CompareSection = Field(default_factory=CompareSection)
    network: Annotated[tuple[ComparedNetwork, ...], Field(min_length=1, strict=False)]
    target: Annotated[
        tuple[ComparedTarget, ...], BeforeValidator(_as_tables), Field(min_length=1, strict=False)
    ]
    sampler: Annotated[tuple[ComparedSampler, ...], Field(min_length=1, strict=False)]
    objective: Annotated[
        tuple[ComparedObjective, ...],
        BeforeValidator(_as_tables),
        Field(min_length=1, strict=False),
    ] = (ComparedObjective(),)
    executor: ExecutorSection = Field(default_factory=ExecutorSection)
    report: ReportSection = Field(default_factory=ReportSection)
    replay: ReplaySection | None = None

    @property
    def name(self) -> str:
        """Name of the comparison."""
        return self.compare.name or "comparison"

    @property
    def folder(self) -> Path:
        """Folder that holds everything of the comparison."""
        return self.compare.folder or Path.cwd() / self.name

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Numbers of evaluations at which samplers are compared; the budget is the last one."""
        budget = self.compare.evaluations
        given = self.report.checkpoints or [budget // 10, budget // 4, budget // 2]
        return tuple(sorted({max(number, 1) for number in given} | {budget}))

    @property
    def planned(self) -> int:
        """Number of runs."""
        problems = math.prod(map(len, (self.network, self.target, self.objective)))
        return problems * sum(len(self.seeds_of(sampler)) for sampler in self.sampler)

    def seeds_of(self, sampler: ComparedSampler) -> tuple[int, ...]:
        """Seeds that a sampler runs with, in the order of ``[compare]``."""
        every = self.compare.seeds
        return every if sampler.seeds is None else tuple(s for s in every if s in sampler.seeds)

    def relocate(self, *, replay: Path | None, folder: Path | None) -> ComparisonFile:
        """Returns the comparison with a recording to replay, or in another folder."""
        section = self.compare
        if folder is not None:
            section = section.model_copy(update={"folder": folder.resolve()})
        recorded = self.replay if replay is None else ReplaySection(recorded=replay.resolve())
        return self.model_copy(update={"compare": section, "replay": recorded})
