"""Optuna's dashboard on loopback."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna_dashboard
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_) -> None:
        pass


def optuna_storage(place: str) -> BaseStorage:
    """Optuna's own storage on what a ledger has written."""
    if place.startswith("redis://"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return JournalStorage(JournalRedisBackend(place))
    if "://" in place:
        place = place.replace("postgresql://", "postgresql+psycopg://")
        return RDBStorage(place.replace("mysql://", "mysql+pymysql://"))
    return JournalStorage(JournalFileBackend(place))


@contextmanager
def dashboard(place: str) -> Iterator[str]:
    """Serves the studies of a place; gives the address that pages and answers are under."""
    app = optuna_dashboard.wsgi(optuna_storage(place))
    server = make_server("127.0.0.1", 0, app, server_class=_Server, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
