"""The table of a command: what is run, what may be chosen, and what comes back."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from npu_tune.quantities import parse_duration_s
from npu_tune.targets.metrics import Goal, Kind, Metric
from npu_tune.validation import Table

Scalar = str | bool | int | float

Texts = Annotated[tuple[str, ...], Field(strict=False)]

FailureName = Literal[
    "illegal",
    "compiler-error",
    "crash",
    "timeout",
    "out-of-memory",
    "inaccurate",
    "infrastructure",
]
"""Classes of failed evaluations, as reports count them."""

TEMPORARY = 75
"""The exit status of a program that may succeed later (EX_TEMPFAIL of sysexits.h)."""


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _duration(value: object) -> object:
    return parse_duration_s(value) if isinstance(value, str) else value


def _finite(value: Scalar) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it takes numbers that are finite")
    return value


Patterns = Annotated[Texts, BeforeValidator(_as_list), Field(min_length=1)]
Value = Annotated[Scalar, AfterValidator(_finite)]


class MetricTable(Table):
    """A number that the command reports; see :class:`npu_tune.targets.Metric`."""

    name: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    unit: str = ""
    kind: Annotated[Kind, Field(strict=False)]
    description: str = ""
    goal: Annotated[Goal | None, Field(strict=False)] = None
    objective: bool = False
    spread: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)

    def metric(self) -> Metric:
        return Metric(
            self.name,
            self.unit,
            self.kind,
            self.description,
            self.goal,
            objective=self.objective,
            spread=self.spread,
        )


class ProfileTable(Table):
    """What the columns of profiles mean; see :class:`npu_tune.targets.ProfileSchema`."""

    cost: str = "cycles"
    unit: str = "cycles"
    group: str | None = None
    causes: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)


class KnobTable(Table):
    """A knob of every layer that is meant, or of the whole network.

    Args:
        layers: names of layers, or patterns with ``*``, ``?`` and ``[...]``; ``network`` for the
            whole network.
        operators: the same for operators, such as ``Conv``; every one by default.
        but: names or patterns of layers that do not have it.
    """

    name: str = Field(min_length=1, pattern=r"^[^/]+$")
    layers: Patterns = ("*",)
    operators: Patterns = ("*",)
    but: Annotated[Texts, BeforeValidator(_as_list)] = ()
    values: Annotated[tuple[Value, ...], Field(strict=False, min_length=1)]
    default: Value
    ordered: bool = False
    description: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> KnobTable:
        kinds = [(type(value), value) for value in self.values]
        twice = next((v for i, (_, v) in enumerate(kinds) if v in self.values[:i]), None)
        if twice is not None:
            raise ValueError(f"the knob {self.name!r} offers {twice!r} twice")
        if (type(self.default), self.default) not in kinds:
            raise ValueError(
                f"the default {self.default!r} of the knob {self.name!r} is not one of its values"
            )
        return self


class StartTable(Table):
    """A configuration worth trying early.

    Args:
        label: for people.
        values: by full name of a knob, or a pattern such as ``*/precision``; later ones win.
    """

    label: str = Field(min_length=1)
    values: dict[str, Value]


class CommandTable(Table):
    """``[target.command]``: a program of yours that is run once per evaluation.

    Args:
        argv: the program and its arguments, with places to be filled in; no shell reads them.
        files: that evaluations depend on, beside those that ``argv`` names.
        version: of what the program wraps, or a command that prints it.
        formats: of model files that the program reads.
        calibration: whether the program makes int8 of a float network itself and takes typical
            inputs for that; otherwise a float network is made int8 TFLite where the format asks
            for it.
        time_limit: seconds that an evaluation may take; that of the study if None.
        at_a_time: evaluations on one machine; None for as many as there are workers.
        deterministic: whether evaluations repeat exactly; None where they do unless a metric is
            measured.
        environment: variables of the program beside those of npu-tune.
        exit_codes: class of failure by exit status.
        metrics: that the program reports.
        profile: what its profiles mean; None where it reports none.
        memory: whether it tells what lies in memory while the network runs.
        knobs: what may be chosen.
        starts: configurations worth trying early.
    """

    argv: Annotated[Texts, Field(min_length=1)]
    files: Texts = ()
    version: str | Annotated[Texts, Field(min_length=1)] = ""
    formats: Annotated[
        tuple[Literal["onnx", "tflite", "tosa"], ...], Field(strict=False, min_length=1)
    ] = ("onnx", "tflite")
    calibration: bool = False
    time_limit: Annotated[
        float | None, Field(gt=0.0, allow_inf_nan=False), BeforeValidator(_duration)
    ] = None
    at_a_time: int | None = Field(default=None, ge=1)
    deterministic: bool | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    exit_codes: dict[str, FailureName] = Field(default_factory=dict)
    metrics: Annotated[tuple[MetricTable, ...], Field(strict=False, min_length=1)]
    profile: ProfileTable | None = None
    memory: bool = False
    knobs: Annotated[tuple[KnobTable, ...], Field(strict=False, min_length=1)]
    starts: Annotated[tuple[StartTable, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _consistent(self) -> CommandTable:
        names = [metric.name for metric in self.metrics]
        if len(set(names)) != len(names):
            raise ValueError(f"a metric is there twice: {', '.join(names)}")
        labels = [start.label for start in self.starts]
        if len(set(labels)) != len(labels):
            raise ValueError(f"a label of a start is there twice: {', '.join(labels)}")
        for status in self.exit_codes:
            if not status.isdecimal() or not 1 <= int(status) <= 255:
                raise ValueError(f"the exit status {status!r} is no number from 1 to 255")
        return self

    @property
    def repeats(self) -> bool:
        """Whether evaluations repeat exactly; by default where nothing is measured."""
        if self.deterministic is not None:
            return self.deterministic
        return all(metric.kind is not Kind.MEASURED for metric in self.metrics)
