from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import npu_tune
from npu_tune.errors import CompilerError
from npu_tune.network import load_network
from npu_tune.report.export.contents import write_contents
from npu_tune.report.export.place import CHECKSUMS
from npu_tune.tuning.folder import read_study_folder
from npu_tune.tuning.reading import read_content
from npu_tune.tuning.study_file import load_study_file

TARGET = "neural-art-stm32n6"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of a built-in network, of which the last trial is another one than the best."""
    folder = tmp_path_factory.mktemp("studies") / "s"
    npu_tune.tune(
        "ds-cnn", TARGET, study=folder, evaluations=4, executor="inline", sampler="random"
    )
    return folder


@pytest.fixture(scope="module")
def own_study(tmp_path_factory):
    """The same of a file, with a database for its trials."""
    folder = tmp_path_factory.mktemp("own")
    network = load_network("ds-cnn")
    (folder / "words.tflite").write_bytes(network.model_bytes)
    npu_tune.tune(
        folder / "words.tflite", TARGET, study=folder / "s", evaluations=2, executor="inline",
        sampler="random", storage=f"sqlite:///{folder / 'trials.db'}", cache=folder / "cache",
    )  # fmt: skip
    return folder / "s"


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_every_file_of_the_folder_has_a_role_and_a_checksum(study, tmp_path):
    artifact = npu_tune.export(study, tmp_path / "out")
    made = content(tmp_path / "out")
    named = {p.relative_to(tmp_path / "out").as_posix() for p in artifact.files.values()}
    assert named == set(made)
    listed = {line.split("  ")[1] for line in made[CHECKSUMS].decode().splitlines()}
    assert listed == set(made) - {CHECKSUMS}
    document = json.loads(made["export.json"])
    assert set(document["files"].values()) == set(made)


def test_the_same_trial_is_exported_twice_to_the_same_bytes(study, tmp_path):
    for out in ("one", "other"):
        npu_tune.export(study, tmp_path / out)
    assert content(tmp_path / "one") == content(tmp_path / "other")


def test_the_command_line_writes_what_the_function_does(study, tmp_path):
    npu_tune.export(study, tmp_path / "one", pick="0")
    command = [sys.executable, "-c", "from npu_tune.cli.main import main; main()"]
    options = ["export", str(study), "--pick", "0", "--out", str(tmp_path / "other")]
    subprocess.run([*command, *options], check=True, capture_output=True)
    assert content(tmp_path / "one") == content(tmp_path / "other")


def test_the_document_says_where_the_trial_comes_from_and_what_stands_beside_it(study, tmp_path):
    result = npu_tune.load_study(study)
    artifact = npu_tune.export(study, tmp_path / "out")
    document = json.loads(artifact.files["export"].read_bytes())
    assert document["study"]["trial"] == result.best.number
    assert document["study"]["searches"][0]["sampler"] == "random"
    assert document["model"]["sha256"] == result.identity.model_sha256
    assert document["figures"]["built"] == dict(result.best.metrics)
    assert document["figures"]["baseline"] == dict(result.baseline.metrics)
    assert document["versions"]["npu-tune"] == npu_tune.__version__
    assert document["memory"]


def test_the_page_names_the_commands_that_make_it_again(study, tmp_path):
    artifact = npu_tune.export(study, tmp_path / "out")
    page = artifact.files["readme"].read_text()
    number = npu_tune.load_study(study).best.number
    assert "npu-tune run again/study.toml" in page
    assert f"npu-tune export again/s --pick {number} --out DIR" in page


@pytest.mark.parametrize("which", ["study", "own_study"])
def test_the_study_file_makes_the_same_study_again_and_the_script_the_same_files(
    which, request, tmp_path, monkeypatch
):
    folder = request.getfixturevalue(which)
    out = tmp_path / "out"
    npu_tune.export(folder, out)
    monkeypatch.chdir(out)
    (script,) = re.findall(r"```python\n(.*?)```", (out / "README.md").read_text(), re.DOTALL)
    exec(compile(script, "README.md", "exec"), {})  # noqa: S102 - the example is what is tested
    for name, built in content(out / "DIR").items():
        assert (out / name).read_bytes() == built

    again = load_study_file(out / "again/study.toml")
    result = npu_tune.load_study(folder)
    repeated = npu_tune.tune(
        again.model.path, again.target.name, study=tmp_path / "again",
        evaluations=again.study.evaluations, seed=again.study.seed, executor="inline",
        sampler=again.sampler.name, sampler_options=again.sampler.options,
    )  # fmt: skip
    assert repeated.identity == result.identity
    assert [t.metrics for t in repeated.trials] == [t.metrics for t in result.trials]


def test_a_model_of_ones_own_comes_along_and_no_address_of_a_database_does(own_study, tmp_path):
    npu_tune.export(own_study, tmp_path / "out")
    made = content(tmp_path / "out")
    assert made["again/words.tflite"] == load_network("ds-cnn").model_bytes
    text = b"".join(made[name] for name in ("again/study.toml", "README.md", "export.json"))
    assert b"sqlite" not in text
    assert str(own_study.parent).encode() not in text


def test_a_trial_that_misses_the_limits_says_so(tmp_path):
    npu_tune.tune(
        "ds-cnn", TARGET, study=tmp_path / "s", evaluations=2, executor="inline",
        sampler="random", limits="ram_bytes<=1",
    )  # fmt: skip
    artifact = npu_tune.export(tmp_path / "s", tmp_path / "out", pick="0")
    assert (
        "does not meet the limits of the study: ram_bytes" in artifact.files["readme"].read_text()
    )
    document = json.loads(artifact.files["export"].read_bytes())
    assert not document["feasible"]
    assert document["violations"]["ram_bytes"] > 0


def test_a_target_that_writes_a_file_of_a_name_that_is_taken_is_refused(study, tmp_path):
    result, file = npu_tune.load_study(study), read_study_folder(study)
    with npu_tune.bind("ds-cnn", TARGET) as problem:
        artifact = problem.build(result.best.configuration, tmp_path)
        (tmp_path / "README.md").write_text("mine")
        with pytest.raises(CompilerError, match=r"'README\.md'"):
            write_contents(
                tmp_path, study=file, content=read_content(file), result=result,
                trial=result.best, problem=problem, artifact=artifact, versions={},
            )  # fmt: skip


def test_an_export_that_fails_leaves_no_folder_behind(study, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise CompilerError("no")

    monkeypatch.setattr("npu_tune.report.build.write_contents", fails)
    with pytest.raises(CompilerError):
        npu_tune.export(study, tmp_path / "a" / "out")
    assert not (tmp_path / "a").exists()
