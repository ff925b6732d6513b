"""The dashboard shows a ledger like any other study."""

from __future__ import annotations

import json
import threading
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server

import optuna_dashboard
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from trials import finished_trial

from npu_tune.tuning.ledger import open_ledger


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def get(place):
    """Asks a dashboard on loopback for a path of its JSON interface."""
    with open_ledger(
        place, name="s", directions=("minimize", "maximize"), metric_names=("ms", "share")
    ) as ledger:
        for index in range(5):
            ledger.append(finished_trial(index, failed=index == 4))
    if "://" in place:
        storage = RDBStorage(place.replace("postgresql://", "postgresql+psycopg://"))
    else:
        storage = JournalStorage(JournalFileBackend(place))
    server = make_server("127.0.0.1", 0, optuna_dashboard.wsgi(storage), handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def ask(path: str):
        url = f"http://127.0.0.1:{server.server_port}/api/{path}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)

    yield ask
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_dashboard_lists_the_study_and_shows_its_trials(get):
    (summary,) = get("studies")["study_summaries"]
    assert summary["study_name"] == "s"
    detail = get(f"studies/{summary['study_id']}?after=0")
    assert [trial["state"] for trial in detail["trials"]] == ["Complete"] * 4 + ["Fail"]
    assert [trial["values"][0] for trial in detail["trials"][:4]] == [0, 1, 2, 3]
    assert detail["objective_names"] == ["ms", "share"]
    assert detail["trials"][2]["constraints"] == [-1.0, -1.0]
    assert {p["name"] for p in detail["trials"][0]["params"]} == {
        "network/strategy",
        "conv/block",
        "conv/flag",
    }
