import json

import pyarrow.parquet as pq
import pytest

COMPARISON = """
[compare]
evaluations = 6
seeds = 2
[[network]]
path = "ds-cnn"
[[target]]
name = "fake-npu"
[[sampler]]
name = "random"
[[sampler]]
name = "layerwise"
[executor]
kind = "inline"
"""


@pytest.fixture
def file(here):
    (here / "small.toml").write_text(COMPARISON)
    return "small.toml"


def test_a_comparison_answers_with_its_summary_and_its_files(npu_tune, file, here):
    ended = npu_tune("compare", file)
    assert ended.code == 0
    assert "# small" in ended.out
    assert str(here / "small" / "summary.md") in ended.out
    assert "4/4 runs" in ended.err
    assert (here / "small" / "figures" / "regret--weighted--fake-npu.png").is_file()


def test_a_comparison_answers_in_the_documented_schema(npu_tune, file):
    document = npu_tune("compare", file, "--json", "--quiet").document
    assert document["runs"] == {"planned": 4, "finished": 4, "failed": 0}
    assert document["problems"][0]["reference"]["source"] == "best known"
    assert {row["sampler"] for row in document["medians"]} == {"random", "layerwise"}


def test_a_replay_writes_one_file_on_request(npu_tune, file, here):
    npu_tune("compare", file, "--quiet")
    (here / "small.toml").write_text(COMPARISON.replace('"fake-npu"', '"gone"\nlabel="fake-npu"'))
    arguments = ["--replay", "small", "--folder", "again", "--only", "overall.csv"]
    ended = npu_tune("compare", file, *arguments)
    assert ended.code == 0
    again = (here / "again" / "overall.csv").read_bytes()
    assert again == (here / "small" / "overall.csv").read_bytes()
    assert not (here / "again" / "summary.md").exists()


def test_runs_that_fail_are_told_and_the_others_kept(npu_tune, file, here):
    more = '[[target]]\nname = "fake-broken"\nversion = "2"\n[[sampler]]\nname = "random"'
    text = COMPARISON.replace('[[sampler]]\nname = "random"', more)
    (here / "small.toml").write_text(text)
    ended = npu_tune("compare", file, "--json", "--quiet")
    assert ended.code == 8
    assert ended.document["runs"] == {"planned": 8, "finished": 4, "failed": 4}
    assert "4 runs failed" in ended.document["error"]["message"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("seeds = 2", "seeds = [1, 1]"), 2),
        (("evaluations = 6", "evaluations = 0"), 2),
        (('"random"', '"layerwise"'), 2),
        (('"random"', '"random"\nseeds = [7]'), 2),
        (("fake-npu", "fake-flat"), 2),
        (("[executor]", '[objective]\nmode = "pareto"\nmetrics = ["cycles"]\n[executor]'), 2),
        (("ds-cnn", "no-such"), 3),
        (("fake-npu", "no-such"), 4),
    ],
)
def test_what_makes_no_sense_ends_with_its_documented_code(npu_tune, file, here, change, code):
    (here / "small.toml").write_text(COMPARISON.replace(*change))
    ended = npu_tune("compare", file)
    assert ended.code == code
    assert "Traceback" not in ended.err
    assert not (here / "small").exists()


def test_a_recording_of_another_schema_version_ends_with_its_documented_code(npu_tune, file, here):
    npu_tune("compare", file, "--quiet")
    path = here / "small" / "results.parquet"
    table = pq.read_table(path)
    ((key, text),) = table.schema.metadata.items()
    meta = json.dumps(json.loads(text) | {"schema_version": 2})
    pq.write_table(table.replace_schema_metadata({key: meta}), path)
    ended = npu_tune("compare", file, "--quiet", "--folder", "again", "--replay", path)
    assert ended.code == 7
    assert "schema version 2" in ended.err
