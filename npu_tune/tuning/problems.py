"""From what a study file says of model and target to an open problem."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from npu_tune.errors import ModelFormatError, NpuTuneWarning, UsageError
from npu_tune.evaluation import quiet
from npu_tune.network import Network
from npu_tune.targets import CalibratedTarget, Problem, Target
from npu_tune.tuning.phase import Phase
from npu_tune.tuning.sections import ModelSection
from npu_tune.validation import key_name

Tell = Callable[[Phase], None]
"""Is told what is begun."""

SEEDED_INPUTS = (
    "There is no calibration data, so that random values from -1 to 1 set the ranges and are what "
    "outputs are compared on; pass typical inputs (an .npz file with one array per input)."
)


def tell_nobody(phase: Phase) -> None:
    """Says nothing of what is begun."""


def open_problem(
    section: ModelSection,
    target: Target,
    *,
    network: Network | None = None,
    tell: Tell = tell_nobody,
) -> Problem:
    """Binds the network a study names; ONNX is made int8 TFLite where the target needs that.

    Args:
        section: names the network.
        target: what to compile for.
        network: what was read already, instead of the one that the section names.
        tell: is told when reading, making int8 and the target's front end begin.

    Returns:
        The problem, which the caller closes.

    Raises:
        ModelError: if the model is no good, or not fit for the target.
        ConversionError: if its int8 form is too far from it.
        UsageError: if there are calibration data for a model that is quantised already.
    """
    if isinstance(target, CalibratedTarget):
        return _open_calibrated(section, target, network, tell)
    refused: ModelFormatError | None = None
    for candidate in _networks(section, network, tell):
        tell(Phase.FRONT_END)
        try:
            with quiet():
                return target.bind(candidate)
        except ModelFormatError as error:
            refused = error
    raise refused or RuntimeError("There was no network to bind.")


def _open_calibrated(
    section: ModelSection, target: CalibratedTarget, given: Network | None, tell: Tell
) -> Problem:
    """Binds a float network to a target that makes int8 of it itself."""
    from npu_tune.network import (  # noqa: PLC0415 -- slow, as below
        is_built_in,
        load_calibration,
        load_network,
        zoo_network,
    )

    tell(Phase.READING)
    built_in = given is None and is_built_in(section.path)
    if built_in:
        network = zoo_network(section.path, format="onnx")
    else:
        network = load_network(section.path) if given is None else given
    made: Target = target
    if section.calibration is not None:
        require_calibratable(network, section.calibration)
        made = target.calibrated(load_calibration(section.calibration, network))
    elif not built_in and network.format == "onnx":
        warnings.warn(SEEDED_INPUTS, NpuTuneWarning, stacklevel=3)
    tell(Phase.FRONT_END)
    with quiet():
        return made.bind(network)


def _networks(section: ModelSection, given: Network | None, tell: Tell) -> Iterator[Network]:
    """The network in every form that a target may take, the most original one first."""
    # Reading models brings in onnx, which is slow to import.
    from npu_tune.network import (  # noqa: PLC0415
        is_built_in,
        load_calibration,
        load_network,
        to_int8,
        zoo_network,
    )

    tell(Phase.READING)
    if given is None and section.calibration is None and is_built_in(section.path):
        yield zoo_network(section.path, format="onnx")
        # The zoo quantises its networks with inputs of its own.
        tell(Phase.QUANTIZING)
        yield load_network(section.path)
        return
    network = load_network(section.path) if given is None else given
    if section.calibration is not None:
        require_calibratable(network, section.calibration)
        calibration = load_calibration(section.calibration, network)
        tell(Phase.QUANTIZING)
        yield to_int8(network, calibration=calibration, check=section.check)
        return
    yield network
    if network.format == "onnx":
        tell(Phase.QUANTIZING)
        yield to_int8(network, check=section.check)


def require_calibratable(network: Network, calibration: Path) -> None:
    """Checks that calibration data are of use.

    Raises:
        UsageError: for a network that is not made int8 because it is TFLite already.
    """
    if network.format != "onnx":
        raise UsageError(
            f"{network.name!r} is a TFLite network, for which calibration data are of no use.",
            remedy=f"Leave {key_name('model.calibration', 'them')} out, or give the float ONNX file.",
            calibration=str(calibration),
        )
