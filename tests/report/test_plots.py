from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path

import pytest
from study_results import infeasible_result, measured_result, objective_of, study_result

from npu_tune.errors import MissingExtraError, StorageError, UsageError
from npu_tune.report import plot_study


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_study_gives_the_same_picture(tmp_path: Path, ending: str):
    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    plot_study(study_result(), first)
    plot_study(study_result(), second)
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size > 1000


@pytest.fixture
def labels(monkeypatch):
    """The labels of the axes that are drawn."""
    from matplotlib.axes import Axes

    found = []
    monkeypatch.setattr(Axes, "set_xlabel", lambda _, text: found.append(text))
    monkeypatch.setattr(Axes, "set_ylabel", lambda _, text: found.append(text))
    return found


def test_the_axis_of_a_metric_that_is_maximised_says_so(tmp_path: Path, labels):
    directions = {"npu_share": "maximize", "cycles": "minimize"}
    objective = objective_of("npu_share", "cycles", directions=directions)
    plot_study(replace(study_result(), objective=objective), tmp_path / "a.png")
    assert "npu_share, estimated (more is better)" in labels
    assert "cycles, estimated" in labels


def test_the_axes_say_unit_and_kind(tmp_path: Path, labels):
    plot_study(study_result(), tmp_path / "a.png")
    assert "cycles, estimated" in labels
    assert "sram_bytes [KiB], estimated" in labels
    assert "cost against the baseline (estimated)" in labels


def test_a_study_without_a_feasible_trial_is_drawn_all_the_same(tmp_path: Path):
    plot_study(infeasible_result(), tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


def test_an_empty_study_has_nothing_to_plot(tmp_path: Path):
    with pytest.raises(UsageError, match="nothing to plot"):
        plot_study(replace(study_result(), trials=()), tmp_path / "a.png")


def test_an_unknown_picture_format_is_refused_by_name(tmp_path: Path):
    with pytest.raises(UsageError, match=r"'a.bmp'.*\.png, \.svg, \.pdf"):
        plot_study(study_result(), tmp_path / "a.bmp")


def test_a_folder_that_does_not_exist_is_a_storage_error(tmp_path: Path):
    with pytest.raises(StorageError, match="No such file or directory"):
        plot_study(study_result(), tmp_path / "nowhere" / "a.png")


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch):
    real = builtins.__import__

    def without_matplotlib(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    with pytest.raises(MissingExtraError, match=r"npu-tune\[report\]"):
        plot_study(study_result(), tmp_path / "a.png")


@pytest.mark.parametrize("confirmed_ms", [(8.0, 8.1, 7.9, 8.0), ()])
def test_a_study_whose_evaluations_differ_is_drawn_with_the_interval_of_its_best(
    tmp_path: Path, monkeypatch, confirmed_ms
):
    from matplotlib.axes import Axes

    drawn = []
    monkeypatch.setattr(Axes, "errorbar", lambda *point, **_: drawn.append(point))
    plot_study(measured_result(confirmed_ms), tmp_path / "a.png")
    assert len(drawn) == bool(confirmed_ms)


def test_a_picture_that_fails_leaves_what_was_there_before(tmp_path: Path, monkeypatch):
    from matplotlib.figure import Figure

    path = tmp_path / "a.png"
    path.write_bytes(b"before")

    def fail(_, partial, **__):
        partial.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(StorageError, match="No space left"):
        plot_study(study_result(), path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"before"
