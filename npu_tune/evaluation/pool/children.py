"""Processes that are started behind a guard, and ended with all that they have started."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from npu_tune.errors import ExecutorError, remedy_for
from npu_tune.evaluation.pool.messages import BrokenLineError, ClosedLineError
from npu_tune.processes import SHARED_TMPDIR, describe_exit, guard, shared_temporary_folder

ONE_THREAD = dict.fromkeys(
    (
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)
"""Workers share the processors among themselves; each one's libraries must not do so again."""

ENDING_S = 3.0
"""For a child that has closed its connection to end, with all that it has started."""

_LAST_WORDS_BYTES = 2000


class Child:
    """A process of a session of its own that runs the ``main`` of a module, behind a guard.

    It, and everything that it has started, ends with this process, however that comes to pass.

    Args:
        module: its ``main`` reads the descriptors' numbers from ``sys.argv``.
        descriptors: of files and sockets that it inherits.
        words: further arguments of the program, behind the descriptors.
        stop_s: how long it may be stopped (SIGSTOP) before it is ended.
        folder: its own temporary folder, which is removed when it has ended.

    Raises:
        ExecutorError: if it cannot be started.
    """

    def __init__(
        self,
        module: str,
        *descriptors: int,
        words: tuple[str, ...] = (),
        stop_s: float,
        folder: Path | None = None,
    ) -> None:
        program = [sys.executable, "-c", f"from {module} import main; main()"]
        command = [*program, *map(str, descriptors), *words]
        self._folder = folder
        if sys.platform == "linux":
            numbers = ",".join(map(str, descriptors))
            about = [str(os.getpid()), str(stop_s), str(folder or ""), numbers]
            command = [sys.executable, "-I", "-S", guard.__file__, *about, *command]
        self._stderr = temporary_file()
        with contextlib.ExitStack() as until_started, start_errors():
            until_started.callback(self._stderr.close)
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=descriptors,
                start_new_session=True,
                env={**os.environ, **ONE_THREAD, **_temporary(folder)},
            )
            until_started.pop_all()

    @property
    def pid(self) -> int:
        """Number of the guard, or of the process itself where there is none."""
        return self._process.pid

    def how_it_ended(self, error: BrokenLineError) -> str:
        """Ends it, and says how it came to that, such as ``killed by SIGSEGV``."""
        has_ended = isinstance(error, ClosedLineError) and self.has_ended(ENDING_S)
        status = self.end()
        return describe_exit(status) if has_ended else f"killed, as {error}"

    def has_ended(self, timeout_s: float) -> bool:
        """Waits for it to end of its own accord; its number stays its own until :meth:`end`."""
        deadline = time.monotonic() + timeout_s
        while self._process.returncode is None and not _is_dead(self.pid):
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return True

    def end(self) -> int:
        """Ends it and everything it has started; returns its exit status."""
        if self._process.returncode is None:
            guard.end_family(self.pid)
            # A guard that has just started something sees that it is alone, and ends it.
            self._process.kill()
            self._process.wait()
            self._last_words = self.last_words()
            self._stderr.close()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
        return self._process.returncode

    def last_words(self) -> str:
        """What it wrote last to stderr, in parentheses; "" where it wrote nothing."""
        if self._stderr.closed:
            return self._last_words
        size = os.fstat(self._stderr.fileno()).st_size
        tail = os.pread(self._stderr.fileno(), _LAST_WORDS_BYTES, max(size - _LAST_WORDS_BYTES, 0))
        lines = tail.decode(errors="replace").strip().splitlines()
        return f" ({lines[-1].strip()})" if lines else ""


def _temporary(folder: Path | None) -> dict[str, str]:
    """The environment of a child with a temporary folder of its own."""
    if folder is None:
        return {}
    return {"TMPDIR": str(folder), SHARED_TMPDIR: str(shared_temporary_folder())}


def _is_dead(pid: int) -> bool:
    """True once a child has ended; it can still be waited for."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # somebody else has waited for it
        return True


@contextlib.contextmanager
def start_errors() -> Iterator[None]:
    """Turns what the operating system says about a new process into an ExecutorError."""
    try:
        yield
    except OSError as error:
        raise ExecutorError(
            f"A worker process cannot be started: {error.strerror or error}.",
            remedy=remedy_for(error, "Use fewer workers."),
        ) from error


def temporary_file(content: bytes = b"") -> IO[bytes]:
    """An open file without a name, which is gone once it is closed.

    Raises:
        ExecutorError: if it cannot be written.
    """
    with temporary_errors():
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        file.write(content)
        file.flush()
    return file


@contextlib.contextmanager
def temporary_errors() -> Iterator[None]:
    """Turns what the operating system says about temporary files into an ExecutorError."""
    try:
        yield
    except OSError as error:
        raise ExecutorError(
            "What workers need cannot be written to a temporary folder: "
            f"{error.strerror or error}.",
            remedy=f"{remedy_for(error, 'Check that folder.')} TMPDIR names another one.",
        ) from error


def temporary_folder(prefix: str, *, within: Path | None = None) -> Path:
    """Makes a folder for a child.

    Args:
        prefix: of its name.
        within: where; None stands for the usual place.

    Raises:
        ExecutorError: if it cannot be made.
    """
    with temporary_errors():
        return Path(tempfile.mkdtemp(prefix=prefix, dir=within))
