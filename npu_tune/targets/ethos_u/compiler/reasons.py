"""Why Vela leaves an operator on the CPU, in Vela's own words."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from ethosu.vela.tflite_model_semantic import TFLiteSemantic
from ethosu.vela.tflite_supported_operators import TFLiteSupportedOperators

CPU_ONLY = "Vela knows it for the CPU only"

_CHECKS = (
    (TFLiteSemantic, "is_operator_semantic_valid"),
    (TFLiteSupportedOperators, "is_operator_supported"),
)
"""What decides where an operator runs; each prints the rule that is broken, if any."""


class Reasons:
    """Listens to Vela's checks of operators."""

    def __init__(self) -> None:
        self._by_operator: dict[Any, str] = {}

    def describe(self, operator: Any) -> str:
        """An operator as ``type name``, with the rule that it breaks where Vela states one."""
        reason = self._by_operator.get(operator)
        name = f"{operator.type.name} {operator.name}"
        return f"{name} ({reason})" if reason else name

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Keeps what the checks say of each operator that fails one."""
        with contextlib.ExitStack() as stack:
            for owner, name in _CHECKS:
                stack.enter_context(patch.object(owner, name, self._listening(owner, name)))
            yield

    def _listening(self, owner: type, name: str) -> Callable[[Any, Any], bool]:
        check = getattr(owner, name)

        def listening(checks: Any, operator: Any) -> bool:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                passed = bool(check(checks, operator))
            if not passed:
                self._by_operator.setdefault(operator, reason_in(printed.getvalue()))
            return passed

        return listening


def reason_in(printed: str) -> str:
    """The rule and what breaks it, out of what one of Vela's checks prints.

    The first line names the operator; the next ones are the rule and what Vela found.
    """
    lines = [line.strip(" -\t").rstrip(".") for line in printed.strip().splitlines()]
    if len(lines) == 1 and lines[0].endswith("is a CPU only op"):
        return CPU_ONLY
    text = ""
    for line in filter(None, lines[1:]):
        text += ("" if not text else " " if text.endswith(":") else "; ") + line
    return text.replace("::", ":")
