"""Has the clock on the wall of every Python program that starts with this folder on its path jump.

The file that ``JUMPING_CLOCK`` names holds by how many seconds it is wrong just now. Clocks that only
go forward (``time.monotonic``) are left alone, as Linux leaves them alone.
"""

import datetime as dt
import os
import time

_true_time = time.time


def _offset() -> float:
    with open(os.environ["JUMPING_CLOCK"]) as file:  # noqa: PTH123 - the path of every program stays small
        return float(file.read())


class _Datetime(dt.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)


time.time = lambda: _true_time() + _offset()
time.time_ns = lambda: int(time.time() * 1e9)
dt.datetime = _Datetime
