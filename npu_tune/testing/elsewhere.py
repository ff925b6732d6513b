"""What a target answers in another process."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from npu_tune.errors import EvaluationError
from npu_tune.evaluation.evaluate import quiet
from npu_tune.evaluation.pool.binding import Binding
from npu_tune.space import Configuration
from npu_tune.targets import Problem


def describe_problem(problem: Problem, configurations: Sequence[Configuration]) -> dict[str, Any]:
    """Identity, keys and metrics as JSON values; a failure stands for the metrics it prevents."""
    return {
        "identity": problem.identity.to_dict(),
        "keys": [problem.key(configuration) for configuration in configurations],
        "metrics": [_metrics(problem, configuration) for configuration in configurations],
    }


def describe_elsewhere(
    problem: Problem, configurations: Sequence[Configuration]
) -> dict[str, Any]:
    """The same of a new process, to which target and network are sent.

    Raises:
        ExecutorError: if the target cannot be sent.
        RuntimeError: if the other process cannot bind it; says why.
    """
    binding = Binding.of(problem)
    done = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import main; main()"],
        input=pickle.dumps((binding.digest, binding.payload, tuple(configurations))),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["no words"]
        raise RuntimeError(f"The other process cannot use the target: {words[-1]}.")
    described: dict[str, Any] = json.loads(done.stdout)
    return described


def main() -> None:
    """The program of the other process."""
    digest, payload, configurations = pickle.load(sys.stdin.buffer)  # noqa: S301 - from above
    with quiet(), Binding(digest, payload=payload).bind() as problem:
        described = describe_problem(problem, configurations)
    sys.stdout.write(json.dumps(described))


def _metrics(problem: Problem, configuration: Configuration) -> dict[str, float] | str:
    try:
        reported = problem.evaluate(configuration).metrics
    except EvaluationError as error:
        return f"{error.failure}: {error}"
    return {name: float(value) for name, value in reported.items()}
