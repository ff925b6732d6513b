"""Models bound to targets: evaluations, search spaces, conversion."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from npu_tune.errors import UsageError
from npu_tune.network import Network
from npu_tune.space import SearchSpace, Value
from npu_tune.targets import Evaluation, Problem, Target, load_target
from npu_tune.validation import key_name, sentence

if TYPE_CHECKING:
    from npu_tune.network.quantize import ConversionCheck

Model = str | os.PathLike[str] | Network
"""A model file, the name of a built-in network, or a network that was read already."""


def evaluate(
    model: Model,
    target: str | Target,
    changes: Mapping[str, Value] | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    calibration: str | os.PathLike[str] | None = None,
    check: bool = True,
) -> Evaluation:
    """Compiles and costs one configuration.

    Args:
        model: what is compiled.
        target: what it is compiled for, by name or as a value.
        changes: values by full knob name, the others at their defaults; a whole configuration
            will do as well.
        options: of a target that is given by name.
        calibration: an ``.npz`` with inputs by which a float ONNX model is made int8.
        check: whether such a model is compared with its int8 form.

    Raises:
        NpuTuneError: what went wrong, with a remedy; :mod:`npu_tune.errors` lists the kinds.
    """
    from npu_tune.evaluation import quiet  # noqa: PLC0415 - as below

    with bind(model, target, options=options, calibration=calibration, check=check) as problem:
        configuration = problem.space.complete(changes or {})
        problem.space.check(configuration)
        with quiet():
            return problem.evaluate(configuration)


def space(
    model: Model,
    target: str | Target,
    *,
    options: Mapping[str, Any] | None = None,
    calibration: str | os.PathLike[str] | None = None,
    check: bool = True,
) -> SearchSpace:
    """What may be chosen for each layer of a model on a target.

    The arguments are those of :func:`evaluate`. The space stays usable, but its rules may belong
    to a compiler session that is closed; :func:`bind` keeps that open.
    """
    with bind(model, target, options=options, calibration=calibration, check=check) as problem:
        return problem.space


def bind(
    model: Model,
    target: str | Target,
    *,
    options: Mapping[str, Any] | None = None,
    calibration: str | os.PathLike[str] | None = None,
    check: bool = True,
) -> Problem:
    """A model bound to a target, for many evaluations; closed by the caller.

    The arguments are those of :func:`evaluate`::

        with npu_tune.bind("resnet8", "neural-art-stm32n6") as problem:
            problem.evaluate(problem.space.default).metrics["latency_ms"]
    """
    from npu_tune.tuning import open_problem  # noqa: PLC0415 - needed for models by name only
    from npu_tune.tuning.sections import ModelSection  # noqa: PLC0415

    require_name_for_options(target, options)
    made = load_target(target, options) if isinstance(target, str) else target
    network = model if isinstance(model, Network) else None
    name = model.name if isinstance(model, Network) else os.fspath(model)
    path = None if calibration is None else Path(calibration)
    section = ModelSection(path=name, calibration=path, check=check)
    return open_problem(section, made, network=network)


def require_name_for_options(target: str | Target, options: Mapping[str, Any] | None) -> None:
    """Raises UsageError for options beside a target that was made with its own."""
    if options and not isinstance(target, str):
        raise UsageError(
            f"The target {target.name!r} is given as a value, which has its options already.",
            remedy="Give the options when the target is made, or give the target by its name.",
        )


@dataclass(frozen=True)
class ConvertedModel:
    """An int8 network made of a float one.

    Args:
        network: its ``model_bytes`` are the file.
        check: how it compares with the float one; None where nothing was converted or compared.
    """

    network: Network
    check: ConversionCheck | None = None


def convert(
    model: Model,
    out: str | os.PathLike[str] | None = None,
    *,
    calibration: str | os.PathLike[str] | None = None,
    check: bool = True,
) -> Network:
    """Makes an int8 TFLite network of a float ONNX model.

    Args:
        model: what is converted.
        out: file to write; none if None.
        calibration: an ``.npz`` with typical inputs; seeded random ones if None.
        check: whether the two are compared; nothing is written where they are too far apart.

    Returns:
        The network; its ``model_bytes`` are the file.

    Raises:
        NpuTuneError: what went wrong, with a remedy; :mod:`npu_tune.errors` lists the kinds.
    """
    return convert_model(model, out, calibration=calibration, check=check).network


def convert_model(
    model: Model,
    out: str | os.PathLike[str] | None = None,
    *,
    calibration: str | os.PathLike[str] | None = None,
    check: bool = True,
) -> ConvertedModel:
    """As :func:`convert`, which takes the same arguments; says what the comparison found too."""
    from npu_tune.files import storage_errors, write_whole  # noqa: PLC0415

    if out is not None:
        _require_new_file(Path(out), {"model": model, "calibration data": calibration})
    converted = _converted(model, calibration, check=check)
    if out is not None:
        with storage_errors("The file", path := Path(out)):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, converted.network.model_bytes)
    return converted


def _require_new_file(out: Path, given: Mapping[str, object]) -> None:
    """Checks that what is written overwrites nothing of what is read, and no folder or device."""
    name = sentence(key_name("convert.out", "the argument 'out'"))
    if not out.name or (out.exists() and not out.is_file()):
        raise UsageError(f"{name} is {str(out)!r}, which is no file.", remedy="Name a file.")
    for what, path in given.items():
        if not isinstance(path, str | os.PathLike):
            continue
        if Path(path).is_file() and out.is_file() and out.samefile(path):
            raise UsageError(
                f"{name} is {out}, the {what} itself, which would be lost.",
                remedy="Name another file.",
            )


def _converted(
    model: Model, calibration: str | os.PathLike[str] | None, *, check: bool
) -> ConvertedModel:
    from npu_tune.network import load_calibration, load_network, network_from_bytes  # noqa: PLC0415
    from npu_tune.network.quantize import convert as quantize  # noqa: PLC0415
    from npu_tune.tuning.problems import require_calibratable  # noqa: PLC0415

    given = model if isinstance(model, Network) else load_network(model)
    samples = None
    if calibration is not None:
        require_calibratable(given, Path(calibration))
        samples = load_calibration(Path(calibration), given)
    if given.format != "onnx":
        return ConvertedModel(given)
    conversion = quantize(given, calibration=samples, check=check)
    network = network_from_bytes(conversion.model_bytes, "tflite", given.name)
    return ConvertedModel(network, conversion.check)
