"""Workers and machines of a study that are lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from fake_targets import LayeredTarget, SlowTarget
from orphans import adopted_orphans
from tally import Fault, Tally
from victim import PATIENCE_S, Victim, nothing_left, scratch

from npu_tune.processes.guard import _family

_EVALUATION_S = 0.1

_WORKER = ("npu_tune.evaluation.pool.worker",)
_PROGRAMS = {
    "process": (_WORKER,),
    "ray": (_WORKER, ("ray::RayWorker", "ray::npu-tune", "ray::evaluate")),
}
"""What the command lines of workers contain, and those of the actors that hold them."""


def worker_faults() -> Iterator[Fault]:
    """Workers are killed under way, and a machine is taken from a cluster."""
    for executor in _PROGRAMS:
        inject = partial(_kill_workers, executor)
        yield Fault("a worker killed (SIGKILL)", f"journal, {executor}", inject, 20)
    yield Fault("a node removed", "journal, Ray cluster of three", _remove_nodes, 3)


def _victim(folder: Path, executor: dict[str, Any], evaluations: int) -> Victim:
    sections = {"sampler": {"name": "layerwise"}, "executor": executor}
    target = SlowTarget(LayeredTarget(), _EVALUATION_S)
    return Victim(folder, sections, target, evaluations)


def _kill_workers(executor: str, folder: Path, times: int, seed: int) -> Tally:
    chance, tally = random.Random(seed), Tally()
    # About 15 evaluations end between two kills.
    victim = _victim(folder / "study", {"kind": executor, "workers": 2}, 60 + 15 * times)
    stories = []
    with scratch() as temporary, adopted_orphans() as left:
        with victim.started() as program:
            while tally.injected < times and _goes_on(program, chance.uniform(0.7, 1.3)):
                names = chance.choice(_PROGRAMS[executor])
                workers = _workers(program.pid, names)
                if not workers or not victim.story():
                    continue
                stories.append(victim.story())
                # The oldest, so that what is tried again is not killed again: that looks like a
                # configuration that kills its worker every time.
                os.kill(workers[0], signal.SIGKILL)
                tally.injected += 1
            errors = program.communicate(timeout=PATIENCE_S)[1].decode()
        nothing_left(tally, left, temporary)
    tally.expect(program.returncode == 0, errors)
    tally.expect(tally.injected == times, f"It ended after {tally.injected} kills.")
    _check(victim, stories, tally)
    return tally


def _remove_nodes(folder: Path, times: int, seed: int) -> Tally:
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    chance, tally = random.Random(seed), Tally()
    # A lost node is noticed after a second instead of half a minute.
    watchful = {
        "health_check_initial_delay_ms": 0,
        "health_check_period_ms": 500,
        "health_check_failure_threshold": 2,
    }
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": watchful}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    stories = []
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        executor = {"kind": "ray", "workers": 2, "address": cluster.address}
        victim = _victim(folder / "study", executor, 60 + 120 * times)
        with victim.started() as program:
            while tally.injected < times and _goes_on(program, chance.uniform(3.0, 6.0)):
                if not victim.story():
                    continue
                stories.append(victim.story())
                cluster.remove_node(nodes.pop(0), allow_graceful=False)
                nodes.append(cluster.add_node(num_cpus=1))
                tally.injected += 1
            errors = program.communicate(timeout=PATIENCE_S)[1].decode()
    finally:
        cluster.shutdown()
    tally.expect(program.returncode == 0, errors)
    tally.expect(tally.injected == times, f"It ended after {tally.injected} nodes.")
    _check(victim, stories, tally)
    return tally


def _goes_on(program: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a program still runs after so long."""
    try:
        program.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def _workers(root: int, names: tuple[str, ...]) -> list[int]:
    """The descendants of a process with one of these names in their command line, oldest first."""
    found = []
    for process in _family(root):
        try:
            command = Path(f"/proc/{process.pid}/cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        # Guards have the command line of what they guard behind their own.
        if any(name in command for name in names) and "processes/guard.py" not in command:
            found.append((process.started, process.pid))
    return [pid for _, pid in sorted(found)]


def _check(victim: Victim, stories: list[list[Any]], tally: Tally) -> None:
    after = victim.story()
    for before in stories:
        tally.compare(before, after)
    # What was under way is evaluated again, once per worker that was lost with it; so is the
    # default configuration at the end of every study.
    repeated = sum(times - 1 for times in Counter(victim.evaluated()).values()) - 1
    tally.again += max(repeated - tally.injected, 0)
    failed = [trial for trial in after if trial[5] is not None]
    tally.expect(not failed, f"{len(failed)} trials failed.")
    victim.check_end(tally)
