from __future__ import annotations

from npu_tune.targets.ethos_u.cpp_core import PrintedOperator, parse_schedule

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


def test_the_first_printed_schedule_is_read():
    assert parse_schedule(PRINTED) == (
        PrintedOperator((112, 112, 32), (4, 32, 16), 4, 1, (0, 32), "Single"),
        PrintedOperator((56, 56, 32), None, 2, 1, (0, 16, 32), "None"),
    )


def test_nothing_printed_is_an_empty_schedule():
    assert parse_schedule("") == ()
