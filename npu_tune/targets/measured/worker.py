"""The measuring process: one per problem, with a child of its own for each measurement.

It imports the library, loads the reference, and runs nothing else itself, so that whatever a
candidate does - crash, leak, leave memory behind - ends with the child that ran it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from npu_tune.errors import WorkerLostError, sentence_of
from npu_tune.processes import describe_exit
from npu_tune.targets.measured.engine import Engine, Runnable
from npu_tune.targets.measured.machine import core_of_its_own, raise_priority
from npu_tune.targets.measured.memory import PeakMemory, give_back
from npu_tune.targets.measured.messages import (
    Answer,
    CandidateDeath,
    LibraryRefusal,
    Measurement,
    MeasurerReady,
    MeasuringJob,
    MeasuringSetup,
    NoFreeCore,
    WrittenConfiguration,
)
from npu_tune.targets.measured.rounds import Clock, time_when_calm

_CHUNK_BYTES = 1 << 20


def main() -> None:
    """Does what comes over the socket until the other side closes it."""
    connection = Connection(int(sys.argv[1]))
    # The other side has gone away: there is nobody left to tell.
    with contextlib.suppress(EOFError, OSError), contextlib.ExitStack() as stack:
        setup: MeasuringSetup = connection.recv()
        stack.callback(_remove, setup.folder)
        try:
            references = _prepare(setup)
        except Exception as error:  # noqa: BLE001 - whatever a library raises
            connection.send(LibraryRefusal(sentence_of(error)))
            return
        connection.send(MeasurerReady())
        while True:
            job: MeasuringJob = connection.recv()
            connection.send_bytes(_answer(job, setup, references, connection))


def _remove(folder: Path | None) -> None:
    """Removes what a problem that was killed has left behind."""
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(setup: MeasuringSetup) -> tuple[Runnable, ...]:
    """Imports the library; loads the references where children can go on with them."""
    setup.engine.prepare()
    if not setup.engine.outlives_fork:
        return ()
    first, *others = setup.references
    found = [_load_and_run(setup, first)]
    found += [_load_and_run(setup, each) for each in others if _survives(setup, each)]
    return tuple(found)


def _load_and_run(setup: MeasuringSetup, configuration: WrittenConfiguration) -> Runnable:
    loaded = _load(setup.engine, configuration)
    loaded.run(setup.feeds[0])
    return loaded


def _survives(setup: MeasuringSetup, configuration: WrittenConfiguration) -> bool:
    """Whether a process that runs a configuration, such as this one, outlives that."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _load_and_run(setup, configuration)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return status == 0


def _answer(
    job: MeasuringJob,
    setup: MeasuringSetup,
    references: tuple[Runnable, ...],
    connection: Connection,
) -> bytes:
    """Measures in a child; ends it where the other side has gone away."""
    give_back()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_the_child(job, setup, references, writer)
    os.close(writer)
    with open(reader, "rb", buffering=0) as stream:  # noqa: PTH123 - a descriptor
        content = _read(stream.fileno(), connection, child)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code != 0 or not content:
        return pickle.dumps(CandidateDeath(describe_exit(code)))
    return content


def _read(descriptor: int, connection: Connection, child: int) -> bytes:
    content = bytearray()
    while True:
        ready, _, _ = select.select([descriptor, connection.fileno()], [], [])
        if descriptor in ready:
            part = os.read(descriptor, _CHUNK_BYTES)
            if not part:
                return bytes(content)
            content += part
        else:  # nothing is sent before the answer: the other side has closed the socket
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            sys.exit()


def _be_the_child(
    job: MeasuringJob, setup: MeasuringSetup, references: tuple[Runnable, ...], writer: int
) -> None:
    """Never returns."""
    code = 1
    try:
        answer = pickle.dumps(_measure(job, setup, references), pickle.HIGHEST_PROTOCOL)
        with open(writer, "wb") as stream:
            stream.write(answer)
        code = 0
    finally:
        os._exit(code)  # without what the parent's copy would do at its end


def _measure(job: MeasuringJob, setup: MeasuringSetup, references: tuple[Runnable, ...]) -> Answer:
    engine, candidate = setup.engine, job.candidate
    try:
        with core_of_its_own(engine.threads):
            if job.timed:
                return _measured(job, setup, references)
            loaded = _load(engine, candidate)
            return Measurement(tuple(tuple(loaded.run(feed)) for feed in setup.feeds))
    except WorkerLostError as error:
        return NoFreeCore(error.message, error.remedy)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a library raises
        return LibraryRefusal(sentence_of(error))


def _measured(
    job: MeasuringJob, setup: MeasuringSetup, references: tuple[Runnable, ...]
) -> Measurement:
    engine, candidate = setup.engine, job.candidate
    memory = PeakMemory()
    loaded = _load(engine, candidate)
    load_peak = memory.read()
    memory.restart()
    outputs = [loaded.run(setup.feeds[0])]
    loaded.run(setup.feeds[0])
    run_peak = memory.read()
    outputs += [loaded.run(feed) for feed in setup.feeds[1:]]
    others = references or (_load(engine, setup.references[0]),)
    with _first(engine) as priority:
        timing = time_when_calm(
            partial(loaded.run, setup.feeds[0]),
            [partial(each.run, setup.feeds[0]) for each in others],
            clock=_clock(engine),
            settings=setup.rounds,
            usual_s=job.usual_s,
            patience_s=job.patience_s,
        )
        loaded.close()
        seconds = _layer_seconds(engine, candidate, setup)
    return Measurement(
        outputs=tuple(map(tuple, outputs)),
        load_peak_bytes=load_peak,
        run_peak_bytes=run_peak,
        timing=timing,
        layer_seconds=seconds,
        priority=priority,
    )


def _layer_seconds(
    engine: Engine, candidate: WrittenConfiguration, setup: MeasuringSetup
) -> dict[str, float]:
    profiled = engine.load(candidate.folder, candidate.options, profile=True)
    seconds = dict(profiled.layer_seconds(setup.feeds[0]))
    profiled.close()
    return seconds


def _load(engine: Engine, candidate: WrittenConfiguration) -> Runnable:
    return engine.load(candidate.folder, candidate.options, profile=False)


def _clock(engine: Engine) -> Clock:
    """Of this thread alone, where the library computes in it."""
    alone = engine.threads == 1 and engine.device == "cpu"
    return time.thread_time if alone else time.perf_counter


@contextlib.contextmanager
def _first(engine: Engine) -> Iterator[bool]:
    """Ahead of all other programs, where that is permitted and threads are not many."""
    raised = engine.threads == 1 and engine.device == "cpu" and raise_priority()
    try:
        yield raised
    finally:
        if raised:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
