"""The study file: what a TOML file may ask of a study, validated key by key."""

from __future__ import annotations

import os
import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from npu_tune.errors import UsageError
from npu_tune.tuning.quantities import parse_bound, parse_duration_s, parse_limit

DEFAULT_EVALUATIONS = 1500
"""The budget of a study that names neither evaluations nor a wall time."""

MODEL_SUFFIXES = (".tflite", ".onnx")

DEFAULT_TIMEOUT_S = 300.0
"""Most compilers answer within seconds; one that takes minutes hangs."""


def _duration(value: object) -> object:
    return parse_duration_s(value) if isinstance(value, str) else value


def _limits(value: object) -> object:
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return dict(parse_limit(item) for item in value)
    if isinstance(value, dict):
        return {k: parse_bound(v) if isinstance(v, str) else v for k, v in value.items()}
    return value


def _numbers_by_name(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Finite = Annotated[float, Field(allow_inf_nan=False)]
PositiveFinite = Annotated[PositiveFloat, Field(allow_inf_nan=False)]
PathField = Annotated[Path, Field(strict=False)]
Limits = Annotated[dict[str, PositiveFinite], BeforeValidator(_limits)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
Weights = Annotated[tuple[PositiveFinite, ...], BeforeValidator(_numbers_by_name)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _OpenSection(_Section):
    """A section whose further keys belong to whoever the name stands for."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Every key beside the name."""
        return dict(self.__pydantic_extra__ or {})


class StudySection(_Section):
    """``[study]``: what it is called, where it is kept and when it ends.

    Args:
        name: the study's name in its storage; made from model and target if absent.
        folder: holds everything of the study; ``name`` beside the study file if absent.
        storage: a journal file or a database URL; ``ledger.journal`` in the folder if absent.
        seed: of the sampler.
        evaluations: how many configurations are evaluated, the baseline included.
        wall_time: in seconds, over all runs of the study; ``2h`` or ``90s`` in the file.
        duplicates_in_a_row: so many proposals without a new configuration end the study.
    """

    name: Annotated[str, Field(min_length=1)] | None = None
    folder: PathField | None = None
    storage: str | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    evaluations: PositiveInt | None = None
    wall_time: Annotated[PositiveFinite, BeforeValidator(_duration)] | None = None
    duplicates_in_a_row: PositiveInt = 1000

    @property
    def budget(self) -> int | None:
        """How many configurations are evaluated; None where only the wall time ends it."""
        if self.evaluations is None and self.wall_time is None:
            return DEFAULT_EVALUATIONS
        return self.evaluations


class ModelSection(_Section):
    """``[model]``: a model file or the name of a built-in network.

    Args:
        path: of the file, or the name.
        calibration: an ``.npz`` with inputs by which a float model is quantised.
    """

    path: Annotated[str, Field(min_length=1)]
    calibration: PathField | None = None


class TargetSection(_OpenSection):
    """``[target]``: the target's name and its options."""


class SamplerSection(_OpenSection):
    """``[sampler]``: the sampler's name and its options."""

    name: str = "layerwise"


class ObjectiveSection(_Section):
    """``[objective]``: what is optimised.

    Args:
        metrics: the target's first two if absent.
        weights: one per metric; equal shares of 1 if absent.
        directions: ``maximize`` by the name of a metric of which more is better.
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


class ExecutorSection(_Section):
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
    timeout_s: Annotated[PositiveFinite, BeforeValidator(_duration)] = DEFAULT_TIMEOUT_S
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
        return self.workers or len(os.sched_getaffinity(0))


class StudyFile(_Section):
    """A whole study file."""

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


def load_study_file(path: Path | str) -> StudyFile:
    """Reads and validates a study file; its relative paths count from its own folder.

    Raises:
        UsageError: names the key, the value and the remedy.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"Cannot read the study file {path}: {error.strerror}.",
            remedy="Check the path.",
            path=str(path),
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The study file {path} is not TOML: {error}.", remedy="Mend it.", path=str(path)
        ) from error
    return parse_study(document, base=path.resolve().parent, source=str(path))


def parse_study(document: dict[str, Any], *, base: Path, source: str = "study") -> StudyFile:
    """Validates what a study file says; relative paths count from ``base``.

    Raises:
        UsageError: names the key, the value and the remedy.
    """
    try:
        study = StudyFile.model_validate(document)
    except ValidationError as error:
        raise _usage_error(error, source) from error
    return _resolved(study, base)


def study_file_to_toml(study: StudyFile) -> str:
    """The study file as TOML text; :func:`load_study_file` reads it back."""
    document = study.model_dump(exclude_none=True, mode="json")
    return tomli_w.dumps({key: value for key, value in document.items() if value != {}})


def model_name(path: str) -> str:
    """A model file's name without its ending, or a built-in network's name as it is."""
    return Path(path).stem if _is_model_file_name(path) else Path(path).name


def _is_model_file_name(path: str) -> bool:
    # The names of built-in networks may hold a point, as in mobilenet-v1-0.25-96.
    return Path(path).suffix.lower() in MODEL_SUFFIXES


def _resolved(study: StudyFile, base: Path) -> StudyFile:
    """Makes paths absolute; an option that names no file beside the study file stays as it is."""

    def existing(value: Any) -> Any:
        is_file = isinstance(value, str) and value and (base / value).is_file()
        return str(base / value) if is_file else value

    path = study.model.path
    is_path = "/" in path or _is_model_file_name(path) or (base / path).is_file()
    model = study.model.model_copy(update={"path": str(base / path) if is_path else path})
    if model.calibration is not None:
        model = model.model_copy(update={"calibration": base / model.calibration})
    options = {key: existing(value) for key, value in study.target.options.items()}
    section = study.study.model_copy(
        update={
            "folder": (base / (study.study.folder or study.name)).resolve(),
            "storage": _resolved_storage(study.study.storage, base),
        }
    )
    target = TargetSection(name=study.target.name, **options)
    return study.model_copy(update={"model": model, "target": target, "study": section})


def _resolved_storage(storage: str | None, base: Path) -> str | None:
    if storage is None:
        return None
    if "://" not in storage:
        return str(base / storage)
    relative = re.fullmatch(r"(sqlite[^:]*:///|journal://)([^/:].*)", storage)
    return f"{relative[1]}{base / relative[2]}" if relative else storage


def _usage_error(error: ValidationError, source: str) -> UsageError:
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    location = [str(part) for part in first["loc"]]
    key = ".".join(location) or "study file"
    if first["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        close = get_close_matches(location[-1], known, n=1)
        hint = f"Did you mean {close[0]!r}? " if close else ""
        return UsageError(
            f"{source}: there is no key {key!r}.",
            remedy=f"{hint}Known are {', '.join(known)}.",
            key=key,
            value=first["input"],
        )
    if first["type"] == "missing":
        return UsageError(f"{source}: the key {key!r} is missing.", remedy="Add it.", key=key)
    remedy = cause.remedy if isinstance(cause, UsageError) else ""
    problem = str(cause.message if isinstance(cause, UsageError) else cause or first["msg"])
    return UsageError(
        f"{source}: the key {key!r} is {first['input']!r}: {problem.rstrip('.')}.",
        remedy=remedy or "Change the value.",
        key=key,
        value=first["input"],
    )


def _known_keys(location: list[str]) -> list[str]:
    fields = StudyFile.model_fields
    for part in location:
        section = fields[part].annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            fields = section.model_fields
    return list(fields)
