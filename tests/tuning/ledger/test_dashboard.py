"""The dashboard shows a ledger like any other study."""

from __future__ import annotations

import json
import urllib.request

import pytest
from dashboards import dashboard
from trials import finished_trial

from npu_tune.tuning.ledger import open_ledger


@pytest.fixture
def get(place):
    """Asks a dashboard on loopback for a path of its JSON interface."""
    with open_ledger(
        place, name="s", directions=("minimize", "maximize"), metric_names=("ms", "share")
    ) as ledger:
        for index in range(5):
            ledger.append(finished_trial(index, failed=index == 4))
    with dashboard(place) as address:

        def ask(path: str):
            with urllib.request.urlopen(f"{address}/api/{path}", timeout=60) as answer:  # noqa: S310 - loopback
                return json.load(answer)

        yield ask


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
