"""The sections of a study file, and what each of their keys may be."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    PositiveInt,
    model_validator,
)

from npu_tune.tuning.fields import (
    Limits,
    NameField,
    Names,
    PathField,
    Seconds,
    SecondsOrZero,
    StorageField,
    TrueOrCount,
    Weights,
)
from npu_tune.validation import Table

DEFAULT_EVALUATIONS = 1500
"""The budget of a study that names neither evaluations nor a wall time."""

MODEL_SUFFIXES = (".tflite", ".onnx", ".tosa")

DEFAULT_TIMEOUT_S = 300.0
"""Most compilers answer within seconds; one that takes minutes hangs."""

DEFAULT_STORAGE_RETRY_S = 60.0
"""A database server restarts, and a person frees space on a disk, within a minute."""


class _OpenSection(Table):
    """A section whose further keys belong to whoever the name stands for."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    @property
    def options(self) -> dict[str, Any]:
        """Every key beside the name."""
        return dict(self.__pydantic_extra__ or {})


class StudySection(Table):
    """``[study]``: what it is called, where it is kept and when it ends.

    Args:
        name: the study's name in its storage; made from model and target if absent.
        folder: holds everything of the study; ``name`` beside the study file if absent.
        storage: a journal file or a database URL; ``ledger.journal`` in the folder if absent.
        storage_retry: how long the storage may be out of reach, in seconds; the study goes on
            meanwhile and keeps what finishes in memory.
        seed: of the sampler.
        evaluations: how many configurations are evaluated, the baseline and failed ones included.
        wall_time: in seconds, over all runs of the study; ``2h`` or ``90s`` in the file.
        duplicates_in_a_row: so many proposals without a new configuration end the study.
        store: folder of evaluations that are shared with other studies; none if absent.
        polish: whether changes of the best that gain nothing are reverted at the end, or at most
            how many evaluations of the budget that takes; where evaluations repeat exactly and
            the sampler sees one cost if absent.
    """

    name: NameField | None = None
    folder: PathField | None = None
    storage: StorageField | None = None
    storage_retry: SecondsOrZero = DEFAULT_STORAGE_RETRY_S
    store: PathField | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    evaluations: PositiveInt | None = None
    wall_time: Seconds | None = None
    duplicates_in_a_row: PositiveInt = 1000
    polish: TrueOrCount | None = None

    @property
    def budget(self) -> int | None:
        """How many configurations are evaluated; None where only the wall time ends it."""
        if self.evaluations is None and self.wall_time is None:
            return DEFAULT_EVALUATIONS
        return self.evaluations


class ModelSection(Table):
    """``[model]``: a model file or the name of a built-in network.

    Args:
        path: of the file, or the name.
        calibration: an ``.npz`` with inputs by which a float model is quantised.
        check: whether a float model that is quantised is compared with the result.
    """

    path: NameField
    calibration: PathField | None = None
    check: bool = True


class TargetSection(_OpenSection):
    """``[target]``: the target's name and its options."""

    name: str


class SamplerSection(_OpenSection):
    """``[sampler]``: the sampler's name and its options.

    Args:
        name: that of the study in the folder, or else what suits the target, if absent.
    """

    name: str | None = None


class ObjectiveSection(Table):
    """``[objective]``: what is optimised.

    Args:
        metrics: those that the target proposes if absent.
        weights: one per metric; equal shares of 1 if absent.
        directions: ``maximize`` or ``minimize`` by the name of a metric whose goal the target does
            not say.
        mode: ``weighted`` minimises the weighted sum of metric / baseline metric; ``pareto``
            hands the sampler one objective per metric.
    """

    metrics: Names | None = Field(default=None, min_length=1)
    weights: Weights | None = None
    directions: dict[str, Literal["minimize", "maximize"]] = Field(default_factory=dict)
    mode: Literal["weighted", "pareto"] = "weighted"

    @model_validator(mode="after")
    def _consistent(self) -> ObjectiveSection:
        if self.metrics is not None and len(set(self.metrics)) != len(self.metrics):
            raise ValueError("a metric is named twice")
        if self.weights is not None and len(self.weights) != len(self.metrics or ()):
            raise ValueError("there must be one weight per metric in `metrics`")
        return self


class ExecutorSection(Table):
    """``[executor]``: who evaluates.

    Args:
        kind: ``process`` (a pool on this machine), ``inline`` (this process: no timeout, and a
            crash takes everything down) or ``ray``.
        workers: how many evaluations run at a time; the usable processors if absent.
        timeout_s: the time one evaluation may take, in seconds.
        address: of an existing Ray cluster, or ``auto``; Ray starts locally if absent.
    """

    kind: Literal["process", "inline", "ray"] = "process"
    workers: PositiveInt | None = None
    timeout_s: Seconds = DEFAULT_TIMEOUT_S
    address: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ExecutorSection:
        if self.kind == "inline" and (self.workers or 1) > 1:
            raise ValueError("the inline executor has one worker; use kind = 'process'")
        if self.address is not None and self.kind != "ray":
            raise ValueError("an address is for kind = 'ray' only")
        return self

    @property
    def capacity(self) -> int:
        """How many evaluations run at a time."""
        if self.kind == "inline":
            return 1
        return self.workers or _usable_processors()


def model_name(path: str) -> str:
    """A model file's name without its ending, or a built-in network's name as it is."""
    return Path(path).stem if is_model_file_name(path) else Path(path).name


def is_model_file_name(path: str) -> bool:
    """True where a model's path names a file rather than a built-in network."""
    # The names of built-in networks may hold a point, as in mobilenet-v1-0.25-96.
    return Path(path).suffix.lower() in MODEL_SUFFIXES


def _usable_processors() -> int:
    """Those this process may run on, where the system tells; else all."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class StudyFile(Table):
    """A whole study file.

    Only the model and the target must be there::

        [model]
        path = "model.tflite"           # or a built-in network, such as "resnet8"
        calibration = "inputs.npz"      # for a float ONNX file

        [target]
        name = "TARGET"                 # as `npu-tune targets` lists it
        option = "value"                # every further key is an option of the target

        [study]
        name = "first"
        folder = "runs/first"           # beside this file, under the study's name, if absent
        storage = "sqlite:///study.db"  # a journal file in the folder if absent
        seed = 0
        evaluations = 1500
        wall_time = "2h"

        [sampler]
        name = "profile"
        beam_width = 6                  # every further key is an option of the sampler

        [objective]
        metrics = ["latency_ms", "sram_bytes"]
        weights = [0.5, 0.5]
        mode = "weighted"               # or "pareto"

        [limits]
        sram_bytes = "<= 256 KiB"
        accuracy = ">= 0.88"

        [executor]
        kind = "process"                # or "inline", "ray"
        workers = 4
        timeout_s = 300
    """

    model: ModelSection
    target: TargetSection
    study: StudySection = Field(default_factory=StudySection)
    sampler: SamplerSection = Field(default_factory=SamplerSection)
    objective: ObjectiveSection = Field(default_factory=ObjectiveSection)
    limits: Limits = Field(default_factory=dict)
    executor: ExecutorSection = Field(default_factory=ExecutorSection)

    @property
    def name(self) -> str:
        """The study's name in its storage."""
        return self.study.name or f"{model_name(self.model.path)}-{self.target.name}"

    @property
    def folder(self) -> Path:
        """Holds everything of the study."""
        return self.study.folder or Path.cwd() / self.name

    @property
    def storage(self) -> str:
        """The path or URL of the ledger."""
        return self.study.storage or str(self.folder / "ledger.journal")
