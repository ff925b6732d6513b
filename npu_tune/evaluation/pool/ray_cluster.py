"""The Ray that a pool works on: one that is there, or one that is started on this machine."""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from npu_tune.closing import Closing
from npu_tune.errors import ExecutorError, sentence_of
from npu_tune.evaluation.pool.attempts import Attempts, WorkerStartError, start_error
from npu_tune.evaluation.pool.children import Child, start_errors, temporary_folder
from npu_tune.evaluation.pool.messages import Answered, BrokenLineError, Line, Unfit
from npu_tune.evaluation.pool.ray_head import AUTH_MODE
from npu_tune.evaluation.pool.ray_needs import WorkerNeeds
from npu_tune.validation import key_note

REACH_TIMEOUT_S = 10.0
"""For the head of a cluster to accept a connection."""

HEAD_TIMEOUT_S = 180.0
"""For Ray to start on this machine, however busy it is; it takes some seconds on an idle one."""

MOST_BYTES_OF_FOLDER = 42
"""What the path of Ray's folder may take of the 107 bytes of a socket's path (unix(7)): Ray puts
``/session_<date>_<time>_<pid>/sockets/plasma_store`` behind it."""

_NAME = "npu-ray-"

_QUIETLY: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}


class RayConnection(Closing):
    """This process's connection to Ray; what was made for it ends with it.

    A Ray that is started here lives behind a guard and in a folder of its own: neither its
    processes nor its folder outlive this process, even if it is killed.

    Args:
        address: of a cluster, or ``auto``; None uses the Ray this process is connected to, or
            starts one on this machine.
        processors: of a Ray that is started here.
        needs: what each worker is to hold.

    Attributes:
        ray: the module.
        worker_options: with which Ray is asked for a worker.

    Raises:
        ExecutorError: if there is no such cluster, or Ray cannot be started, or would not have
            what the workers are to hold.
    """

    def __init__(self, address: str | None, *, processors: int, needs: WorkerNeeds) -> None:
        # Nobody asked for statistics to be sent to Ray's makers.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray  # noqa: PLC0415 - slow to import, and not needed for --help

        needs.require_sound()
        self.ray: Any = ray
        self.worker_options: dict[str, Any] = needs.held()
        runtime_env = dict(needs.runtime_env)
        self._local: _LocalRay | None = None
        with contextlib.ExitStack() as until_connected:
            if ray.is_initialized():
                self.worker_options |= {"runtime_env": runtime_env} if runtime_env else {}
            else:
                if address is None:
                    needs.require_here()
                    self._local = until_connected.enter_context(_LocalRay(processors))
                    _adopt(self._local.auth_mode)
                    address = self._local.address
                until_connected.callback(ray.shutdown)
                # Only what is said here may name folders of this machine, which Ray then hands out.
                _connect(address, runtime_env)
            self._opened = until_connected.pop_all()

    def is_alive(self) -> bool:
        """False where a Ray that was started here has ended.

        Ray itself would notice after a minute, and then end this process.
        """
        return self._local is None or self._local.is_alive()

    def close(self) -> None:
        self._opened.close()


@contextlib.contextmanager
def ray_errors(but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turns what Ray itself fails with into an ExecutorError.

    Args:
        but: classes that are left as they are.
    """
    import ray  # noqa: PLC0415 - slow to import, and not needed for --help

    try:
        yield
    except but:
        raise
    except ray.exceptions.RuntimeEnvSetupError as error:
        raise ExecutorError(
            f"Ray cannot make the environment of the workers{key_note('executor.runtime_env')}: {reason_of(error)}.",
            remedy="Mend it, or what the nodes need for it. A node remembers for ten minutes that an "
            "environment has failed, unless its Ray is started again.",
        ) from error
    except ray.exceptions.RayError as error:
        raise ExecutorError(
            f"Ray cannot go on: {reason_of(error)}.",
            remedy=f"Mend the cluster, or evaluate without Ray{key_note('executor.kind')}; then run the "
            "same command again.",
        ) from error


def reason_of(error: Exception) -> str:
    """What an error of Ray's says in one line."""
    lines = sentence_of(error).strip().splitlines()
    # What went wrong in another process stands last, behind the calls that led to it.
    is_from_elsewhere = getattr(error, "actor_init_failed", False) or hasattr(
        error, "error_message"
    )
    return lines[-1 if is_from_elsewhere else 0].strip().rstrip(".")


def worker_start_error(error: Exception) -> WorkerStartError:
    """The error of an actor that ended while it started."""
    if not getattr(error, "actor_init_failed", False):
        return start_error("A Ray worker", reason_of(error), "")
    return WorkerStartError(
        f"A Ray worker cannot start on its node: {reason_of(error)}.",
        remedy="Install npu-tune and what the target needs there, or have Ray do it"
        f"{key_note('executor.runtime_env')}.",
    )


class _LocalRay(Closing):
    """Ray's processes on this machine, behind a guard.

    Args:
        processors: that Ray may hand out.
    """

    def __init__(self, processors: int) -> None:
        attempts = Attempts()
        while True:
            try:
                self._start(processors)
            except WorkerStartError:
                if not attempts.failed_start():
                    raise
            else:
                return

    def is_alive(self) -> bool:
        return not self._child.has_ended(0.0)

    def close(self) -> None:
        self._child.end()
        self._line.close()

    def _start(self, processors: int) -> None:
        with contextlib.ExitStack() as until_started:
            folder = short_folder()
            until_started.callback(shutil.rmtree, folder, ignore_errors=True)
            with start_errors():
                self._line = Line()
            until_started.callback(self._line.close)
            self._child = Child(
                "npu_tune.evaluation.pool.ray_head",
                self._line.lend(),
                stop_s=HEAD_TIMEOUT_S,
                folder=folder,
            )
            self._line.keep()
            until_started.callback(self._child.end)
            options = {"num_cpus": processors, "include_dashboard": False, **_QUIETLY}
            self._line.send(pickle.dumps({**options, "_temp_dir": str(folder)}))
            self.address, self.auth_mode = self._hear()
            until_started.pop_all()

    def _hear(self) -> tuple[str, str | None]:
        """The address that Ray has got, and how it wants to be spoken to."""
        if not wait([self._line.connection], HEAD_TIMEOUT_S):
            raise ExecutorError(
                f"Ray has not started on this machine after {HEAD_TIMEOUT_S:g} s"
                f"{self._child.last_words()}.",
                remedy="Try again when the machine is less busy, or evaluate without Ray"
                f"{key_note('executor.kind')}.",
            )
        try:
            message = self._line.receive()
        except BrokenLineError as error:
            how = self._child.how_it_ended(error)
            raise start_error("Ray", how, self._child.last_words()) from error
        if isinstance(message, Answered):
            address, auth_mode = message.answer
            return address, auth_mode
        reason = message.reason if isinstance(message, Unfit) else repr(message)
        raise ExecutorError(
            f"Ray cannot be started on this machine: {reason.rstrip('.')}.",
            remedy=f"Evaluate without Ray{key_note('executor.kind')}, or give the address of a cluster.",
        )


def _adopt(auth_mode: str | None) -> None:
    """Has Ray's functions in this process show the token that the Ray started here asks for.

    As where Ray starts a cluster in this process itself, that stays so: its connections remember it.
    """
    if auth_mode is None or auth_mode == os.environ.get(AUTH_MODE):
        return
    os.environ[AUTH_MODE] = auth_mode
    # Ray reads the variable when it is imported, and then only when it is told to.
    importlib.import_module("ray._raylet").Config.initialize("")


def short_folder() -> Path:
    """Makes a folder for Ray, with a path so short that Ray's sockets fit in it.

    Raises:
        ExecutorError: if there is no place for it.
    """
    places = [os.environ.get("RAY_TMPDIR", ""), tempfile.gettempdir(), "/tmp", "/var/tmp"]  # noqa: S108 - mkdtemp makes a folder that nobody else may enter
    fitting = [place for place in places if place and _fits(place)]
    if not fitting:
        raise ExecutorError(
            f"Ray's sockets need a temporary folder whose path has at most "
            f"{MOST_BYTES_OF_FOLDER - len(_NAME) - 9} characters.",
            remedy="Set RAY_TMPDIR to one.",
        )
    return temporary_folder(_NAME, within=Path(fitting[0]))


def _fits(place: str) -> bool:
    # A slash goes before the name, and mkdtemp puts eight characters behind it.
    length = len(os.fsencode(place.rstrip("/"))) + 1 + len(_NAME) + 8
    return length <= MOST_BYTES_OF_FOLDER and os.access(place, os.W_OK | os.X_OK)


def _connect(address: str, runtime_env: dict[str, Any]) -> None:
    import ray  # noqa: PLC0415 - slow to import, and not needed for --help

    try:
        with _kept_signal_handlers():
            _require_reachable(address)
            ray.init(address=address, runtime_env=runtime_env or None, **_QUIETLY)
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ExecutorError(
            f"Cannot connect to Ray at {address!r}{key_note('executor.address')}: {str(error).rstrip('.')}.",
            remedy="Start a cluster with `ray start --head`, or leave the address out.",
            address=address,
        ) from error


def _require_reachable(address: str) -> None:
    """Raises OSError where nobody listens, which Ray itself would notice after minutes."""
    host, separator, port = address.rpartition("://")[2].rpartition(":")
    if separator and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=REACH_TIMEOUT_S).close()


@contextlib.contextmanager
def _kept_signal_handlers() -> Iterator[None]:
    """Puts the handlers back that Ray replaces with ones that end the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
