"""One target as a family of its own, for whoever brings just one."""

from __future__ import annotations

import inspect

from npu_tune.errors import TargetError
from npu_tune.targets.base import BaseTarget, TargetOptions
from npu_tune.targets.options import options_of, read_options
from npu_tune.targets.problem import Target
from npu_tune.validation import Table


class SingleTarget:
    """The family of one target, whose options are the fields of its dataclass.

    Args:
        kind: a subclass of :class:`BaseTarget` with a class attribute ``name``; what it is called
            for people is the first line of its docstring.

    Raises:
        TargetError: if the class cannot be a target.
    """

    def __init__(self, kind: type[BaseTarget]) -> None:
        name = getattr(kind, "name", None)
        if not isinstance(name, str) or not name:
            raise TargetError(
                f"The target class {kind.__name__} has no name.",
                remedy='Give it a class attribute, such as name = "my-npu".',
            )
        if inspect.isabstract(kind):
            missing = ", ".join(sorted(kind.__abstractmethods__))
            raise TargetError(
                f"The target class {kind.__name__} does not define {missing}.",
                remedy="Define all of it.",
            )
        self._kind, self._name = kind, name
        self._options = options_of(kind)

    @property
    def options(self) -> type[Table]:
        """Made from the fields."""
        return self._options

    def names(self) -> tuple[str, ...]:
        """The one name."""
        return (self._name,)

    def describe(self, name: str) -> str:  # noqa: ARG002 -- there is one
        """The first line of the class's docstring."""
        return (inspect.getdoc(self._kind) or self._name).splitlines()[0].rstrip(".")

    def make(self, name: str, options: TargetOptions) -> Target:
        """Makes the target. Raises TargetError for an unknown name, option or option value."""
        if name != self._name:
            raise TargetError(f"There is no target {name!r}.", remedy=f"Known is {self._name}.")
        read = read_options(self._options, options, target=name)
        given = {option: getattr(read, option) for option in read.model_fields_set}
        return self._kind(**given)
