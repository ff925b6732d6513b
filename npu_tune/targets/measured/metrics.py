"""The numbers that measured targets report."""

from __future__ import annotations

from npu_tune.targets.metrics import Goal, Kind, Metric, ProfileSchema

RATIO = "latency_ratio"
LATENCY = "latency_ms"
PEAK_MEMORY = "peak_memory_bytes"
RUN_MEMORY = "run_memory_bytes"
SNR = "snr_db"
ACCURACY = "accuracy"
ACCURACY_DROP = "accuracy_drop"

METRICS_VERSION = "2"
"""Raised whenever the same configuration gets other metrics or a knob another meaning."""

PROFILE = ProfileSchema(cost="ms", unit="ms")
"""Beside its time, a row says what a layer alone would add to the noise (``noise``, relative to
the signal) and what its constants take (``bytes``)."""


def measured_metrics(machine: str, *, labelled: bool) -> tuple[Metric, ...]:
    """Metrics of a target on a machine.

    Args:
        machine: its name.
        labelled: True where there are labels.
    """
    every = [
        Metric(
            RATIO,
            "",
            Kind.MEASURED,
            f"time of an inference by that of the float default, in turns with it; on {machine}",
            goal=Goal.MINIMIZE,
            objective=True,
            spread=0.01,
        ),
        Metric(
            LATENCY,
            "ms",
            Kind.MEASURED,
            f"time of an inference as it was on {machine}; drifts with the machine",
            goal=Goal.MINIMIZE,
            spread=0.1,
        ),
        Metric(
            PEAK_MEMORY,
            "bytes",
            Kind.MEASURED,
            "most memory while loading and running, above what the process held before",
            goal=Goal.MINIMIZE,
            spread=0.02,
        ),
        Metric(
            RUN_MEMORY,
            "bytes",
            Kind.MEASURED,
            "most memory while running, above what the process held before loading",
            goal=Goal.MINIMIZE,
            spread=0.02,
        ),
        Metric(
            SNR,
            "dB",
            Kind.MEASURED,
            "signal to noise of the worst output against float32",
            goal=Goal.MAXIMIZE,
        ),
    ]
    if labelled:
        every += [
            Metric(
                ACCURACY,
                "",
                Kind.MEASURED,
                "share of the labelled samples that come out right",
                goal=Goal.MAXIMIZE,
            ),
            Metric(
                ACCURACY_DROP,
                "",
                Kind.MEASURED,
                "accuracy that is lost against float32",
                goal=Goal.MINIMIZE,
            ),
        ]
    return tuple(every)
