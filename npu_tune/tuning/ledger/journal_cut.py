"""Cuts trials that this package wrote, so that what nobody may look at is not parsed."""

from __future__ import annotations

import re

PROFILE = "profile"
PROFILE_FIELDS = 2
"""``columns`` and ``rows``, as :func:`npu_tune.targets.profiles.pack_profile` makes them."""

_PARAMS = b',"params":{'
_BEHIND_PARAMS = b'},"user_attrs":{"key":"'
_PROFILE_KEY = b',"%s":' % PROFILE.encode()
_PROFILE = re.compile(
    rb'\{"columns":\[[^\]{}]*\],"rows":\{[^{}]*\]\}\}(?=,"[a-z_]|\},"system_attrs":)'
)

# How it can be known without parsing that a place is what it looks like: within a JSON text that
# `json.dumps` made, every quote of a string's content stands behind a backslash. So a quote behind
# a comma begins or ends a string, and it cannot end one where a letter follows. So `,"profile":` is
# the name of a field and no part of a text; `_PROFILE` begins with one table, holds another one,
# no further brace, and ends where both are closed.


def cut_trial(line: bytes, start: int, *, lean: bool) -> tuple[bytes, bytes] | None:
    """The rest of a trial's line without its profile.

    Args:
        line: as :class:`npu_tune._optuna_compat.JournalLines` wrote it.
        start: where that begins which stands behind the distributions.
        lean: leave the parameters out as well.

    Returns:
        The line from ``start`` on, with ``null`` in the place of a profile, and the text of the
        profile, empty where there is none; None where the trial has to be parsed as a whole.
    """
    behind = line.find(_BEHIND_PARAMS, start)
    if behind < 0 or not line.startswith(_PARAMS, start):
        return None
    head = _PARAMS if lean else line[start:behind]
    key = line.find(_PROFILE_KEY, behind)
    if key < 0:
        return head + line[behind:], b""
    begin = key + len(_PROFILE_KEY)
    found = _PROFILE.match(line, begin)
    # Attributes of people may hold a field of that name somewhere.
    if found is None or line.find(_PROFILE_KEY, found.end()) >= 0:
        return None
    return b"".join((head, line[behind:begin], b"null", line[found.end() :])), found[0]
