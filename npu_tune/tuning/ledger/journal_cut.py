"""Cuts trials that this package wrote, so that what nobody may look at is not parsed."""

from __future__ import annotations

from typing import NamedTuple

from npu_tune.tuning.packed import PROFILE

_DISTRIBUTIONS = b'"distributions":'
_PARAMS = b',"params":{'
_ATTRIBUTES = b'},"user_attrs":{"key":"'
_KEY = b',"%s":' % PROFILE.encode()
_COLUMNS = b'{"columns":['
_ROWS = b'],"rows":{'
_BEHIND_ATTRIBUTES = b'},"system_attrs":'

# How it can be known without parsing that a place is what it looks like: within a text, JSON has a
# backslash before every quote. So a quote behind a comma begins or ends a text, and where a letter
# follows it begins one. So `,"profile":` is the name of a field, and no part of a text.


class CutTrial(NamedTuple):
    """A trial's line in two parts.

    Args:
        text: a JSON object of all but what was cut out of it.
        profile: a JSON object; empty where there is none. In its place stands ``null``.
    """

    text: bytes
    profile: bytes


def behind_distributions(line: bytes, block: bytes) -> int:
    """Where the distributions of a trial end; -1 where they are others than those of ``block``."""
    # In a line of this package's own it is the first field of that name.
    start = line.find(_DISTRIBUTIONS) + len(_DISTRIBUTIONS)
    return start + len(block) if block and line.startswith(block, start) else -1


def cut_trial(line: bytes, block: bytes, *, lean: bool) -> CutTrial | None:
    """A trial's line without its distributions.

    Args:
        line: as :class:`npu_tune._optuna_compat.JournalLines` wrote it.
        block: the distributions of the trials before it.
        lean: leave out the parameters as well.

    Returns:
        None where it has to be parsed as a whole.
    """
    params = behind_distributions(line, block)
    if params < 0 or not line.startswith(_PARAMS, params):
        return None
    attributes = line.find(_ATTRIBUTES, params)
    if attributes < 0:
        return None
    kept = [line[: params - len(block)], b"{}", _PARAMS if lean else line[params:attributes]]
    key = line.find(_KEY, attributes)
    if key < 0:
        return CutTrial(b"".join((*kept, line[attributes:])), b"")
    begin = key + len(_KEY)
    end = _end_of_profile(line, begin)
    # Attributes of people may hold a field of that name somewhere.
    if end < 0 or line.find(_KEY, end) >= 0:
        return None
    text = b"".join((*kept, line[attributes:begin], b"null", line[end:]))
    return CutTrial(text, line[begin:end])


def _end_of_profile(line: bytes, begin: int) -> int:
    """Where a profile ends; -1 where that cannot be told, such as for a layer called ``a{b``."""
    rows = line.find(_ROWS, begin)
    brace = line.find(b"}", begin)
    end = brace + 2
    is_plain = (
        0 <= rows < brace
        and line.startswith(_COLUMNS, begin)
        and line.startswith(b"]}}", brace - 1)
        # The table, and the one of its rows: no text has a brace, and nothing is nested deeper.
        and line.count(b"{", begin, end) == 2
    )
    is_followed = line.startswith(b',"', end) and line[end + 2 : end + 3].isalpha()
    return end if is_plain and (is_followed or line.startswith(_BEHIND_ATTRIBUTES, end)) else -1
