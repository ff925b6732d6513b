"""Checks made packages as OptunaHub's registry and its users would.

    python studies/optunahub/check_packages.py FOLDER

Each package of FOLDER is held against the registry's rules and its settings of ruff and mypy; then
its example is run with a few trials, in a process in which npu-tune cannot be imported.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from gathering import PackagingError
from registry_rules import MYPY, RUFF, check_package

_ALONE = """
import runpy, sys
sys.modules["npu_tune"] = None  # an import of it fails from now on
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run_alone(script: Path, arguments: Sequence[str] = ()) -> str:
    """Runs a script where npu-tune cannot be imported; returns what it prints.

    Raises:
        PackagingError: with what it said, where it fails.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    words = [sys.executable, "-I", "-c", _ALONE, str(script), *arguments]
    return _run(words, environment)


def check_style(folder: Path) -> None:
    """Runs ruff and mypy with the registry's settings.

    Raises:
        PackagingError: with their complaints.
    """
    _run([sys.executable, "-m", "ruff", "check", *RUFF, str(folder)])
    _run([sys.executable, "-m", "ruff", "format", "--check", *RUFF[:-1], str(folder)])
    _run(
        [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir=/dev/null", *MYPY, "."],
        cwd=folder,
    )


def _run(
    words: Sequence[str], environment: dict[str, str] | None = None, *, cwd: Path | None = None
) -> str:
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env=environment, cwd=cwd
    )
    if done.returncode:
        raise PackagingError(f"{' '.join(words[1:4])} fails:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description="Checks made packages for OptunaHub.")
    parser.add_argument("folder", type=Path, help="a registry: package/samplers/...")
    packages = sorted((parser.parse_args().folder / "package" / "samplers").glob("*"))
    if not packages:
        raise SystemExit("Error: there is no package/samplers/<name>; make the packages first.")
    try:
        for package in packages:
            check_package(package)
            print(run_alone(package / "example.py", ["--trials", "20", "--seeds", "1"]), end="")
        check_style(packages[0].parents[1])
    except PackagingError as error:
        raise SystemExit(f"Error: {error}") from error
    print(f"{len(packages)} packages hold to the rules that are known here.")


if __name__ == "__main__":
    main()
