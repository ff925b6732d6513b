from __future__ import annotations

import optuna_dashboard
import pytest
from browser import Watched
from dashboards import dashboard, optuna_storage
from fake_studies import fake_study, run_fake
from fake_targets import fake_network
from optuna import load_study
from wide_target import WideTarget

from npu_tune.tuning import run_study
from npu_tune.tuning.dashboard import KNOB_VALUES, optuna_line

KNOBS, EVALUATIONS = 492, 100
LIMITS = {"metric_1": 1.8e5}


def opened(folder, name="test"):
    """The study in a folder as plain Optuna has it."""
    return load_study(study_name=name, storage=optuna_storage(str(folder / "ledger.journal")))


def test_the_note_says_what_was_found_and_how_to_see_more(tmp_path):
    result = run_fake(tmp_path / "s", 20, limits={"sram_bytes": 1e9})

    note = optuna_dashboard.get_note(opened(tmp_path / "s"))

    assert note.startswith(f"## {result.model} on {result.target}\n")
    assert f"**trial {result.best.number}**, with a cost of **{result.best.cost:.4f}**" in note
    assert "after 20 evaluations; the" in note
    assert "| sram_bytes | " in note
    assert "It changes " in note
    assert f"`npu-tune export {tmp_path / 's'} --out DIR` builds the best" in note
    assert "report.html" not in note


def test_the_note_names_the_report_that_lies_in_the_folder(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "report.html").write_text("<html>")

    run_fake(tmp_path / "s", 5)

    assert f"`{tmp_path / 's' / 'report.html'}`" in optuna_dashboard.get_note(
        opened(tmp_path / "s")
    )


def test_a_note_is_written_anew_and_what_a_person_wrote_behind_it_stays(tmp_path):
    run_fake(tmp_path / "s", 5)
    study = opened(tmp_path / "s")
    optuna_dashboard.save_note(study, optuna_dashboard.get_note(study) + "Mine. " * 900)

    run_fake(tmp_path / "s", 8)

    note = optuna_dashboard.get_note(opened(tmp_path / "s"))
    assert "after 8 evaluations" in note
    assert "after 5 evaluations" not in note
    assert note.endswith("stays.*\n" + "Mine. " * 900)


def test_a_note_that_a_person_put_in_place_of_ours_stays_behind_the_new_one(tmp_path):
    run_fake(tmp_path / "s", 5)
    optuna_dashboard.save_note(opened(tmp_path / "s"), "Mine alone.")

    run_fake(tmp_path / "s", 8)

    note = optuna_dashboard.get_note(opened(tmp_path / "s"))
    assert "after 8 evaluations" in note
    assert note.endswith("stays.*\n\nMine alone.")


def test_where_nothing_meets_the_limits_the_note_says_so(tmp_path):
    run_fake(tmp_path / "s", 5, limits={"sram_bytes": 1.0})

    assert "Nothing meets the limits after 5 evaluations; trial" in optuna_dashboard.get_note(
        opened(tmp_path / "s")
    )


def test_the_study_says_what_the_indices_of_its_parameters_stand_for(tmp_path):
    result = run_fake(tmp_path / "s", 3)

    study = opened(tmp_path / "s")

    values, baseline = study.user_attrs[KNOB_VALUES], study.trials[0].params
    assert values.keys() < baseline.keys()
    assert {name: values[name][baseline[name]] for name in values} == {
        name: result.default[name] for name in values
    }


def test_one_line_says_how_the_dashboard_opens_a_study(tmp_path):
    study = fake_study(tmp_path / "my study")
    assert optuna_line(study) == (
        f"`optuna-dashboard '{tmp_path / 'my study'}/ledger.journal'` shows its trials, as those "
        "of the study 'test'."
    )
    url = "postgresql://me:secret@host/trials"
    study = fake_study(tmp_path / "s", study={"storage": url})
    assert "`optuna-dashboard 'postgresql+psycopg://me:***@host/trials'`" in optuna_line(study)


@pytest.fixture(scope="module", params=["journal", "sqlite"])
def wide(request, tmp_path_factory):
    """The place of a study of many knobs, and its result."""
    folder = tmp_path_factory.mktemp(request.param) / "wide"
    place = f"sqlite:///{folder}.db" if request.param == "sqlite" else None
    study = fake_study(folder, EVALUATIONS, limits=LIMITS, study={"storage": place})
    result = run_study(study, network=fake_network(), target=WideTarget(KNOBS))
    return study.storage, result


@pytest.mark.slow
def test_the_dashboard_shows_a_study_of_many_knobs_without_an_error(wide, browser):
    place, result = wide
    page = browser.new_page()
    page.set_default_timeout(240_000)
    watched = Watched(page)
    with dashboard(place) as address:
        study = f"/dashboard/studies/{1 if '://' in place else 0}"
        page.goto(f"{address}{study}/note")
        page.get_by_role("heading", name=f"{result.model} on wide").wait_for()
        assert page.get_by_text(f"trial {result.best.number}", exact=True).is_visible()
        cells = page.locator("table").first.inner_text()
        assert "of the default" in cells
        assert "metric_1" in cells

        page.locator(f"a[href$='{study}']").last.click()
        page.get_by_text(KNOB_VALUES, exact=True).wait_for()
        page.get_by_text("Infeasible", exact=True).first.wait_for()
        page.locator(".main-svg").first.wait_for()

        page.locator(f"a[href$='{study}/trials']").click()
        page.get_by_text("elapsed_s").first.wait_for()
        shown = page.inner_text("body")
        assert f"{len(result.trials)} Trials" in shown
        assert "metric_13" in shown
        assert "changes" in shown
        page.close()
    assert watched.errors == []
    assert all(url.startswith(address) for url in watched.requests)
