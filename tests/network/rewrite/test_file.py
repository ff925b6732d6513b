from __future__ import annotations

import json

import onnx
import pytest
from rewritten import model_of, split, stripes

from npu_tune.errors import ModelError, ModelFormatError, RewriteError, StorageError, UsageError
from npu_tune.network import read_network, zoo_network
from npu_tune.network.rewrite import file, plan_document, rewrite_file


@pytest.fixture
def folder(tmp_path):
    """A model and a configuration for it."""
    body = "(float[1,4,12,8] x) => (float y) { a = Conv<pads=[1,1,1,1]>(x, w) y = Relu(a) }"
    onnx.save(model_of(body, w=(4, 4, 3, 3)), tmp_path / "m.onnx")
    (tmp_path / "p.json").write_text(json.dumps(plan_document(stripes("a"))))
    return tmp_path


def test_a_file_is_rewritten_checked_and_counted(folder):
    made = rewrite_file(folder / "m.onnx", folder / "p.json", folder / "sub" / "n.onnx")
    there = read_network(folder / "sub" / "n.onnx")
    assert made.network.digest == there.digest
    assert made.network.name == "n"
    assert made.agreement.samples == 4
    assert made.plan == stripes("a")
    assert made.macs == (12 * 8 * 4 * 4 * 9,) * 2
    assert [path.name for path in (folder / "sub").iterdir()] == ["n.onnx"]


def test_weights_in_another_file_become_part_of_the_result(folder):
    model = onnx.load(folder / "m.onnx")
    onnx.save(model, folder / "e.onnx", save_as_external_data=True, size_threshold=0)
    rewrite_file(folder / "e.onnx", folder / "p.json", folder / "n.onnx")
    assert (folder / "n.onnx").stat().st_size > 4 * 4 * 4 * 9
    assert len(read_network(folder / "n.onnx").layers) > 2


def test_a_built_in_network_is_taken_as_float_onnx(folder):
    plan = plan_document(split("stage1/conv1/linear", "kernels"))
    (folder / "p.json").write_text(json.dumps(plan))
    made = rewrite_file("resnet8", folder / "p.json", folder / "n.onnx")
    assert made.source.digest == zoo_network("resnet8").digest


def test_a_file_that_is_there_is_kept_unless_forced(folder):
    (folder / "n.onnx").write_text("mine")
    with pytest.raises(UsageError, match=r"n\.onnx is there already.*`force=True`"):
        rewrite_file(folder / "m.onnx", folder / "p.json", folder / "n.onnx")
    assert (folder / "n.onnx").read_text() == "mine"
    rewrite_file(folder / "m.onnx", folder / "p.json", folder / "n.onnx", force=True)
    assert read_network(folder / "n.onnx").layers


def test_the_model_itself_and_what_is_no_file_are_never_overwritten(folder):
    with pytest.raises(UsageError, match="the model itself"):
        rewrite_file(folder / "m.onnx", folder / "p.json", folder / "m.onnx", force=True)
    with pytest.raises(UsageError, match="is no file"):
        rewrite_file(folder / "m.onnx", folder / "p.json", folder, force=True)


def test_nothing_is_written_where_the_result_differs(folder, monkeypatch):
    def differ(*_models, **_options):
        raise RewriteError("It differs.")

    monkeypatch.setattr(file, "compare_models", differ)
    with pytest.raises(RewriteError):
        rewrite_file(folder / "m.onnx", folder / "p.json", folder / "n.onnx")
    assert not (folder / "n.onnx").exists()


def test_a_folder_that_cannot_be_made_is_an_error_of_the_storage(folder):
    with pytest.raises(StorageError, match="cannot be written"):
        rewrite_file(folder / "m.onnx", folder / "p.json", folder / "p.json" / "n.onnx")


def test_other_formats_and_missing_files_are_refused(folder):
    (folder / "m.tflite").write_bytes(zoo_network("ds-cnn", format="tflite").model_bytes)
    with pytest.raises(ModelFormatError, match="is a TFLITE file, and only ONNX"):
        rewrite_file(folder / "m.tflite", folder / "p.json", folder / "n.onnx")
    with pytest.raises(ModelError, match="There is no file"):
        rewrite_file(folder / "no.onnx", folder / "p.json", folder / "n.onnx")
