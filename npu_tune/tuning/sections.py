"""The sections of a study file that say what is searched; see :func:`npu_tune.validation.key`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from npu_tune.tuning.fields import NameField, Names, PathField, Weights
from npu_tune.validation import Table, key


class _OpenSection(Table):
    """A section whose further keys belong to whoever the name stands for.

    Attributes:
        others: what these keys are, as :func:`npu_tune.validation.key` says it.
    """

    others: ClassVar[str]

    model_config = ConfigDict(
        extra="allow", frozen=True, strict=True, ser_json_inf_nan="constants"
    )

    @property
    def options(self) -> dict[str, Any]:
        """Every key beside the name."""
        return dict(self.__pydantic_extra__ or {})


class ModelSection(Table):
    """``[model]``: a model file or the name of a built-in network."""

    path: Annotated[
        NameField,
        key("a `.tflite` or `.onnx` file, or the name of a built-in network"),
    ]
    calibration: Annotated[
        PathField | None,
        key(
            "an `.npz` with typical inputs, one array per input with the samples along its "
            "first dimension, by which an ONNX model is made int8 TFLite; a target that is "
            "[measured](cpu.md) gets them itself, and the study's folder keeps them; refused "
            "for a TFLite model",
            default="seeded random values",
        ),
    ] = None
    check: Annotated[
        bool,
        key(
            "whether an ONNX model that is made int8 TFLite is [compared with the "
            "result](networks.md#what-the-conversion-keeps), and the study refused where they "
            "are too far apart; `false` does neither (`--no-check`)"
        ),
    ] = True


class TargetSection(_OpenSection):
    """``[target]``: the target's name and its options."""

    others: ClassVar[str] = (
        "an option of that target, such as `system_config` of an [Ethos-U](ethos_u.md) or "
        "`rule` of a [Neural-ART](neural_art.md); `npu-tune targets` lists them by family. "
        "`[target.command]` is a table of [its own](command.md). An option that another family"
        " has is refused"
    )

    name: Annotated[
        str,
        key("as `npu-tune targets` lists it"),
    ]


class SamplerSection(_OpenSection):
    """``[sampler]``: the sampler's name and its options."""

    others: ClassVar[str] = "an argument of that sampler, such as `beam_width` of `layerwise`"

    name: Annotated[
        str | None,
        key(
            "`annealing`, `gp`, `layerwise`, `nsga2`, `nsga3`, `profile`, `qlearning`, "
            "`qlearning-offline`, `random` or `tpe`: [which is what](samplers.md)",
            default='that of the study in the folder; of a new one `"profile"` where a layer has knobs and the target reports profiles, else `"layerwise"`',
        ),
    ] = None


class ObjectiveSection(Table):
    """``[objective]``: what is optimised."""

    metrics: Annotated[
        Names | None,
        key(
            "what is optimised. Numbers of different kinds (estimated, simulated, measured) "
            "are not weighed against each other: optimise one, and limit the other",
            default="those that the target proposes; `full_cycles` and `sram_bytes` of an Ethos-U, `latency_ms` and `ram_bytes` of a Neural-ART",
        ),
        Field(min_length=1),
    ] = None
    weights: Annotated[
        Weights | None,
        key(
            "one per metric. The cost of a trial is the sum of weight x metric / baseline "
            "metric; with weights that sum to 1 the baseline costs 1",
            default="equal shares of 1",
        ),
    ] = None
    directions: Annotated[
        dict[str, Literal["minimize", "maximize"]],
        key(
            'a table with `"maximize"` by the name of a metric of which more is better, where '
            "the target does not say (`--maximize NAME`); contradicting the target is refused",
            default='the goals that the target states, else `"minimize"`',
        ),
    ] = Field(default_factory=dict)
    mode: Annotated[
        Literal["weighted", "pareto"],
        key(
            '`"weighted"`: the sampler sees the cost. `"pareto"`: it sees one objective per '
            "metric, as `nsga2` and `nsga3` are made for, which with one number are plain genetic "
            "algorithms and say so (`--mode`). The front is reported either way"
        ),
    ] = "weighted"

    @model_validator(mode="after")
    def _consistent(self) -> ObjectiveSection:
        if self.metrics is not None and len(set(self.metrics)) != len(self.metrics):
            raise ValueError("a metric is named twice")
        if self.weights is not None and len(self.weights) != len(self.metrics or ()):
            raise ValueError("there must be one weight per metric in `metrics`")
        return self
