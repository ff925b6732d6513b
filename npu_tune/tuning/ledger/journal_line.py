"""One line of a journal: sealed with a checksum when written, checked when read."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from npu_tune._optuna_compat import SEALED_WORKER
from npu_tune.tuning.ledger.journal_cut import (
    CutTrial,
    behind_distributions,
    cut_trial,
)
from npu_tune.tuning.packed import PROFILE, PROFILE_FIELDS, PackedTable

_SEAL = re.compile(rb',"seq":([0-9]{1,18}),"crc32":"([0-9a-f]{8})"\}$')
_LONGEST_SEAL = 64
_SPACE = b" \t\r"
_BLANK = _SPACE + b"\n"
_OWN_TRIAL = b'{"op_code":4,"worker_id":"%s",' % SEALED_WORKER.encode()
_OPERATION = re.compile(rb'"op_code":\s*([0-9]+)')

_NUMBER = (int, float)
_NONE = type(None)
_ABSENT = object()
_FIELDS: Mapping[int, Mapping[str, tuple[type, ...]]] = {
    0: {"study_name": (str,), "directions": (list,)},
    1: {"study_id": (int,)},
    2: {"study_id": (int,), "user_attr": (dict,)},
    3: {"study_id": (int,), "system_attr": (dict,)},
    4: {"study_id": (int,), "datetime_start": (str, _NONE)},
    5: {
        "trial_id": (int,),
        "param_name": (str,),
        "param_value_internal": _NUMBER,
        "distribution": (str,),
    },
    6: {"trial_id": (int,), "state": (int,), "values": (list, _NONE)},
    7: {"trial_id": (int,), "step": (int,), "intermediate_value": _NUMBER},
    8: {"trial_id": (int,), "user_attr": (dict,)},
    9: {"trial_id": (int,), "system_attr": (dict,)},
    10: {},
}
"""What a line of Optuna's journal must hold, by the code of its operation."""

_OPTIONAL: Mapping[str, tuple[type, ...]] = {
    "state": (int,),
    "value": (*_NUMBER, _NONE),
    "values": (list, _NONE),
    "distributions": (dict,),
    "params": (dict,),
    "user_attrs": (dict,),
    "system_attrs": (dict,),
    "intermediate_values": (dict,),
    "datetime_complete": (str,),
}
"""What a line that creates a trial may hold beside that."""

_LOST = {
    0: "all of the study is lost without it",
    1: "the study that it deletes comes back",
    2: "the study attribute on it is lost",
    3: "the study attribute on it is lost",
    4: "the trial on it is lost",
}


Read: TypeAlias = tuple[dict[str, Any], int | None]
"""What a line says, and its number where it is sealed."""


class DamagedLineError(ValueError):
    """A line that is not what was written; the message says how that shows."""


def seal(line: bytes, number: int) -> bytes:
    """A line of Optuna's journal with its number and checksum as two more keys at its end.

    Optuna passes over keys that it does not know. The checksum is the CRC-32 of all bytes before
    it (``zlib.crc32``), which finds every change within 32 neighbouring bits, and others but for
    one in four thousand million.

    Args:
        line: a JSON object and a newline.
        number: larger than that of any line before it.
    """
    body = line.rstrip()[:-1] + b',"seq":%d' % number
    return body + b',"crc32":"%08x"}\n' % zlib.crc32(body)


class LineReader:
    """Reads lines, and what most of them have in common only once: the distributions.

    Args:
        lean: of many lines that are read at once, leave out parameters, distributions and times.
    """

    def __init__(self, *, lean: bool = False) -> None:
        self._lean = lean
        self._known: tuple[bytes, dict[str, str]] = (b"", {})

    def read(self, line: bytes) -> Read:
        """What a line says, and its number where it is sealed.

        Lines that Optuna or an earlier version of this package wrote have no checksum and are
        taken at their word, as far as they are what Optuna's journals consist of.

        Args:
            line: without its newline.

        Raises:
            DamagedLineError: if its checksum is wrong, or it is no line of a journal.
        """
        number = _checked_number(line)
        text, known = line, None
        if number is not None and line.startswith(_OWN_TRIAL):
            start = behind_distributions(line, self._known[0])
            if start > 0:
                head = line[: start - len(self._known[0])]
                text, known = head + b"{}" + line[start:], self._known[1]
        log = _parsed(text, is_sealed=number is not None)
        if known is not None:
            log["distributions"] = known
        elif number is not None and "distributions" in log:
            block = json.dumps(log["distributions"], separators=(",", ":")).encode()
            self._known = (block, log["distributions"])
        return log, number

    def read_ahead(self, lines: Sequence[bytes]) -> list[Read | None]:
        """What those of some lines say that are trials of this package's own and whole.

        That is the same as :meth:`read` says of each, and found in a fraction of the time: they
        are parsed together, and a profile is kept as the text that it is.

        Args:
            lines: with or without their newlines.

        Returns:
            None for every line that :meth:`read` has to read.
        """
        cuts = [self._cut(line) for line in lines]
        texts = [cut.text for cut, _ in filter(None, cuts)]
        try:
            logs = json.loads(f"[{b','.join(texts).decode()}]")
        except (ValueError, RecursionError):  # nothing that this package wrote
            return [None] * len(lines)
        if len(logs) != len(texts):
            return [None] * len(lines)
        found = iter(logs)
        return [None if cut is None else self._finished(next(found), *cut) for cut in cuts]

    def _cut(self, line: bytes) -> tuple[CutTrial, int] | None:
        if not line.startswith(_OWN_TRIAL):
            return None
        line = line.rstrip(_BLANK)
        try:
            number = _checked_number(line)
        except DamagedLineError:
            return None
        cut = None if number is None else cut_trial(line, self._known[0], lean=self._lean)
        return None if cut is None or number is None else (cut, number)

    def _finished(self, log: dict[str, Any], cut: CutTrial, number: int) -> Read | None:
        if cut.profile:
            attributes = log["user_attrs"]
            if attributes.get(PROFILE, "") is not None:
                return None
            attributes[PROFILE] = PackedTable(
                cut.profile, PROFILE_FIELDS, is_compressed=not self._lean
            )
        if self._lean:
            log["datetime_start"] = None
            log.pop("datetime_complete", None)
        else:
            log["distributions"] = self._known[1]
        return log, number


def _checked_number(line: bytes) -> int | None:
    """The number of a sealed line, whose checksum fits; None where there is no seal."""
    line = line.rstrip(_SPACE)
    found = _SEAL.search(line, max(len(line) - _LONGEST_SEAL, 0))
    if found is None:
        return None
    if zlib.crc32(memoryview(line)[: found.end(1)]) != int(found[2], 16):
        raise DamagedLineError("its checksum does not fit")
    return int(found[1])


def _parsed(text: bytes, *, is_sealed: bool) -> dict[str, Any]:
    try:
        # Only a line with a checksum is known to hold no number that was too large to be one.
        log = json.loads(text.decode(), parse_float=None if is_sealed else _finite)
    except (ValueError, RecursionError) as error:
        raise DamagedLineError("it is no JSON that could have been written") from error
    if not isinstance(log, dict):
        raise DamagedLineError("it is no JSON object")
    if not is_sealed and log.get("worker_id") == SEALED_WORKER:
        raise DamagedLineError("its checksum is missing")
    _check_fields(log)
    return log


def lost_with(line: bytes) -> str:
    """What a study lacks when a damaged line is taken out."""
    found = _OPERATION.search(line[:100])
    return _LOST.get(int(found[1]) if found else -1, "what was on it is lost")


def _check_fields(log: Mapping[str, Any]) -> None:
    # By their exact types: JSON's true and false are no numbers, though Python's are.
    operation = log.get("op_code")
    if type(operation) is not int or operation not in _FIELDS:
        raise DamagedLineError("it holds no operation of Optuna's journal")
    if not isinstance(log.get("worker_id"), str):
        raise DamagedLineError("it does not say who wrote it")
    if operation == 4:
        for name, kinds in _OPTIONAL.items():
            if name in log and type(log[name]) not in kinds:
                raise _wrong_field(name)
    for name, kinds in _FIELDS[operation].items():
        if type(log.get(name, _ABSENT)) not in kinds:
            raise _wrong_field(name)
    if operation in (4, 6):
        values = [log.get("value"), *(log.get("values") or ())]
        if not all(value is None or _is_value(value) for value in values):
            raise DamagedLineError("an objective's value is no number")


def _wrong_field(name: str) -> DamagedLineError:
    return DamagedLineError(f"its {name!r} is missing or of another type")


def _is_value(value: Any) -> bool:
    try:
        return type(value) in _NUMBER and not math.isnan(value)
    except OverflowError:
        return False


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large")
    return number
