"""A target and a network as a value that workers on any machine can bind."""

from __future__ import annotations

import io
import pickle
import re
import sys
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from npu_tune.closing import Closing
from npu_tune.evaluation.pool.messages import not_picklable
from npu_tune.network import Network
from npu_tune.targets import Problem, Target

MOST_OF_TITLE = 80
"""Ray cuts the name of a trial's folder after 130 characters, and the trial's number must fit."""


class Binding:
    """What a worker binds, once for all tasks about the same problem.

    Args:
        digest: of the problem's identity; bindings of one digest are the same.
        payload: what :attr:`payload` of another binding was, in another process.
        parts: target and network; read from the payload where they are not given.
    """

    def __init__(
        self, digest: str, *, payload: bytes = b"", parts: tuple[Target, Network] | None = None
    ) -> None:
        self.digest = digest
        if payload:
            self.payload = payload
        if parts is not None:
            self.parts = parts

    @classmethod
    def of(cls, problem: Problem) -> Binding:
        """The binding of an open problem."""
        return cls(problem.identity.digest, parts=(problem.target, problem.network))

    @cached_property
    def payload(self) -> bytes:
        """Everything as bytes, with the path on which modules are found.

        Raises:
            ExecutorError: if the target cannot be pickled.
        """
        try:
            blob = self._pickle_parts()
        except Exception as error:  # what is in it may raise anything
            raise not_picklable(f"The target {self.parts[0].name!r}", error) from error
        path = [str(Path(entry).absolute()) for entry in sys.path]
        return pickle.dumps((path, blob))

    def _pickle_parts(self) -> bytes:
        stream = io.BytesIO()
        _Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL).dump(self.parts)
        return stream.getvalue()

    @cached_property
    def parts(self) -> tuple[Target, Network]:
        """Target and network; modules are then found where the other process found them."""
        path, blob = pickle.loads(self.payload)  # noqa: S301 - made by `payload`
        sys.path[:] = [*path, *(entry for entry in sys.path if entry not in path)]
        loaded: tuple[Target, Network] = pickle.loads(blob)  # noqa: S301 - made by `payload`
        return loaded

    @property
    def title(self) -> str:
        """What people call it, such as ``resnet8 on ethos-u55-128``.

        Ray takes ASCII alone for the names of trainables, and makes folders of them.
        """
        target, network = self.parts
        plain = [re.sub(r"[^A-Za-z0-9._+=,@-]", "_", part.name) for part in (network, target)]
        end = f" on {plain[1]}"[-MOST_OF_TITLE:]
        return plain[0][: MOST_OF_TITLE - len(end)] + end

    def bind(self) -> Problem:
        """Makes the problem, which the caller closes."""
        target, network = self.parts
        return target.bind(network)


class BoundProblem(Closing):
    """The problem that a worker has at hand: the last one it was asked for."""

    def __init__(self, problem: Problem | None = None) -> None:
        # Whoever hands in a problem closes it.
        self._given = problem
        self._open: Problem | None = None
        self._digest = "" if problem is None else problem.identity.digest

    @property
    def digest(self) -> str:
        """Of the problem at hand; "" while there is none."""
        return self._digest

    def get(self, binding: Binding) -> Problem:
        """The problem of a binding; closes another one that was at hand."""
        if binding.digest != self._digest:
            self.close()
            self._open, self._digest = binding.bind(), binding.digest
        at_hand = self._open or self._given
        if at_hand is None:
            raise RuntimeError("No problem is bound.")
        return at_hand

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
        self._open, self._given, self._digest = None, None, ""


class _Pickler(pickle.Pickler):
    """Pickles read-only mappings too, which Python's own does not."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, MappingProxyType):
            return _read_only, (dict(value),)
        return NotImplemented


def _read_only(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)
