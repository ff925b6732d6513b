from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from study_results import study_result

from npu_tune.report import plot_study
from npu_tune.report.origin import FileOrigin, file_command, write_beside
from npu_tune.report.trials import write_trials

ORIGIN = FileOrigin("tiny-study", None, "npu-tune trials s --csv t.csv")


def test_a_command_names_files_by_their_names_alone_and_quotes_what_a_shell_would_split():
    command = file_command("report", Path("my runs/s"), netron=Path("some where/why.onnx"))
    assert command == "npu-tune report 'my runs/s' --netron why.onnx"


def test_a_file_without_room_for_a_remark_has_one_beside_it(tmp_path):
    path = write_beside(tmp_path / "t.csv", ORIGIN)
    assert path.name == "t.csv.origin.json"
    assert json.loads(path.read_text()) == {
        "file": "t.csv",
        "study": "tiny-study",
        "trial": None,
        "command": ORIGIN.command,
    }


def test_a_table_of_trials_says_where_it_comes_from_without_a_row_more(tmp_path):
    result = study_result()
    write_trials(result, tmp_path / "t.csv", as_parquet=False, origin=ORIGIN)
    assert len(pd.read_csv(tmp_path / "t.csv")) == len(result.trials)
    assert json.loads((tmp_path / "t.csv.origin.json").read_text())["study"] == "tiny-study"
    write_trials(result, tmp_path / "t.parquet", as_parquet=True, origin=ORIGIN)
    assert pd.read_parquet(tmp_path / "t.parquet").attrs == {"npu-tune": ORIGIN.to_dict()}
    assert not (tmp_path / "t.parquet.origin.json").exists()


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_picture_holds_the_command_that_draws_it_and_the_same_bytes_every_time(tmp_path, suffix):
    paths = [tmp_path / f"{name}{suffix}" for name in ("one", "other")]
    for path in paths:
        plot_study(study_result(), path, command="npu-tune show s --plot one.png")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    if suffix == ".png":
        assert "npu-tune show s --plot one.png" in Image.open(paths[0]).text["Description"]
    else:
        assert b"npu-tune show s --plot one.png" in paths[0].read_bytes()
