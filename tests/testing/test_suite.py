"""Each fault of a target is found by the tests that are about it, and by no others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import broken_targets
import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
SUPPORT = HERE.parent / "support"


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """Names of failed tests by target, of a run of the suite on all broken targets."""
    folder = tmp_path_factory.mktemp("run")
    info = folder / "lenient-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lenient\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[npu_tune.targets]\nlenient = broken_targets:LenientFamily\n"
    )
    path = [str(folder), str(HERE), str(SUPPORT), os.environ.get("PYTHONPATH", "")]
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, f"--rootdir={folder}", "--junitxml=report.xml", HERE / "broken_targets.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    found = {}
    report = ET.parse(folder / "report.xml")  # noqa: S314 - written by the line above
    for case in report.iter("testcase"):
        target = case.get("classname").rpartition(".Test")[2]
        names = found.setdefault(target, set())
        if case.find("failure") is not None or case.find("error") is not None:
            names.add(case.get("name"))
    return found


@pytest.mark.parametrize("target", sorted(broken_targets.FAULTS))
def test_a_fault_fails_the_tests_that_are_about_it_alone(failed, target):
    assert failed[target] == set(broken_targets.FAULTS[target])


def test_every_test_of_the_suite_finds_some_fault():
    from npu_tune.testing.suite import TargetSuite

    tests = {name for name in dir(TargetSuite) if name.startswith("test_")}
    caught = {test for names in broken_targets.FAULTS.values() for test in names}
    assert tests - caught == set()
