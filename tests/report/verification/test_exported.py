from __future__ import annotations

import dataclasses
import gzip
import json
import os
import shutil
from pathlib import Path

import pytest
from fake_studies import run_fake
from fake_targets import LayeredTarget

import npu_tune
from npu_tune.errors import ModelError, StorageError, UsageError, VerificationError
from npu_tune.network import load_network
from npu_tune.report.export.place import CHECKSUMS, write_checksums

TARGET = "neural-art-stm32n6"
MODEL = "words.tflite"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An export of a model that is not built in."""
    folder = tmp_path_factory.mktemp("made")
    (folder / MODEL).write_bytes(load_network("ds-cnn").model_bytes)
    npu_tune.tune(
        folder / MODEL, TARGET, study=folder / "s", evaluations=4, executor="inline",
        sampler="random",
    )  # fmt: skip
    npu_tune.export(folder / "s", folder / "out")
    return folder / "out"


@pytest.fixture
def out(exported, tmp_path):
    """The same for one test, at another place."""
    return Path(shutil.copytree(exported, tmp_path / "moved"))


def differing(found) -> dict[str, str]:
    return {each.path: each.difference for each in found.files if each.difference}


def test_an_export_that_was_moved_is_built_again_to_the_same_bytes(out):
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    found = npu_tune.verify(out)
    assert found.same
    assert found.shortcoming is None
    assert {each.path for each in found.files} == {
        path.relative_to(out).as_posix() for path in before if path.name != CHECKSUMS
    }
    assert all(check.same and check.counts for check in found.metrics)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_link_to_an_export_leads_to_it(out, tmp_path):
    (tmp_path / "link").symlink_to(out)
    assert npu_tune.verify(tmp_path / "link").same


def test_a_byte_that_was_changed_is_named_by_its_file_and_place(out):
    content = bytearray((out / "layers.csv").read_bytes())
    content[-2] ^= 1
    (out / "layers.csv").write_bytes(content)
    found = npu_tune.verify(out)
    assert found.checksums.changed == ("layers.csv",)
    assert differing(found).keys() == {"layers.csv"}
    assert "made again" in differing(found)["layers.csv"]
    assert isinstance(found.shortcoming, VerificationError)


def test_files_that_are_missing_or_were_added_are_named(out):
    (out / "README.md").unlink()
    (out / "notes").mkdir()
    (out / "notes/mine.txt").write_text("mine")
    found = npu_tune.verify(out)
    assert found.checksums.missing == ("README.md",)
    assert found.checksums.added == ("notes/mine.txt",)
    assert differing(found) == {"README.md": "it is not there"}
    assert not found.same


def test_a_link_in_the_place_of_a_file_is_a_change_and_one_beside_it_is_added(out, tmp_path):
    shutil.move(out / "layers.csv", tmp_path / "elsewhere.csv")
    (out / "layers.csv").symlink_to(tmp_path / "elsewhere.csv")
    (out / "folder").symlink_to(tmp_path)
    (out / "nowhere").symlink_to(tmp_path / "nothing")
    found = npu_tune.verify(out)
    assert found.checksums.changed == ("layers.csv",)
    assert set(found.checksums.added) == {"folder", "nowhere"}


def test_what_was_changed_together_with_its_checksum_is_found_by_building_it_again(out):
    path = out / "configuration.json"
    document = json.loads(path.read_text())
    document["metrics"]["latency_ms"] *= 0.5
    path.write_text(json.dumps(document, indent=2) + "\n")
    write_checksums(_without_list(out))
    found = npu_tune.verify(out)
    assert found.checksums.same
    assert "metrics.latency_ms is" in differing(found)["configuration.json"]


def test_a_metric_that_the_document_states_otherwise_is_named_with_both_values(out):
    path = out / "export.json"
    document = json.loads(path.read_text())
    right = document["figures"]["built"]["latency_ms"]
    document["figures"]["built"]["latency_ms"] = right / 2
    path.write_text(json.dumps(document, indent=2) + "\n")
    found = npu_tune.verify(out)
    (wrong,) = [check for check in found.metrics if not check.same]
    assert (wrong.name, wrong.recorded, wrong.now) == ("latency_ms", right / 2, right)
    assert "figures.built.latency_ms" in differing(found)["export.json"]


def _without_list(out: Path) -> Path:
    (out / CHECKSUMS).unlink()
    return out


def test_another_version_of_the_tool_is_named_and_makes_nothing_differ(
    exported, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "npu_tune.report.build.installed_versions", lambda: {"npu-tune": "0.0.1", "ray": "1.0"}
    )
    npu_tune.export(exported.parent / "s", tmp_path / "out")
    found = npu_tune.verify(tmp_path / "out")
    assert found.same
    changes = {each.name: each.recorded for each in found.versions}
    assert changes["npu-tune"] == "0.0.1"
    assert changes["numpy"] == "not installed"
    assert "versions" not in str(differing(found))


@dataclasses.dataclass(frozen=True)
class Later(LayeredTarget):
    """A compiler of another version, by which everything takes longer."""

    compiler: str = "2"

    def evaluate(self, network, configuration):
        found = super().evaluate(network, configuration)
        metrics = {**found.metrics, "cycles": 2 * found.metrics["cycles"]}
        return dataclasses.replace(found, metrics=metrics)


@pytest.fixture(scope="module")
def of_a_value(tmp_path_factory):
    """An export for a target that was given as a value."""
    folder = tmp_path_factory.mktemp("value")
    run_fake(folder / "s", 6, network=load_network("ds-cnn"))
    npu_tune.export(folder / "s", folder / "out", target=LayeredTarget())
    return folder / "out"


def test_a_target_that_was_given_as_a_value_is_given_again(of_a_value):
    assert npu_tune.verify(of_a_value, target=LayeredTarget()).same


def test_another_version_of_the_compiler_is_named_with_what_comes_out_otherwise(of_a_value):
    found = npu_tune.verify(of_a_value, target=LayeredTarget(compiler="2"))
    (change,) = found.versions
    assert (change.name, change.now) == ("target's compiler", "'2'")
    assert all(check.same for check in found.metrics)
    assert "compiler" in differing(found).get("configuration.json", "compiler")

    found = npu_tune.verify(of_a_value, target=Later())
    assert [check.name for check in found.metrics if not check.same] == ["cycles"]
    assert "figures.built.cycles is" in differing(found)["export.json"]
    assert "Versions differ: target's compiler '1' -> '2'." in found.shortcoming.message


def test_a_model_that_was_taken_away_is_named_by_its_digest_and_can_be_given(out, tmp_path):
    shutil.move(out / "again" / MODEL, tmp_path / "other.tflite")
    digest = load_network("ds-cnn").digest
    found = npu_tune.verify(out)
    assert isinstance(found.error, ModelError)
    assert digest in found.error.message
    assert found.checksums.missing == (f"again/{MODEL}",)
    found = npu_tune.verify(out, model=tmp_path / "other.tflite")
    assert found.same
    assert found.trials


def test_another_model_is_refused_with_both_digests(out, tmp_path):
    other = load_network("resnet8")
    (tmp_path / "other.tflite").write_bytes(other.model_bytes)
    error = npu_tune.verify(out, model=tmp_path / "other.tflite").error
    assert isinstance(error, ModelError)
    assert other.digest in error.message
    assert load_network("ds-cnn").digest in error.message


@pytest.mark.parametrize(
    ("name", "content", "kind", "words"),
    [
        ("again/trials.journal.gz", b"no", StorageError, "is damaged"),
        ("again/trials.journal.gz", gzip.compress(b"{}\n"), StorageError, ""),
        ("again/trials.journal.gz", gzip.compress(b"x" * 99)[:-9] + b"\xff" * 9, StorageError, ""),
        ("again/study.toml", b"[model]\n", UsageError, "'model.path' is missing"),
        ("export.json", b"{}", UsageError, "not what an export writes"),
        ("export.json", b"no", UsageError, "not what an export writes"),
    ],
)
def test_what_it_is_built_from_may_be_damaged(out, name, content, kind, words):
    (out / name).write_bytes(content)
    found = npu_tune.verify(out)
    assert found.checksums.changed == (name,)
    assert isinstance(found.error, kind)
    assert words in found.error.message
    assert not found.same


def test_an_export_of_an_earlier_version_is_held_against_its_checksums_alone(out):
    (out / "again/trials.journal.gz").unlink()
    write_checksums(_without_list(out))
    found = npu_tune.verify(out)
    assert found.checksums.same
    assert "earlier version" in found.shortcoming.message
    assert not found.same


@pytest.mark.parametrize("line", ["0" * 64 + "  ../outside", "0" * 64 + "  /etc/passwd", "words"])
def test_a_list_of_checksums_that_no_export_writes_is_refused(out, line):
    (out / CHECKSUMS).write_text(f"{line}\n")
    with pytest.raises(UsageError, match="no export writes"):
        npu_tune.verify(out)


def test_an_export_without_a_list_of_checksums_is_refused(out):
    with pytest.raises(UsageError, match="SHA256SUMS"):
        npu_tune.verify(_without_list(out))


def test_every_file_says_of_which_study_and_trial_it_is_or_is_listed_with_that(exported):
    document = json.loads((exported / "export.json").read_text())
    origin = document["origin"]
    assert (origin["study"], origin["trial"]) == ("s", document["study"]["trial"])
    assert f"npu-tune export again/s --pick {origin['trial']} --out DIR" in origin["command"]
    names = {p.relative_to(exported).as_posix() for p in exported.rglob("*") if p.is_file()}
    assert set(document["files"].values()) == names
    for name in ("report.html", "README.md", "again/study.toml", "words_netron.json"):
        assert f"--pick {origin['trial']} --out DIR" in (exported / name).read_text()
    assert origin["command"].encode() in (exported / "words_annotated.tflite").read_bytes()


def test_no_file_names_a_place_of_this_machine(exported):
    place = os.fsencode(exported.parent)
    for path in exported.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert place not in (gzip.decompress(content) if path.suffix == ".gz" else content)
