from __future__ import annotations

import pytest


@pytest.fixture
def exported(npu_tune, here):
    """The study ``s`` and its export ``out``."""
    npu_tune(
        "tune", "ds-cnn", "--target", "neural-art-stm32n6", "--workers", 1, "--study", "s",
        "--evaluations", 3, "--sampler", "random", "-q",
    )  # fmt: skip
    assert npu_tune("export", "s", "--out", "out").code == 0
    return here / "out"


def test_what_is_the_same_ends_with_0_and_what_is_not_with_11_in_the_documented_schema(
    npu_tune, exported
):
    ended = npu_tune("verify", "out")
    assert ended.code == 0
    assert "Every file has its checksum." in ended.out
    assert "It is the same." in ended.out
    assert "Building trial" in ended.err

    (exported / "layers.csv").write_text("no\n")
    (exported / "more").touch()
    ended = npu_tune("verify", "out", "-q")
    assert ended.code == 11
    assert "layers.csv is not what was exported." in ended.out
    assert "more was added." in ended.out
    assert "Building" not in ended.err
    ended = npu_tune("verify", "out", "--json")
    assert ended.code == 11
    assert ended.document["same"] is False
    assert ended.document["checksums"]["changed"] == ["layers.csv"]
    assert ended.document["error"]["kind"] == "VerificationError"

    ended = npu_tune("verify", "s", "--sample", 2, "--seed", 1, "--json")
    assert ended.code == 0
    assert len(ended.document["trials"]) == 2
    assert npu_tune("verify", "out", "--sample", 2).code == 2


def test_the_study_says_with_which_command_it_was_run(npu_tune, here):
    npu_tune(
        "tune", "ds-cnn", "--target", "neural-art-stm32n6", "--workers", 1, "--study", "s",
        "--evaluations", 2, "-q",
    )  # fmt: skip
    (run,) = npu_tune("show", "s", "--json").document["stretches"]
    assert run["command"].startswith("npu-tune tune ds-cnn --target neural-art-stm32n6")
    assert run["stopped"] == "evaluations"
    assert run["executor"] == {"kind": "process", "workers": 1}
