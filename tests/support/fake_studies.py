"""Studies on fake targets, in this process or as a program that tests may kill.

As a program it takes a file with a pickled (study file's contents, target), and runs that.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

from fake_targets import LayeredTarget, fake_network

from npu_tune.tuning import StudyFile, StudyResult, parse_study, run_study

SUPPORT = Path(__file__).parent


def study_document(folder: Path, evaluations: int = 20, **sections: Any) -> dict[str, Any]:
    """The contents of a study file for a fake target; inline, random and not polished by default."""
    document: dict[str, Any] = {
        "model": {"path": "fake"},
        "target": {"name": "fake-npu"},
        "sampler": {"name": "random"},
        "executor": {"kind": "inline"},
    }
    study = {"name": "test", "folder": str(folder), "evaluations": evaluations, "polish": False}
    document |= {key: value for key, value in sections.items() if key != "study"}
    return document | {"study": study | sections.get("study", {})}


def fake_study(folder: Path, evaluations: int = 20, **sections: Any) -> StudyFile:
    return parse_study(study_document(folder, evaluations, **sections), base=folder.parent)


def run_fake(
    folder: Path,
    evaluations: int = 20,
    *,
    target: Any = None,
    network: Any = None,
    listener: Any = None,
    **sections: Any,
) -> StudyResult:
    return run_study(
        fake_study(folder, evaluations, **sections),
        network=network or fake_network(),
        target=target or LayeredTarget(),
        listener=listener,
    )


def story(result: StudyResult) -> list[tuple[Any, ...]]:
    """Everything about the trials of a study but how long they took."""
    return [
        (t.number, t.origin, t.configuration, dict(t.metrics), t.cost, t.failure, t.duplicate_of)
        for t in result.trials
    ]


def start_program(
    folder: Path, evaluations: int, *, target: Any, job: Path | None = None, **sections: Any
) -> subprocess.Popen[bytes]:
    """Runs a fake study in a process of its own, which is told by a file what to do."""
    job = job or folder.parent / f"{folder.name}.job"
    path = [str(SUPPORT), os.environ.get("PYTHONPATH")]
    job.write_bytes(pickle.dumps((study_document(folder, evaluations, **sections), target)))
    return subprocess.Popen(
        [sys.executable, __file__, str(job)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
    )


def main() -> None:
    document, target = pickle.loads(Path(sys.argv[1]).read_bytes())  # noqa: S301
    study = parse_study(document, base=Path.cwd())
    result = run_study(study, network=fake_network(), target=target)
    print(result.stopped)


if __name__ == "__main__":
    main()
