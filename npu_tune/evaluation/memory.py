"""How much memory an evaluation may take, as the system counts and holds it.

The limit is that on private memory which can be written (``RLIMIT_DATA`` of setrlimit(2)). Unlike a
limit on addresses it leaves out what libraries reserve and never touch, files that are mapped, and
code; unlike a look at what is resident every now and then it stops an allocation before it is made,
so that the machine is never short because of it. It holds for each process of an evaluation by
itself: what a worker starts inherits it.
"""

from __future__ import annotations

import contextlib
import re
import resource
from pathlib import Path

from npu_tune.errors import (
    CompilerCrashError,
    CompilerError,
    CompilerMemoryError,
    EvaluationError,
    ExecutorError,
)
from npu_tune.validation import key_name

_SPEAKS_OF_MEMORY = re.compile(
    r"MemoryError|bad_?alloc|(unable|cannot|can't|failed|could not) (to )?allocate|out of memory",
    re.IGNORECASE,
)
"""What Python, NumPy, C++ and onnxruntime say when an allocation fails."""


def limit_memory(limit_bytes: int) -> None:
    """Limits what this process, and each that it starts, may have of memory of its own."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most != resource.RLIM_INFINITY:
        limit_bytes = min(limit_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))


def data_limit() -> int | None:
    """The limit of this process in bytes; None where there is none."""
    limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def held_bytes() -> int:
    """What this process has now of what the limit counts; 0 where there is none, or nobody tells."""
    if data_limit() is None:
        return 0
    with contextlib.suppress(OSError):
        found = re.search(r"VmData:\s*(\d+) kB", Path("/proc/self/status").read_text("ascii"))
        return 1024 * int(found[1]) if found else 0
    return 0


def has_kept_much(before_bytes: int) -> bool:
    """True where this process keeps more than half of what was left to it.

    Args:
        before_bytes: what it had when its problem was bound.
    """
    limit = data_limit()
    return limit is not None and held_bytes() - before_bytes > (limit - before_bytes) / 2


def memory_error(limit_bytes: int, said: str) -> CompilerMemoryError:
    """The error of an evaluation that wanted more than it may have.

    Args:
        limit_bytes: that it may have.
        said: what was said of it.
    """
    return CompilerMemoryError(
        f"The evaluation needs more than the {limit_bytes / 2**20:,.0f} MiB of memory that it may "
        f"have ({said.rstrip('.')}).",
        remedy=f"Raise {key_name('executor.memory_limit')} if the compiler needs that much.",
        memory_limit=limit_bytes,
    )


def load_error(limit_bytes: int) -> ExecutorError:
    """The error of a worker that cannot even load the target with what it may have."""
    return ExecutorError(
        f"A worker needs more than the {limit_bytes / 2**20:,.0f} MiB of memory that it may have "
        "to load the target.",
        remedy=f"Raise {key_name('executor.memory_limit')}.",
    )


def blamed_on_memory(error: EvaluationError, limit_bytes: int | None) -> EvaluationError:
    """The error itself, or that of :func:`memory_error` where it speaks of memory and there is a limit."""
    if limit_bytes is None or not isinstance(error, CompilerError | CompilerCrashError):
        return error
    if not _SPEAKS_OF_MEMORY.search(error.message):
        return error
    return memory_error(limit_bytes, error.message)
