"""What sampler and ledger cost per trial, against Optuna's own path in the same run.

    python tests/benchmarks/bench_overhead.py

The objective is trivial, so that the time is the machinery's: 300 parameters of 75 layers,
1,000 trials with the attributes of a real one (15 metrics and a profile of 100 layers), the
layer-wise sampler, and every ledger. What must hold is the median, as means suffer from whatever
else the machine does; both are printed. Optuna's own path is `study.ask` with `suggest`, and
`study.tell`, with its random sampler, which costs least, for fewer trials as it is slow.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from mariadb_server import mariadb_server
from postgres_server import postgres_server
from redis_server import redis_server
from servers import NoServerError

from npu_tune._optuna_compat import SearchStudy
from npu_tune.samplers import LayerwiseSampler
from npu_tune.tuning.ledger import open_ledger

LIMIT_MS = {"journal": 5.0, "sqlite": 10.0, "postgresql": 10.0, "mysql": 30.0, "redis": 10.0}
DIRECTIONS = ("minimize", "minimize")
Attributes = dict[str, Any]


def main() -> None:
    options = _options()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for kind in options.storage:
            try:
                ours, theirs = _places(kind, folder, stack)
            except NoServerError as reason:
                print(f"{kind}: left out, {reason}", file=sys.stderr)
                continue
            rows.append(_row(kind, ours, theirs, options))
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        _print(rows, options)
    sys.exit(0 if all(row["median_ms"] <= row["limit_ms"] for row in rows) else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--parameters", type=int, default=300)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--optuna-trials", type=int, default=20)
    parser.add_argument("--storage", nargs="+", choices=list(LIMIT_MS), default=list(LIMIT_MS))
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def _places(kind: str, folder: Path, stack: ExitStack) -> tuple[str, Callable[[], BaseStorage]]:
    """Where our ledger goes, and how to make Optuna's storage of the same kind."""
    if kind == "journal":
        file = str(folder / "optuna.journal")
        return str(folder / "ours.journal"), lambda: JournalStorage(JournalFileBackend(file))
    if kind == "sqlite":
        return f"sqlite:///{folder}/ours.db", lambda: RDBStorage(f"sqlite:///{folder}/optuna.db")
    if kind == "redis":
        server = stack.enter_context(redis_server())
        return f"{server}/0", lambda: JournalStorage(JournalRedisBackend(f"{server}/1"))
    if kind == "mysql":
        url = f"{stack.enter_context(mariadb_server())}/mysql"
        return url, lambda: RDBStorage(url.replace("mysql:", "mysql+pymysql:"))
    url = f"{stack.enter_context(postgres_server())}/postgres"
    return url, lambda: RDBStorage(url.replace("postgresql:", "postgresql+psycopg:"))


def _row(
    kind: str, place: str, theirs: Callable[[], BaseStorage], options: argparse.Namespace
) -> dict[str, Any]:
    distributions = _distributions(options.parameters)
    sampler, ledger = _our_trials(place, distributions, options.trials)
    start = time.perf_counter()
    with open_ledger(place, name="ours", read_only=True) as reader:
        loaded = len(reader.trials())
    load_ms = 1e3 * (time.perf_counter() - start) / loaded
    optuna_ms = _optuna_trials(theirs(), distributions, options.optuna_trials)
    last = len(sampler) // 10
    return {
        "storage": kind,
        "parameters": options.parameters,
        "trials": options.trials,
        "sampler_ms": statistics.mean(sampler),
        "sampler_last_tenth_ms": statistics.mean(sampler[-last:]),
        "ledger_ms": statistics.mean(ledger),
        "total_ms": statistics.mean(sampler) + statistics.mean(ledger),
        "median_ms": statistics.median(map(sum, zip(sampler, ledger, strict=True))),
        "limit_ms": LIMIT_MS[kind],
        "load_ms": load_ms,
        "optuna_trials": options.optuna_trials,
        "optuna_ms": optuna_ms,
    }


def _our_trials(
    place: str, distributions: dict[str, BaseDistribution], count: int
) -> tuple[list[float], list[float]]:
    """Milliseconds per trial in the sampler and in the ledger."""
    study = SearchStudy(LayerwiseSampler(seed=1), DIRECTIONS, distributions)
    attributes = _attributes()
    sampler, ledger = [], []
    with open_ledger(place, name="ours", directions=DIRECTIONS) as storage:
        for _ in range(count):
            start = time.perf_counter()
            trial = study.ask()
            asked = time.perf_counter()
            values = _objective(trial.params)
            told_from = time.perf_counter()
            trial = study.tell(
                trial, values, user_attrs=attributes, constraints={"sram_bytes": -1.0}
            )
            told = time.perf_counter()
            storage.append(trial)
            sampler.append(1e3 * (asked - start + told - told_from))
            ledger.append(1e3 * (time.perf_counter() - told))
    return sampler, ledger


def _optuna_trials(
    storage: BaseStorage, distributions: dict[str, BaseDistribution], count: int
) -> float:
    """Milliseconds per trial of Optuna's own path."""
    study = optuna.create_study(
        storage=storage,
        study_name="optuna",
        directions=DIRECTIONS,
        sampler=optuna.samplers.RandomSampler(seed=1),
    )
    attributes = _attributes()
    start = time.perf_counter()
    for _ in range(count):
        trial = study.ask(distributions)
        for key, value in attributes.items():
            trial.set_user_attr(key, value)
        trial.set_constraint("sram_bytes", -1.0)
        study.tell(trial, _objective(trial.params))
    return 1e3 * (time.perf_counter() - start) / count


def _distributions(count: int) -> dict[str, BaseDistribution]:
    kinds: dict[str, BaseDistribution] = {
        "ofm_block": IntDistribution(0, 99),
        "cascade": CategoricalDistribution((False, True)),
        "stripe": IntDistribution(0, 7),
        "buffering": CategoricalDistribution(("none", "single", "double")),
    }
    names = [(layer, knob) for layer in range(count) for knob in kinds][:count]
    return {f"layer{layer}/{knob}": kinds[knob] for layer, knob in names}


def _objective(params: dict[str, Any]) -> list[float]:
    chosen = [value for value in params.values() if isinstance(value, int)]
    return [float(sum(abs(value - 40) for value in chosen)), float(max(chosen))]


def _attributes() -> Attributes:
    profile = {f"block_{n}/conv2d": [12345 + n, 678.5, 90112, 0.731] for n in range(100)}
    metrics = {f"metric_{n}": 12345.678 * n for n in range(15)}
    changes = "; ".join(f"block_{n}/conv2d: stripes 1 -> 4" for n in range(7))
    return {
        "profile": profile,
        "origin": "sampler",
        "seconds": 0.0123,
        "changes": changes,
        **metrics,
    }


def _print(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    print(
        f"{options.parameters} parameters, {options.trials} trials; milliseconds per trial"
        f" (Optuna's own path: {options.optuna_trials} trials)"
    )
    heads = ("storage", "sampler", "ledger", "total", "median", "limit", "load", "Optuna", "ratio")
    print("".join(f"{head:>12}" for head in heads))
    for row in rows:
        figures = "".join(f"{row[f'{head.lower()}_ms']:>12.2f}" for head in heads[1:-1])
        print(f"{row['storage']:>12}{figures}{row['optuna_ms'] / row['total_ms']:>11.0f}x")


if __name__ == "__main__":
    main()
