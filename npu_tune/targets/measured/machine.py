"""The machine that is measured on: its name, its free processors, how busy it is."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from npu_tune.errors import NpuTuneWarning, WorkerLostError
from npu_tune.processes import shared_temporary_folder

CORE_TIMEOUT_S = 240.0
"""For another measurement to end; below what an evaluation may take by default."""

_PRIORITY = 10


def machine_name() -> str:
    """What the processor calls itself, and how many of it this process may use."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "Model")):
                model = line.split(":", 1)[1].strip()
                break
    return f"{model}, {len(usable_cores())} cores"


def usable_cores() -> tuple[int, ...]:
    """The processors that this process may use, one of each physical core."""
    allowed = sorted(os.sched_getaffinity(0))
    cores: dict[str, int] = {}
    for number in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list")
        try:
            cores.setdefault(siblings.read_text(encoding="ascii"), number)
        except OSError:
            cores.setdefault(str(number), number)
    return tuple(sorted(cores.values()))


@contextlib.contextmanager
def core_of_its_own(count: int = 1, *, timeout_s: float = CORE_TIMEOUT_S) -> Iterator[None]:
    """Pins this process to cores that no other measurement uses meanwhile.

    Whoever measures holds a lock on a file per core, so that studies and workers that know nothing
    of one another take turns.

    Args:
        count: of cores.
        timeout_s: how long others may hold them.

    Raises:
        WorkerLostError: if they stay taken.
    """
    before = os.sched_getaffinity(0)
    with contextlib.ExitStack() as stack:
        held = _take(stack, usable_cores(), count, time.monotonic() + timeout_s)
        os.sched_setaffinity(0, held)
        stack.callback(os.sched_setaffinity, 0, before)
        yield


def _take(
    stack: contextlib.ExitStack, cores: tuple[int, ...], count: int, deadline: float
) -> set[int]:
    if count > len(cores):
        raise WorkerLostError(
            f"{count} cores are to be measured on, and this process may use {len(cores)}.",
            remedy="Ask for fewer threads.",
        )
    while True:
        # All or none, so that two that need several cores never wait for each other.
        with contextlib.ExitStack() as taken:
            held = _lock_some(taken, cores, count)
            if len(held) == count:
                stack.push(taken.pop_all())
                return set(held)
        if time.monotonic() > deadline:
            raise WorkerLostError(
                "Other measurements hold every core of this machine.",
                remedy="Use fewer workers (--workers), or wait for the other studies.",
            )
        time.sleep(0.02)


def _lock_some(stack: contextlib.ExitStack, cores: tuple[int, ...], count: int) -> list[int]:
    held: list[int] = []
    for core in cores:
        if len(held) < count and _lock(stack, core):
            held.append(core)
    return held


def _lock(stack: contextlib.ExitStack, core: int) -> bool:
    path = shared_temporary_folder() / f"npu-tune-{os.getuid()}-core-{core}.lock"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    stack.callback(os.close, descriptor)
    return True


def raise_priority() -> bool:
    """Takes this process out of the way of all others (SCHED_FIFO); False where that is forbidden."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except OSError:
        return False
    return True


def warn_if_busy() -> None:
    """Warns where more programs wanted to run in the last minute than there are cores."""
    load, cores = os.getloadavg()[0], len(usable_cores())
    if load > cores:
        warnings.warn(
            f"This machine is busy: {load:.1f} programs wanted to run in the last minute, on "
            f"{cores} cores. Ratios stay true, as both sides wait alike, but spread more; times "
            "in milliseconds do not.",
            NpuTuneWarning,
            stacklevel=2,
        )
