"""TOML tables validated key by key, and what is wrong with them in one clear sentence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Any, TypeVar, get_args, get_origin

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from npu_tune.errors import NpuTuneError, remedy_for

Model = TypeVar("Model", bound=BaseModel)

MOST_TEXT_BYTES = 1_000_000
"""Of a file that a person writes. Parsers take some hundred times as much memory."""

_DEEP_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){100}""")
"""Reading a key takes the square of its parts, in memory too."""

_LONGEST_NAME = 200
"""That may be a known one spelled wrong."""

SHOWN = "shown"
"""Under this key of an error's data stands what may be shown of the value that is at fault."""

_NAMES: ContextVar[Mapping[str, str]] = ContextVar("names of keys", default=MappingProxyType({}))

_IN_TOML = {
    "dict_type": "it takes a table",
    "model_type": "it takes a table",
    "path_type": "it takes a path in quotes",
    "string_too_short": "it must not be empty",
    "too_short": "it must not be empty",
    "tuple_type": "it takes a list",
}
"""What pydantic calls by Python's names, in the words of a TOML file, by the kind of error."""


class Table(BaseModel):
    """A TOML table: no unknown keys, and no value taken for one of another type."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        ser_json_inf_nan="constants",  # TOML has words for them
    )


def key(meaning: str, *, default: str | None = None) -> Any:
    """What a key of a table means, from which the tables of keys in ``docs/`` are written.

    Args:
        meaning: in Markdown, as it stands there.
        default: what holds where the key is absent, if that is no plain value.
    """
    return Field(description=meaning, json_schema_extra={"default": default})


def read_toml(path: Path, *, whole: str, kind: type[NpuTuneError]) -> dict[str, Any]:
    """The tables of a TOML file, not validated yet.

    Args:
        path: of the file.
        whole: what it is called in errors, such as ``study file``.
        kind: the class of the exceptions.
    """
    try:
        text = bounded_text(path)
    except OSError as error:
        raise kind(
            f"Cannot read the {whole} {path}: {error.strerror}.",
            remedy=remedy_for(error, "Check the path."),
            path=str(path),
        ) from error
    except ValueError as error:
        raise _no_toml_error(error, source=str(path), whole=whole, kind=kind) from error
    return parse_toml(text, source=str(path), whole=whole, kind=kind)


def parse_toml(text: str, *, source: str, whole: str, kind: type[NpuTuneError]) -> dict[str, Any]:
    """The tables of a text in TOML, as of :func:`read_toml`."""
    try:
        if _DEEP_KEY.search(text):
            raise ValueError("a key has more parts than anybody writes")
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # too long numbers and too deep lists, too
        raise _no_toml_error(error, source=source, whole=whole, kind=kind) from error


def _no_toml_error(
    error: Exception, *, source: str, whole: str, kind: type[NpuTuneError]
) -> NpuTuneError:
    said = str(error).rstrip(".")
    return kind(f"The {whole} {source} is not TOML: {said}.", remedy="Mend it.", path=source)


def bounded_text(path: Path) -> str:
    """The text of a file that a person writes, which is never long.

    Raises:
        OSError: if it cannot be read.
        ValueError: if there is more of it than anybody writes, or it is no UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(MOST_TEXT_BYTES + 1)
    if len(content) > MOST_TEXT_BYTES:
        raise ValueError(f"it has more than {MOST_TEXT_BYTES:,} bytes")
    return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")


def to_toml(table: BaseModel) -> str:
    """A validated document as TOML text; keys without a value and empty tables are left out."""
    document = table.model_dump(exclude_none=True, mode="json", by_alias=True)
    return tomli_w.dumps({key: value for key, value in document.items() if value != {}})


def validated(
    model: type[Model],
    document: Mapping[str, Any],
    *,
    source: str,
    whole: str,
    kind: type[NpuTuneError],
) -> Model:
    """A document as the values of a table.

    Args:
        model: what the table takes.
        document: its keys and values.
        source: what the document is called, such as its path.
        whole: what the key is called where the document itself is at fault.
        kind: the class of the exception, which names the first key at fault and the remedy.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise _table_error(error, model=model, source=source, whole=whole, kind=kind) from error


def _table_error(
    error: ValidationError,
    *,
    model: type[BaseModel],
    source: str,
    whole: str,
    kind: type[NpuTuneError],
) -> NpuTuneError:
    first = error.errors(include_url=False)[0]
    cause = first.get("ctx", {}).get("error")
    # A position in a list says less than the value, which is shown.
    location = [part for part in first["loc"] if isinstance(part, str) and part != "[key]"]
    key = ".".join(location) or whole
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        return kind(
            f"{source}: there is no key {key!r}.",
            remedy=known_remedy(location[-1], known),
            key=key,
        )
    if first["type"] == "missing":
        return kind(f"{source}: {key_name(key)} is missing.", remedy="Add it.", key=key)
    problem, remedy = str(cause or _IN_TOML.get(first["type"], first["msg"])), ""
    value, shown = first["input"], repr(first["input"])
    if first["type"] == "literal_error":
        remedy = closest_hint(str(value), re.findall(r"'([^']*)'", first["ctx"]["expected"]))
    if isinstance(cause, NpuTuneError):
        problem, remedy = cause.message, cause.remedy
        # What must not be shown as it is, such as a password, says how it may be.
        if SHOWN in cause.data:
            value = shown = cause.data[SHOWN]
    return kind(
        f"{source}: {key_name(key)} is {shown}: {problem.rstrip('.')}.",
        remedy=remedy.rstrip() or "Change the value.",
        key=key,
        value=value,
    )


@contextmanager
def keys_called(names: Mapping[str, str]) -> Iterator[None]:
    """Within it, messages call keys of a study file by the flags or arguments that gave them.

    Args:
        names: by the key with its tables before it, ``table.key``, or by a whole table.
    """
    token = _NAMES.set(names)
    try:
        yield
    finally:
        _NAMES.reset(token)


def key_name(key: str, otherwise: str = "") -> str:
    """What messages call a key: by what gave it, see :func:`keys_called`, else by itself.

    Args:
        key: with its tables before it.
        otherwise: what it is called where nothing else gave it; ``the key '...'`` by default.
    """
    names = _NAMES.get()
    parts = key.split(".")
    called = (names.get(".".join(parts[:end])) for end in range(len(parts), 0, -1))
    return next(filter(None, called), otherwise or f"the key {key!r}")


def key_note(key: str) -> str:
    """By what flag, argument or key a thing was given, in brackets behind it; "" if not said."""
    name = key_name(key, "\0")
    return "" if name == "\0" else f" ({name})"


def option_name(option: str) -> str:
    """What messages call an option of a target."""
    return key_name(f"target.{option}", f"the option {option}")


def sentence(text: str) -> str:
    """A text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def known_remedy(name: str, known: Iterable[str]) -> str:
    """Suggests the closest known name where there is one, and lists all of them."""
    known = list(known)
    return f"{closest_hint(name, known)}Known are {', '.join(known)}."


def closest_hint(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Asks ``Did you mean 'x'?`` of the known name closest to an unknown one; "" if none is.

    Args:
        name: as it was spelled.
        known: all names to choose from.
        cutoff: least similarity, from 0 to 1 for equal names, as of ``difflib``.
    """
    if len(name) > _LONGEST_NAME:  # comparing takes the product of both lengths
        return ""
    close = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"Did you mean {close[0]!r}? " if close else ""


def _known_keys(model: type[BaseModel], location: list[str]) -> list[str]:
    found: Any = model
    for part in location:
        # What is no table itself holds tables by name, all of one kind.
        found = found.model_fields[part].annotation if _is_table(found) else get_args(found)[-1]
        # A table that may be absent, or one of a list of tables.
        if get_origin(found) in (UnionType, tuple):
            found = get_args(found)[0]
    return [field.alias or name for name, field in found.model_fields.items()]


def _is_table(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
