"""The measuring process as its problem sees it."""

from __future__ import annotations

from dataclasses import replace
from multiprocessing.connection import Connection

from npu_tune.closing import Closing
from npu_tune.errors import (
    CompilerCrashError,
    CompilerError,
    EvaluationError,
    WorkerLostError,
)
from npu_tune.network.onnx.runtime import NO_TELEMETRY
from npu_tune.processes import describe_exit
from npu_tune.processes.partner import Partner
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
from npu_tune.targets.measured.rounds import Timing, UsualTimes

ATTEMPTS = 2
"""A crash is not a verdict: it may be the machine's, but hardly twice in a row."""

_FIRST_LOOKS = 3
"""Measurements of the second reference from which it is known at first what is usual."""

_FIRST_LOOKS_S = 10.0
"""Processor time from which on there are no more of them: a network may take long."""

ENVIRONMENT = {
    **dict.fromkeys(("MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "OMP_PROC_BIND": "false",
    **NO_TELEMETRY,
}
"""Of the process: libraries get their threads from their own options, and none of its core."""


class MeasuringSession(Closing):
    """A process that measures candidates; it ends with this one, however that comes to pass.

    Args:
        setup: what stays the same.
    """

    def __init__(self, setup: MeasuringSetup) -> None:
        self._setup = setup
        self._usual = UsualTimes(setup.rounds.calm)
        self._patience_s = setup.rounds.patience
        self._partner: Partner | None = None

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return None if self._partner is None else self._partner.pid

    def measure(self, candidate: WrittenConfiguration, *, timed: bool = True) -> Measurement:
        """Measures a candidate, in a process of its own.

        Raises:
            CompilerError: if the library refuses it.
            CompilerCrashError: if it ends its process every time.
            WorkerLostError: if no core becomes free, or the process cannot be started.
        """
        if timed and not self._usual.seconds:
            self._look_at_machine()
        how = ""
        for _ in range(ATTEMPTS):
            answer = self._ask(self._job(candidate, timed=timed))
            if isinstance(answer, Measurement):
                return answer if answer.timing is None else self._judge(answer, answer.timing)
            if not isinstance(answer, CandidateDeath):
                raise _error_of(answer)
            how = answer.how
        raise CompilerCrashError(f"The process that ran this configuration ended: {how}.")

    def _job(self, candidate: WrittenConfiguration, *, timed: bool) -> MeasuringJob:
        return MeasuringJob(candidate, timed, self._usual.seconds, self._patience_s)

    def _look_at_machine(self) -> None:
        """Learns from the second reference, if there is one, what is usual.

        Where it cannot be measured now, nothing is learnt yet.
        """
        seconds = 0.0
        for each in self._setup.references[1:] * _FIRST_LOOKS:
            answer = self._ask(self._job(each, timed=True))
            if not isinstance(answer, Measurement) or answer.timing is None:
                return
            self._judge(answer, answer.timing)
            seconds += answer.timing.measured_s + answer.timing.waited_s
            if seconds > _FIRST_LOOKS_S:
                return

    def _judge(self, measurement: Measurement, timing: Timing) -> Measurement:
        """Says how the machine was, by what is usual; learns from it for the next measurements."""
        left = self._patience_s + timing.measured_s - timing.waited_s
        self._patience_s = min(max(left, 0.0), self._setup.rounds.patience)
        self._usual.add(timing.references_s)
        return replace(measurement, drift=self._usual.drift(timing.references_s))

    def close(self) -> None:
        """Ends the process."""
        self._end()

    def _ask(self, job: MeasuringJob) -> Answer:
        try:
            connection = self._start() if self._partner is None else self._partner.connection
            connection.send(job)
            answer: Answer = connection.recv()
        except (EOFError, OSError) as error:
            how = describe_exit(self._end())
            raise WorkerLostError(
                f"The measuring process has ended: {how}.",
                remedy="Give it more memory, if it had too little.",
            ) from error
        return answer

    def _start(self) -> Connection:
        """Starts the process and waits until it has loaded the reference.

        Raises:
            CompilerError: if the library does not take that.
            WorkerLostError: if no process can be started.
            EOFError: if it ends instead.
        """
        try:
            self._partner = Partner("npu_tune.targets.measured.worker", ENVIRONMENT)
        except OSError as error:
            raise WorkerLostError(
                f"A measuring process cannot be started: {error.strerror or error}."
            ) from error
        connection = self._partner.connection
        connection.send(self._setup)
        answer: MeasurerReady | LibraryRefusal = connection.recv()
        if isinstance(answer, LibraryRefusal):
            self._end()
            raise _error_of(answer)
        return connection

    def _end(self) -> int:
        """Ends the process; returns its exit status."""
        partner, self._partner = self._partner, None
        self._usual.clear()  # the next process may have other references
        return 0 if partner is None else partner.end()


def _error_of(answer: LibraryRefusal | NoFreeCore) -> EvaluationError:
    if isinstance(answer, NoFreeCore):
        return WorkerLostError(answer.said, remedy=answer.remedy)
    return CompilerError(f"The library refuses this configuration: {answer.said}")
