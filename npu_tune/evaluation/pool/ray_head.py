"""The program that starts Ray on this machine for one pool.

One is started by :class:`npu_tune.evaluation.pool.ray_cluster.RayConnection` behind a guard, which
ends it with all of Ray's own processes. It says over a socket where Ray is to be reached.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from multiprocessing.connection import Connection

from npu_tune.errors import sentence_of
from npu_tune.evaluation.pool.messages import Answered, Unfit

AUTH_MODE = "RAY_AUTH_MODE"
"""Variable of the environment; newer Rays set it to ``token`` where they start a cluster."""


def main() -> None:
    """Starts Ray as the first message says, answers with its address and mode, and waits."""
    with contextlib.suppress(EOFError, OSError), Connection(int(sys.argv[1])) as connection:
        import ray  # noqa: PLC0415 - slow to import, and the program's own module is not

        options = connection.recv()
        try:
            ray.init(address="local", **options)
            address = ray.get_runtime_context().gcs_address
            answer: Answered | Unfit = Answered((address, os.environ.get(AUTH_MODE)))
        except Exception as error:  # noqa: BLE001 - whatever is wrong, the parent must hear of it
            answer = Unfit(sentence_of(error))
        connection.send_bytes(pickle.dumps(answer))
        connection.recv()
