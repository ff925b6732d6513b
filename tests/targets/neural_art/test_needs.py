from __future__ import annotations

import json

import npu_tune


def test_a_program_needs_its_pools_as_far_as_they_are_used_and_flash(tmp_path):
    with npu_tune.bind("ds-cnn", "neural-art-stm32n6") as problem:
        built = problem.build(problem.space.default, tmp_path)
    program = json.loads(built.files["model"].read_bytes())
    used = {f"pool {p['name']}": p["used_bytes"] for p in program["pools"] if p["used_bytes"]}
    needs = {need.name: need.size_bytes for need in built.needs}
    flash = [name for name in needs if name not in used]
    assert {name: needs[name] for name in used} == used
    assert sum(used.values()) == built.evaluation.metrics["ram_bytes"]
    assert [needs[name] for name in flash] == [built.evaluation.metrics["flash_bytes"]]
