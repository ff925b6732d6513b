"""How the attributes, inputs and outputs of an ONNX operator are treated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any


class Treatment(Enum):
    """What becomes of a parameter, which is an attribute, an input or a further output."""

    HONOURED = "honoured"
    NO_EFFECT = "changes nothing that is needed"
    CONSTANT = "honoured if it is constant, refused if it is computed at run time"
    LIMITED = "honoured for some values, refused for any other"
    UNREAD = "refused if something reads it"


@dataclass(frozen=True)
class OperatorParameter:
    """The treatment of one parameter by the two kinds of readers.

    Args:
        values: by what computes an operator's values, which is the conversion to int8 TFLite.
        work: by what counts an operator's work, which is the Neural-ART importer; the shapes it
            takes from ONNX's own shape inference, so that what only decides these is honoured.
        allowed: the values that are honoured where a treatment is LIMITED, the default first;
            none if the parameter is refused whatever its value.
    """

    values: Treatment
    work: Treatment
    allowed: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Operator:
    """One operator with all versions that are read.

    Args:
        versions: the operator sets that define it anew, from the one in force in the oldest
            operator set that is read.
        parameters: every attribute and input of these versions, by the name in ONNX's schema.
        outputs: every output behind the first, by that name.
        converted: whether it has an int8 TFLite form here.
    """

    versions: tuple[int, ...]
    parameters: Mapping[str, OperatorParameter]
    outputs: Mapping[str, OperatorParameter] = field(default_factory=lambda: MappingProxyType({}))
    converted: bool = True


_ALL = OperatorParameter(Treatment.HONOURED, Treatment.HONOURED)
_VALUE = OperatorParameter(Treatment.HONOURED, Treatment.NO_EFFECT)
_NOTHING = OperatorParameter(Treatment.NO_EFFECT, Treatment.NO_EFFECT)
_KNOWN = OperatorParameter(Treatment.CONSTANT, Treatment.HONOURED)
_UNREAD = OperatorParameter(Treatment.UNREAD, Treatment.HONOURED)


def limited(*allowed: Any, work: Treatment = Treatment.NO_EFFECT) -> OperatorParameter:
    """A parameter of which the conversion honours some values only."""
    return OperatorParameter(Treatment.LIMITED, work, allowed)


def limited_everywhere(*allowed: Any) -> OperatorParameter:
    """A parameter of which only some values are honoured, by any reader."""
    return OperatorParameter(Treatment.LIMITED, Treatment.LIMITED, allowed)


def operator(
    versions: tuple[int, ...],
    honoured: str = "",
    *,
    values_only: str = "",
    no_effect: str = "",
    constant: str = "",
    unread: str = "",
    **others: OperatorParameter,
) -> Operator:
    """Makes an operator that is converted; names are separated by spaces.

    Args:
        versions: see :class:`Operator`.
        honoured: parameters that are honoured everywhere.
        values_only: parameters that change values and no work.
        no_effect: parameters that change nothing.
        constant: inputs that the conversion must know before run time.
        unread: outputs that the conversion refuses if something reads them.
        others: parameters with a treatment of their own.
    """
    parameters = {
        name: treatment
        for names, treatment in (
            (honoured, _ALL),
            (values_only, _VALUE),
            (no_effect, _NOTHING),
            (constant, _KNOWN),
        )
        for name in names.split()
    }
    return Operator(
        versions,
        MappingProxyType(parameters | others),
        MappingProxyType(dict.fromkeys(unread.split(), _UNREAD)),
    )


def counted(versions: tuple[int, ...], honoured: str, *, no_effect: str = "") -> Operator:
    """Makes an operator whose work is counted, and that has no int8 TFLite form here."""
    parameters = dict.fromkeys(honoured.split(), _ALL) | dict.fromkeys(no_effect.split(), _NOTHING)
    return Operator(versions, MappingProxyType(parameters), converted=False)
