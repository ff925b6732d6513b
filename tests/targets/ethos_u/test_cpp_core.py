from __future__ import annotations

import pytest

from npu_tune.errors import ModelError, TargetError
from npu_tune.network import network_from_bytes
from npu_tune.targets.ethos_u.family import EthosUFamily
from npu_tune.targets.ethos_u.printed import PrintedOperator, parse_operators, parse_schedule

PRINTED = """
Schedule: 'graph_MIN_BUFFERED'
\t0: Operation Conv2D  - OFM 1, 112, 112, 32 (in Sram)
\t\tOperator Config = OFM Block=[1, 4, 32, 16], IFM Block=[1, 6, 34, 8], Traversal=PartKernel
\t\tIFM Stripe   = [1, 9, 224, 3]
\t\tOFM Stripe   = [1, 4, 112, 32]
\t\tAssigned Cascade = 1
\t\tWeight buffer = 1296 bytes (Single)
\t\tDepth slices = [0, 32]
\t1: Operation DepthwiseConv2D  - OFM 1, 56, 56, 32 (in Sram)
\t\tOFM Stripe   = [1, 2, 56, 32]
\t\tAssigned Cascade = 1
\t\tWeight buffer = 0 bytes (None)
\t\tDepth slices = [0, 16, 32]
\tCascades:
\t\t0: 0 -> 1, size: 4096
Schedule: 'second'
\t0: Operation Conv2D  - OFM 1, 1, 1, 1 (in Sram)
"""


OPERATORS = """
CPU operators = 3 (3.3%)
   CPU: Passthrough = input.9_te_transform (outputs [1, 80, 80, 3])
   CPU: Passthrough = a name with spaces (outputs [1, 160, 1, 3])
   CPU: N/A
NPU operators = 2 (96.7%)
   NPU: Conv2D = input.11_te_transform (outputs [1, 40, 40, 16])
   NPU: Relu6 = input.11_te_transform (outputs [1, 40, 40, 16])
"""


def test_operators_are_counted_and_those_on_the_cpu_named():
    assert parse_operators(OPERATORS) == (
        2,
        ("Passthrough input.9_te_transform", "Passthrough a name with spaces", "N/A"),
    )


def test_nothing_printed_is_no_operator():
    assert parse_operators("") == (0, ())


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


def test_the_first_printed_schedule_is_read():
    assert parse_schedule(PRINTED) == (
        PrintedOperator((112, 112, 32), (4, 32, 16), 4, 1, (0, 32), "Single"),
        PrintedOperator((56, 56, 32), None, 2, 1, (0, 16, 32), "None"),
    )


def test_nothing_printed_is_an_empty_schedule():
    assert parse_schedule("") == ()
