"""Outcomes that the worker processes of one machine share, so that none is worked out twice."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from npu_tune.closing import Closing
from npu_tune.evaluation import Outcome
from npu_tune.evaluation.evaluator import Request
from npu_tune.evaluation.store import Store, store_path
from npu_tune.files import storage_errors
from npu_tune.targets import Identity


class SharedOutcomes(Closing):
    """A store in which a process that finds nothing makes others wait for its outcome.

    Args:
        folder: of stores; not on a network drive.
        identity: of the problem.

    Raises:
        StorageError: if the folder or the store cannot be used.
    """

    def __init__(self, folder: Path, identity: Identity) -> None:
        path = store_path(folder, identity)
        self._store = Store(path)
        with storage_errors("The file of locks", locks := path.with_suffix(".locks")):
            self._locks = os.open(locks, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def get(self, request: Request, evaluate: Callable[[], Outcome]) -> Outcome:
        """The known outcome, or else what ``evaluate`` returns, which is known from then on.

        Args:
            request: what is asked.
            evaluate: works it out.
        """
        with self._claim(request.key):
            known = self._store.find(request.key)
            if known is not None and request.is_answered_by(known):
                return known
            outcome = evaluate()
            self._store.learn(request.key, outcome, changes=dict(request.configuration))
            return outcome

    def close(self) -> None:
        os.close(self._locks)
        self._store.close()

    @contextmanager
    def _claim(self, key: str) -> Iterator[None]:
        # A byte of the file per key, which the system unlocks for a process that dies.
        place = int(key[:15], 16)
        fcntl.lockf(self._locks, fcntl.LOCK_EX, 1, place)
        try:
            yield
        finally:
            fcntl.lockf(self._locks, fcntl.LOCK_UN, 1, place)
