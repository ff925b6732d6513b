"""Prints what the vendor's network-wide settings reach, and how far below that the recorded runs are.

`python studies/layerwise-paper/network_wide.py` takes the networks of deployable.toml: the best of all
settings of the vendor's compiler, found by exhausting them, and the cost of the recorded runs of
`profile`, median over seeds. Costs are relative to the default.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from bounds import WEIGHTS  # noqa: E402 -- stands beside this file
from cells import markdown, percent  # noqa: E402 -- stands in the folder above
from figures import replayed  # noqa: E402 -- the same
from study_tables import OURS  # noqa: E402 -- the same

from npu_tune import api  # noqa: E402

HEADER = ("network", "best network-wide setting", f"`{OURS}`", "lower by")


def best_setting(name: str) -> float:
    """The cost of a network's best network-wide setting; the default's, 1, if there is no better."""
    with api.bind(name, "neural-art-stm32n6", options={"deployable": True}) as problem:
        default = problem.evaluate(problem.space.default).metrics

        def cost(metrics: Mapping[str, float]) -> float:
            return sum(w * metrics[metric] / default[metric] for metric, w in WEIGHTS.items())

        return min([1.0, *map(cost, problem.rivals(cost).values())])


def recorded() -> dict[str, float]:
    """By network the recorded cost at the end."""
    problems = replayed(FOLDER / "deployable.toml").problems
    return {
        name.network: median(curve.best[OURS][:, -1].tolist()) for name, curve in problems.items()
    }


def table(names: Sequence[str], costs: Mapping[str, float]) -> str:
    """Networks down, and their medians last."""
    pairs = [(best_setting(name), costs[name]) for name in names]
    lower = [1 - own / setting for setting, own in pairs]
    middle = (median(each) for each in (*zip(*pairs, strict=True), lower))
    rows = [(*pair, gain) for pair, gain in zip(pairs, lower, strict=True)]
    return markdown(
        HEADER,
        [
            [name, f"{setting:.3f}", f"{own:.3f}", percent(gain, 1)]
            for name, (setting, own, gain) in zip((*names, "median"), (*rows, middle), strict=True)
        ],
    )


def main(given: Sequence[str] | None = None) -> int:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args(given)
    costs = recorded()
    print(table(list(costs), costs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
