from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_family
import pytest
from jsonschema import Draft202012Validator

from npu_tune.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[2]
SUPPORT = REPOSITORY / "tests" / "support"
SCHEMA = json.loads((REPOSITORY / "docs/schema/npu-tune-1.schema.json").read_text())


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on standard output, checked against the schema."""
        document = json.loads(self.out)
        Draft202012Validator(SCHEMA).validate(document)
        return document


@pytest.fixture
def npu_tune(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Runs a command in this process."""

    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        with warnings.catch_warnings(), pytest.raises(SystemExit) as leaving:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Ended(int(leaving.value.code or 0), out, err)

    return run


@pytest.fixture
def failing_study(npu_tune: Callable[..., Ended], here: Path) -> Callable[[int], Path]:
    """Makes a finished study some of whose trials fail, of so many evaluations."""

    def make(evaluations: int) -> Path:
        ended = npu_tune(
            "tune", "ds-cnn", "--target", "fake-failing", "--workers", 1, "--study", "s",
            "--evaluations", evaluations, "--quiet",
        )  # fmt: skip
        assert ended.code == 0, ended.err
        return here / "s"

    return make


@pytest.fixture
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that, once on the path, offers the fake targets."""
    folder = tmp_path_factory.mktemp("plugins")
    fake_family.install(folder)
    return folder


@pytest.fixture
def environment(plugins: Path) -> dict[str, str]:
    """For subprocesses that shall know the fake targets."""
    # The last one is the package under test, wherever the command was installed from.
    path = [str(plugins), str(SUPPORT), str(REPOSITORY)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


@pytest.fixture
def here(
    plugins: Path, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An empty working folder in which the fake targets are known."""
    monkeypatch.syspath_prepend(plugins)
    monkeypatch.setenv("PYTHONPATH", environment["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def script() -> list[str]:
    """The installed command, as a person would start it."""
    return [str(Path(sys.executable).with_name("npu-tune"))]


@pytest.fixture
def in_shell(
    script: list[str], environment: dict[str, str], tmp_path: Path
) -> Callable[..., Ended]:
    """Runs the installed command in a process of its own."""

    def run(*arguments: object) -> Ended:
        done = subprocess.run(
            [*script, *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run
