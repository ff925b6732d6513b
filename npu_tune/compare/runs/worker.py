"""The program of the processes that perform runs.

One is started by :class:`npu_tune.compare.runs.process_pool.RunWorker` in a session of its own.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from multiprocessing.connection import Connection

import optuna

from npu_tune.compare.runs.pools import Job, attempt
from npu_tune.compare.runs.process_pool import Slate
from npu_tune.network import Network
from npu_tune.targets import Target
from npu_tune.tuning.executors.payload import unpack


def main() -> None:
    """Performs what comes over the socket until the other side closes it."""
    connection, descriptor = Connection(int(sys.argv[1])), int(sys.argv[2])
    slate = Slate(descriptor)
    os.close(descriptor)
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # The other side may be gone at any time; then there is nobody left to tell.
    with contextlib.suppress(EOFError, OSError), connection:
        workload: tuple[Target, Network] | None = None
        while True:
            order, answers, keep, payload = connection.recv()
            if workload is None or payload is not None:
                workload = unpack(payload)
            job = Job(order, *workload, answers, keep)
            connection.send(attempt(job, watch=slate.note))
