"""A small finished study, made by hand, for whatever reads studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from npu_tune.space import Configuration
from npu_tune.targets import Goal, Identity, Kind, Metric, ProfileSchema
from npu_tune.tuning.objective import MINIMIZE, Objective
from npu_tune.tuning.records import StudyResult, TrialRecord
from npu_tune.tuning.trial import BASELINE, CONFIRMATION, REFERENCE, SAMPLER

METRICS = (
    Metric("cycles", "cycles", Kind.ESTIMATED, "of the whole network"),
    Metric("sram_bytes", "bytes", Kind.ESTIMATED, "peak"),
    Metric("npu_share", "", Kind.ESTIMATED),
)
DEFAULT = Configuration.of(
    {"network/strategy": "Performance", "conv/ofm_block": "8x8x16", "pool/ofm_block": "4x4x8"}
)


def objective_of(*names: str, **more: Any) -> Objective:
    """Equal weights, everything minimised unless told otherwise, no limits."""
    values = {
        "weights": dict.fromkeys(names, 1.0 / len(names)),
        "directions": dict.fromkeys(names, str(MINIMIZE)),
        "limits": {},
    }
    return Objective(**values | more)


def trial(number: int, cycles: float, sram_kib: float, **changes: str) -> TrialRecord:
    """An evaluated trial; ``changes`` are values by ``layer__knob``."""
    values = {name.replace("__", "/"): value for name, value in changes.items()}
    return TrialRecord(
        number=number,
        configuration=DEFAULT.replace(values),
        metrics={"cycles": cycles, "sram_bytes": sram_kib * 1024, "npu_share": 1.0},
        cost=0.5 * cycles / 1000 + 0.5 * sram_kib / 100,
        origin="baseline" if number == 0 else "sampler",
        profile={"conv": {"cycles": cycles - 100}, "pool": {"cycles": 100.0}},
        seconds=0.25,
    )


def study_result(*extra: TrialRecord) -> StudyResult:
    """A study of eight trials: a front of three, a failure, a duplicate, a dominated trial."""
    failed = TrialRecord(
        number=5,
        configuration=DEFAULT.replace({"pool/ofm_block": "16x16x8"}),
        failure="compiler-error",
        message="block_config does not fit",
    )
    return StudyResult(
        name="tiny-study",
        model="tiny",
        identity=Identity("0" * 64, "toy-1", {"compiler": "toy 1.0"}),
        metrics=METRICS,
        objective=objective_of("cycles", "sram_bytes"),
        default=DEFAULT,
        trials=(
            trial(0, 1000, 100),
            trial(1, 800, 100, conv__ofm_block="16x16x16"),
            trial(2, 850, 60, conv__ofm_block="4x4x16", network__strategy="Size"),
            trial(3, 1100, 55, network__strategy="Size"),
            trial(4, 1200, 120, pool__ofm_block="2x2x8"),
            failed,
            replace(trial(6, 1000, 100), duplicate_of=0, seconds=0.0),
            trial(7, 900, 90, pool__ofm_block="8x8x8"),
            *extra,
        ),
        references={"other core": {"cycles": 820.0, "sram_bytes": 100.0 * 1024}},
        evaluations_planned=10,
    )


def infeasible_result() -> StudyResult:
    """The same study under a limit that no trial meets."""
    result = study_result()
    limit = 50 * 1024
    return replace(
        result,
        objective=replace(result.objective, limits={"sram_bytes": limit}),
        trials=tuple(
            replace(t, violations={"sram_bytes": t.metrics["sram_bytes"] - limit})
            if t.failure is None
            else t
            for t in result.trials
        ),
    )


def full_cycles_result() -> StudyResult:
    """The same study searched by cycles with what the vendor's estimate leaves out."""
    result = study_result()

    def with_full(metrics: Mapping[str, float]) -> dict[str, float]:
        return {**metrics, "full_cycles": metrics["cycles"] + 50.0} if metrics else {}

    full = Metric(
        "full_cycles", "cycles", Kind.ESTIMATED, "cycles and what is left out", stated="cycles"
    )
    return replace(
        result,
        metrics=(full, *METRICS),
        objective=objective_of("full_cycles", "sram_bytes"),
        trials=tuple(replace(t, metrics=with_full(t.metrics)) for t in result.trials),
        references={"other core": with_full({"cycles": 900.0, "sram_bytes": 100.0 * 1024})},
    )


def measured_result(
    candidate_ms: Sequence[float] = (8.0, 8.1, 7.9, 8.05, 7.95, 8.0), **references: float
) -> StudyResult:
    """A study of a problem whose evaluations differ, whose best was evaluated several times.

    Args:
        candidate_ms: the evaluations that confirm the best, each beside one of the baseline.
        references: latency by label.
    """
    default_ms = (10.0, 10.1, 9.9, 10.05, 9.95, 10.0)
    chosen, other = {"conv/ofm_block": "4x4x16"}, {"pool/ofm_block": "8x8x8"}
    rows = [({}, 10.02, BASELINE), (chosen, 7.7, SAMPLER), (other, 8.3, SAMPLER)]
    for ours, theirs in zip(candidate_ms, default_ms, strict=False):
        rows += [({}, theirs, REFERENCE), (chosen, ours, CONFIRMATION)]
    latency = Metric(
        "latency_ms", "ms", Kind.MEASURED, "of one inference", Goal.MINIMIZE, spread=0.01
    )
    return replace(
        study_result(),
        metrics=(latency,),
        objective=objective_of("latency_ms"),
        trials=tuple(
            TrialRecord(
                number=number,
                configuration=DEFAULT.replace(changes),
                metrics={"latency_ms": ms},
                cost=ms / 10.0,
                origin=origin,
                profile={"conv": {"us": 900 * ms}, "pool": {"us": 100 * ms}},
                sample=sum(row[0] == changes for row in rows[:number]),
            )
            for number, (changes, ms, origin) in enumerate(rows)
        ),
        references={label: {"latency_ms": ms} for label, ms in references.items()},
        evaluations_planned=len(rows),
        profile=ProfileSchema("us", "us"),
        deterministic=False,
    )
