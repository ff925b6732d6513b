from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from ncnn_cases import NcnnCase, convolutions, in_child

from npu_tune.errors import CompilerError, MissingExtraError
from npu_tune.targets.ncnn.engine import FP16_LEVELS, PARAM, NcnnEngine, import_ncnn
from npu_tune.targets.ncnn.files import write_files
from npu_tune.targets.ncnn.plan import LayerPlan
from npu_tune.targets.ncnn.writer import NcnnWriter


@pytest.fixture(scope="module")
def case():
    return NcnnCase(convolutions())


@pytest.fixture
def folder(case, tmp_path):
    plan = LayerPlan(case.precisions(), {})
    write_files(NcnnWriter(case.program), plan, lambda _: 1.0, tmp_path)
    return tmp_path


def test_outputs_have_the_shapes_of_the_network(case, folder):
    feed = case.feeds[0]
    outputs = in_child(lambda: NcnnEngine().load(folder, {}, profile=False).run(feed))
    assert [value.shape for value in outputs] == [(1, 10)]
    assert outputs[0].dtype == np.float32


def test_outputs_outlive_the_network_and_later_runs(case, folder):
    def run():
        network = NcnnEngine().load(folder, {}, profile=False)
        first = network.run(case.feeds[0])[0]
        kept = first.copy()
        network.run(case.feeds[1])
        network.close()
        return bool((first == kept).all() and first.flags.owndata is not None)

    assert in_child(run)


def test_an_input_is_left_as_it_is(case, folder):
    def run():
        feed = {name: value.copy() for name, value in case.feeds[0].items()}
        NcnnEngine().load(folder, {}, profile=False).run(feed)
        return all((feed[name] == value).all() for name, value in case.feeds[0].items())

    assert in_child(run)


def test_a_network_that_was_loaded_before_a_fork_runs_behind_it(case, folder):
    def run():
        network = NcnnEngine().load(folder, {}, profile=False)
        before = network.run(case.feeds[0])[0]
        behind = in_child(lambda: network.run(case.feeds[0])[0])
        return bool((before == behind).all())

    assert NcnnEngine().outlives_fork
    assert in_child(run)


def test_threads_and_gpus_do_not_outlive_a_fork():
    assert not NcnnEngine(2).outlives_fork
    assert not NcnnEngine(1, "gpu").outlives_fork


def test_every_layer_takes_some_time(case, folder):
    feed = case.feeds[0]
    seconds = in_child(lambda: NcnnEngine().load(folder, {}, profile=True).layer_seconds(feed))
    assert {layer.output for layer in case.program.layers} <= set(seconds)
    assert all(value > 0 for value in seconds.values())


def test_files_that_ncnn_does_not_read_are_refused(folder):
    (folder / PARAM).write_text("no network", encoding="utf-8")

    def load():
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        NcnnEngine().load(folder, {}, profile=False)

    with pytest.raises(CompilerError):
        in_child(load)


def test_everything_is_float32_where_nothing_is_said():
    settings = NcnnEngine().settings({})
    assert not any(settings[name] for name in settings if "fp16" in name or "vulkan" in name)
    assert settings["num_threads"] == 1


@pytest.mark.parametrize("level", FP16_LEVELS)
def test_a_level_of_fp16_includes_those_below(level):
    settings = NcnnEngine().settings({"fp16": level})
    flags = [settings[f"use_fp16_{name}"] for name in ("packed", "storage", "arithmetic")]
    assert flags == sorted(flags, reverse=True)


def test_options_become_attributes_that_ncnn_has():
    every = {"packing": False, "bf16": True, "threads": 3, "fp16": "storage", "sgemm": False}
    settings = NcnnEngine(2, "gpu").settings(every | {"winograd": "2x2"})
    options = import_ncnn().Option()
    for name, value in settings.items():
        setattr(options, name, value)
        assert getattr(options, name) == value


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ncnn", None)
    with pytest.raises(MissingExtraError) as caught:
        import_ncnn()
    assert "npu-tune[cpu]" in caught.value.remedy
