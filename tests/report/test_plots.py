from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path

import pytest
from study_results import infeasible_result, study_result

from npu_tune.errors import MissingExtraError, StorageError, UsageError
from npu_tune.report import plot_study


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_study_gives_the_same_picture(tmp_path: Path, ending: str):
    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    plot_study(study_result(), first)
    plot_study(study_result(), second)
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size > 1000


def test_the_axes_say_unit_and_kind(tmp_path: Path, monkeypatch):
    labels = []
    from matplotlib.axes import Axes

    monkeypatch.setattr(Axes, "set_xlabel", lambda _, text: labels.append(text))
    monkeypatch.setattr(Axes, "set_ylabel", lambda _, text: labels.append(text))
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
