"""The options of a family of targets: one declared table, validated, described and offered as flags."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from npu_tune.errors import NpuTuneError, TargetError
from npu_tune.validation import Table, key_note, known_remedy, option_name, sentence

TableType = TypeVar("TableType", bound=Table)


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """What a field of a table of options says beside its type, default and description.

    Goes into the field's annotation: ``Annotated[str | None, OptionInfo(flag=True)]``.

    Args:
        flag: True for a flag of its own on the command line, ``--memory-mode`` for
            ``memory_mode``; every option can be given as ``-O KEY=VALUE``.
        takes: what a wrong value is answered with, after "It takes"; made from the type by
            default.
        more: finds out what the description adds where people ask for it, such as the names that
            a file has; "" for nothing.
    """

    flag: bool = False
    takes: str = ""
    more: Callable[[], str] | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """An option of the command line.

    Args:
        option: the key in the ``[target]`` table.
        description: one line.
        is_switch: True where it takes no value.
        is_text: True where its value is taken as it is; otherwise it is a value of TOML.
    """

    option: str
    description: str
    is_switch: bool
    is_text: bool

    @property
    def name(self) -> str:
        """As it is typed."""
        return "--" + self.option.replace("_", "-")


def read_options(table: type[TableType], options: Mapping[str, Any], *, target: str) -> TableType:
    """Validates the options of a target.

    Args:
        table: what its family takes.
        options: a study file's ``[target]`` table without the name.
        target: its name, for errors.

    Raises:
        TargetError: for the first option that is unknown, missing or of another type; names it.
    """
    for option in options:
        if option not in table.model_fields:
            fields = table.model_fields
            raise TargetError(
                f"The target {target!r} has no option {option!r}{key_note(f'target.{option}')}.",
                remedy=known_remedy(option, fields) if fields else "It has none.",
                option=option,
            )
    try:
        return table.model_validate(dict(options))
    except ValidationError as error:
        raise _value_error(error, table, target) from error


def option_texts(table: type[Table]) -> dict[str, str]:
    """What each option takes, in one line each."""
    texts = {}
    for name, field in table.model_fields.items():
        more = _option(field).more
        added = more() if more is not None else ""
        texts[name] = "; ".join(part for part in (field.description or "", added) if part)
    return texts


def option_flags(table: type[Table]) -> tuple[Flag, ...]:
    """The flags that the options declare."""
    return tuple(
        Flag(
            name,
            field.description or "",
            is_switch=bool in _alternatives(field.annotation),
            is_text=not {str, Path}.isdisjoint(_alternatives(field.annotation)),
        )
        for name, field in table.model_fields.items()
        if _option(field).flag
    )


def options_of(kind: type) -> type[Table]:
    """The table of options that the fields of a dataclass make, without ``name`` and ``metrics``.

    A field's description is that of its ``metadata``, ``flag`` there makes it a flag:
    ``field(default=8, metadata={"description": "...", "flag": True})``.

    Args:
        kind: the class; one that is no dataclass has no options.
    """
    own = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    hints = get_type_hints(kind, include_extras=True)
    fields: dict[str, Any] = {}
    for each in own:
        if not each.init or each.name in ("name", "metrics"):
            continue
        hint = hints[each.name]
        default: Any = each.default if each.default is not dataclasses.MISSING else ...
        if each.default_factory is not dataclasses.MISSING:
            default = each.default_factory()
        described = each.metadata.get("description") or _described(hint, default)
        option = OptionInfo(flag=bool(each.metadata.get("flag")))
        fields[each.name] = (
            Annotated[_from_toml(hint), option],
            Field(default=default, description=described),
        )
    made: type[Table] = create_model(f"{kind.__name__}Options", __base__=Table, **fields)
    return made


def _option(field: FieldInfo) -> OptionInfo:
    return next((each for each in field.metadata if isinstance(each, OptionInfo)), OptionInfo())


def _value_error(error: ValidationError, table: type[Table], target: str) -> TargetError:
    first = error.errors(include_url=False)[0]
    option = str(first["loc"][0]) if first["loc"] else ""
    field = table.model_fields.get(option)
    if first["type"] == "missing":
        return TargetError(
            f"The target {target!r} needs {option_name(option)}.",
            remedy=f"It takes {_takes(field)}." if field else "Add it.",
            option=option,
        )
    path = ".".join(str(part) for part in first["loc"] if isinstance(part, str)) or "options"
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, NpuTuneError):
        said, remedy = f": {cause.message.rstrip('.')}", cause.remedy
    elif isinstance(cause, Exception):
        said, remedy = f": {str(cause).rstrip('.')}", "Change the value."
    else:
        said, remedy = "", _remedy(field, first)
    return TargetError(
        f"{sentence(option_name(path))} is {first['input']!r}{said}.", remedy=remedy, option=option
    )


def _remedy(field: FieldInfo | None, error: Mapping[str, Any]) -> str:
    if field is None:
        return "Change the value."
    named = [str(value) for value in _literals(field.annotation)]
    if named and not _option(field).takes:
        return known_remedy(str(error["input"]), named)
    if _takes_name(field.annotation) or _option(field).takes:
        return f"It takes {_takes(field)}."
    message = str(error["msg"]).rstrip(".")
    return f"{message[:1].upper()}{message[1:]}."


_WORDS: Mapping[Any, str] = {
    bool: "true or false",
    str: "text",
    int: "a whole number",
    float: "a number",
    Path: "a path in quotes",
    dict: "a table",
    tuple: "a list",
    list: "a list",
}
"""What values of a type are called in a study file."""


def _takes(field: FieldInfo) -> str:
    return _option(field).takes or _takes_name(field.annotation) or "another value"


def _takes_name(annotation: Any) -> str:
    words = [_WORDS.get(get_origin(each) or each, "") for each in _alternatives(annotation)]
    return " or ".join(dict.fromkeys(word for word in words if word))


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types of a union but None; one that is no union by itself."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        every = (_alternatives(each) for each in get_args(annotation) if each is not NoneType)
        return tuple(kind for kinds in every for kind in kinds)
    return (annotation,)


def _literals(annotation: Any) -> tuple[Any, ...]:
    every = _alternatives(annotation)
    return tuple(v for each in every if get_origin(each) is Literal for v in get_args(each))


def _from_toml(hint: Any) -> Any:
    """A type that also takes what TOML has in its place: a list for a tuple, text for a path."""
    if get_origin(hint) in (Union, UnionType):
        return Union[tuple(_from_toml(each) for each in get_args(hint))]  # noqa: UP007 -- made here
    origin = get_origin(hint) or hint
    if origin in (tuple, frozenset, set) or (
        isinstance(origin, type) and issubclass(origin, Path | Enum)
    ):
        return Annotated[hint, Field(strict=False)]
    return hint


def _described(hint: Any, default: Any) -> str:
    named = _literals(hint)
    words = ", ".join(map(str, named)) if named else _takes_name(hint) or "a value"
    return words if default is ... or default is None else f"{words}; {_shown(default)} by default"


def _shown(default: Any) -> str:
    return re.sub(r"^(True|False)$", lambda found: found[0].lower(), str(default))
