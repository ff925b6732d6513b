"""What is published: the wheel, the source archive, and types for whoever uses the package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

import npu_tune

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "npu_tune"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """The wheel, built out of the source archive, and that archive."""
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (wheel,), (archive,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, archive


@pytest.fixture(scope="module")
def wheel_names(built) -> set[str]:
    with zipfile.ZipFile(built[0]) as wheel:
        return set(wheel.namelist())


def interpreter(folder: Path, wheel: Path, *others: str) -> Path:
    """An interpreter that has the wheel, and what lies in other folders."""
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    shutil.unpack_archive(wheel, site, "zip")
    (site / "others.pth").write_text("".join(f"{each}\n" for each in others))
    return folder / "bin" / "python"


def run(python: Path, *arguments: object, cwd: Path) -> str:
    """What a program prints on standard output, away from this checkout."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MYPYPATH")}
    command = [python, *map(str, arguments)]
    ended = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_package_index_takes_both(built):
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, built)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_wheel_holds_every_file_of_the_package_and_its_licence(wheel_names):
    package = {
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert package <= wheel_names
    assert "npu_tune/py.typed" in wheel_names
    assert any(name.startswith("npu_tune/targets/neural_art/hardware/data/") for name in package)
    assert f"npu_tune-{npu_tune.__version__}.dist-info/licenses/LICENSE" in wheel_names


def test_the_wheel_holds_nothing_else(wheel_names):
    roots = {name.split("/")[0] for name in wheel_names}
    assert roots == {"npu_tune", f"npu_tune-{npu_tune.__version__}.dist-info"}


def test_the_wheel_offers_the_command_and_the_targets(built, wheel_names):
    (name,) = (each for each in wheel_names if each.endswith("/entry_points.txt"))
    parser = ConfigParser(delimiters=("=",))
    parser.optionxform = str
    with zipfile.ZipFile(built[0]) as wheel:
        parser.read_string(wheel.read(name).decode())
    assert dict(parser["console_scripts"]) == {"npu-tune": "npu_tune.cli.main:main"}
    assert set(parser["npu_tune.targets"]) == {
        "command", "cpu-onnxruntime", "ethos-u", "ncnn", "neural-art",
    }  # fmt: skip


def test_the_source_archive_holds_what_its_tests_need(built):
    with tarfile.open(built[1]) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    # A checkout knows what belongs to it; where there is none, the tests run from the archive.
    wanted = set(filter(None, listed.stdout.split("\0"))) or {
        "tests/conftest.py",
        "constraints.txt",
    }
    assert wanted - names - {".gitignore"} == set()


def test_the_installed_package_is_the_one_of_the_wheel_and_finds_its_hardware(built, tmp_path):
    python = interpreter(tmp_path / "environment", built[0], sysconfig.get_path("purelib"))
    printed = run(
        python, "-c", "import npu_tune; print(npu_tune.__file__);"
        "print(npu_tune.space('ds-cnn', 'neural-art-stm32n6').layers[:1])", cwd=tmp_path,
    )  # fmt: skip
    assert str(python.parents[1]) in printed


def test_a_strict_type_checker_finds_the_types_of_the_front_door(built, tmp_path):
    # Without the packages that it needs, which would take most of a minute to check.
    python = interpreter(tmp_path / "environment", built[0])
    script = tmp_path / "mine.py"
    script.write_text(
        "import npu_tune\n\n"
        'result = npu_tune.tune("resnet8", "ethos-u55-128", evaluations=20)\n'
        "assert result.best is not None\n"
        "reveal_type(result.best.metrics)\n"
        'reveal_type(npu_tune.export("runs/mine", "out").files)\n'
    )
    mypy = ["-m", "mypy", "--strict", "--python-executable", python, "--cache-dir", tmp_path / "c"]
    printed = run(Path(sys.executable), *mypy, script, cwd=tmp_path)
    assert 'Mapping[str, float]"' in printed.replace("builtins.", "")
    assert 'Mapping[str, pathlib.Path]"' in printed.replace("builtins.", "")
