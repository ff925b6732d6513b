import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from npu_tune.compare import read_recording, run_comparison
from npu_tune.compare.runs.comparison import RESULTS
from npu_tune.compare.runs.recording import merge, write_recording
from npu_tune.errors import StorageError, UsageError


@pytest.fixture
def recording(comparison):
    return run_comparison(comparison()).recording


def test_a_recording_comes_back_as_it_was(recording, tmp_path):
    write_recording(tmp_path / "r.parquet", recording)
    again = read_recording(tmp_path / "r.parquet")
    assert again.problems == recording.problems
    assert again.runs == recording.runs
    for run, known in zip(again.runs, recording.runs, strict=True):
        pd.testing.assert_frame_equal(run.rows, known.rows)


def test_merged_recordings_stand_in_the_given_order(recording):
    order = [run.name for run in recording.runs][::-1]
    assert [run.name for run in merge([recording, recording], order).runs] == order
    assert [run.name for run in merge([recording], order[:1]).runs] == order[:1]


def with_meta(path, change):
    """Writes what a change makes of the recording's description in the place of it."""
    table = pq.read_table(path)
    key = next(iter(table.schema.metadata))
    meta = json.dumps(change(json.loads(table.schema.metadata[key])))
    pq.write_table(table.replace_schema_metadata({key: meta}), path)


@pytest.mark.parametrize("version", [0, 99, "1"])
def test_a_recording_of_another_schema_version_is_refused(recording, tmp_path, version):
    path = tmp_path / "r.parquet"
    write_recording(path, recording)
    with_meta(path, lambda meta: meta | {"schema_version": version})
    with pytest.raises(
        StorageError, match=f"version {version}, and this npu-tune reads version 1"
    ):
        read_recording(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda _: [],
        lambda meta: {"runs": meta["runs"]},
        lambda meta: meta | {"problems": []},
        lambda meta: meta | {"runs": [{"name": "x"}]},
    ],
)
def test_a_recording_whose_description_is_no_description_is_refused(recording, tmp_path, change):
    path = tmp_path / "r.parquet"
    write_recording(path, recording)
    with_meta(path, change)
    with pytest.raises(StorageError, match="damaged"):
        read_recording(path)


def test_a_missing_or_damaged_recording_is_refused(recording, here):
    with pytest.raises(UsageError, match="no recording"):
        read_recording(here / "none.parquet")
    path = here / "kept" / RESULTS
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StorageError, match="damaged"):
        read_recording(path)
    pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(StorageError, match="no recording"):
        read_recording(path)


def test_a_description_that_is_nested_deeply_and_rows_without_end_are_refused(recording, tmp_path):
    path = tmp_path / "r.parquet"
    write_recording(path, recording)
    table = pq.read_table(path)
    (key,) = [key for key in table.schema.metadata if key.startswith(b"npu_tune")]
    pq.write_table(table.replace_schema_metadata({key: "[" * 100_000}), path)
    with pytest.raises(StorageError, match="no recording"):
        read_recording(path)
    rows = pa.table({"run": pa.nulls(60_000_000)})
    pq.write_table(rows.replace_schema_metadata(table.schema.metadata), path)
    assert path.stat().st_size < 200_000
    with pytest.raises(StorageError, match="no recording"):
        read_recording(path)
