"""A study file as a whole, and what its model is called."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from npu_tune.tuning.fields import Limits
from npu_tune.tuning.run_sections import ExecutorSection, StudySection
from npu_tune.tuning.sections import (
    ModelSection,
    ObjectiveSection,
    SamplerSection,
    TargetSection,
)
from npu_tune.validation import Table

MODEL_SUFFIXES = (".tflite", ".onnx", ".tosa")


def model_name(path: str) -> str:
    """A model file's name without its ending, or a built-in network's name as it is."""
    return Path(path).stem if is_model_file_name(path) else Path(path).name


def is_model_file_name(path: str) -> bool:
    """True where a model's path names a file rather than a built-in network."""
    # The names of built-in networks may hold a point, as in mobilenet-v1-0.25-96.
    return Path(path).suffix.lower() in MODEL_SUFFIXES


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
