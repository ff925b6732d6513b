from __future__ import annotations

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


def test_the_first_printed_schedule_is_read():
    assert parse_schedule(PRINTED) == (
        PrintedOperator((112, 112, 32), (4, 32, 16), 4, 1, (0, 32), "Single", "PartKernel"),
        PrintedOperator((56, 56, 32), None, 2, 1, (0, 16, 32), "None"),
    )


def test_nothing_printed_is_an_empty_schedule():
    assert parse_schedule("") == ()
