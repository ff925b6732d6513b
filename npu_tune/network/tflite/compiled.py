"""TFLite files that a vendor's compiler has compiled already."""

from __future__ import annotations

from collections.abc import Iterable

from npu_tune.errors import ModelError

_COMPILERS = {
    "CUSTOM:ethos-u": "Vela",
    "CUSTOM:edgetpu-custom-op": "the Edge TPU compiler",
    "CUSTOM:NeutronGraph": "NXP's Neutron converter",
    "CUSTOM:vsi-npu": "VeriSilicon's compiler",
    "CUSTOM:DISPATCH_OP": "a compiler plug-in of LiteRT",
}
"""By the custom operator that holds a program for the accelerator."""


def require_not_compiled(ops: Iterable[str], name: str) -> None:
    """Refuses a file that holds compiled programs, in which no layers can be seen any more.

    Args:
        ops: names of operators, ``CUSTOM:ethos-u`` for example.
        name: of the network.

    Raises:
        ModelError: if one of them is such a program.
    """
    for op in ops:
        compiler = _COMPILERS.get(op)
        if compiler is not None:
            raise ModelError(
                f"{name!r} is already compiled by {compiler}.",
                remedy=f"Give the file that {compiler} was given.",
                op=op,
            )
