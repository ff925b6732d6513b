from __future__ import annotations

import pytest

from npu_tune.errors import ModelError, TargetError
from npu_tune.network import network_from_bytes
from npu_tune.targets.ethos_u.family import EthosUFamily


# The headers are all that is right about these: no real TOSA file is at hand.
@pytest.mark.parametrize("rest", [b"", b"\0" * 64, bytes(range(200))])
@pytest.mark.parametrize("name", ["ethos-u55-128", "ethos-u85-256"])
def test_a_tosa_file_that_vela_cannot_read_is_a_model_error(name, rest):
    network = network_from_bytes(b"\x18\0\0\0TOSA" + rest, "tosa", "broken")
    with pytest.raises(
        ModelError, match=r"Vela cannot compile 'broken': Failed to load TOSA .*\. "
    ):
        EthosUFamily().make(name, {}).bind(network)


def test_a_system_that_does_not_fit_ethos_u85_is_refused(resnet8, tmp_path):
    ini = tmp_path / "own.ini"
    ini.write_text("[System_Config.Half]\n[Memory_Mode.Half]\narena_mem_area=Axi7\n")
    options = {"config": str(ini), "system_config": "Half", "memory_mode": "Half"}
    with pytest.raises(TargetError, match="Vela cannot use Half"):
        EthosUFamily().make("ethos-u85-256", options).bind(resnet8)


@pytest.mark.slow
def test_what_stays_on_the_cpu_of_an_ethos_u85_is_named(shared_models):
    content = (shared_models / "tflite" / "mcunet_vww.tflite").read_bytes()
    network = network_from_bytes(content, "tflite", "mcunet_vww")
    with pytest.raises(ModelError) as caught:
        EthosUFamily().make("ethos-u85-256", {}).bind(network)
    assert len(caught.value.data["cpu_operators"]) == 3
    allowed = EthosUFamily().make("ethos-u85-256", {"allow_cpu": True})
    with allowed.bind(network) as problem:
        evaluation = problem.evaluate(problem.space.default)
    assert [note.startswith("on the CPU: ") for note in evaluation.notes] == [True] * 3
    assert evaluation.metrics["npu_share"] == pytest.approx(87 / 90)
