"""Makes the packages for OptunaHub out of the samplers of npu-tune.

    python studies/optunahub/make_packages.py FOLDER --author NAME

FOLDER then has the layout of OptunaHub's registry: ``package/samplers/<name>``.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from gathering import SAMPLERS, Module, PackagingError, Source, standalone_text
from registry_rules import RUFF, check_package

HERE = Path(__file__).resolve().parent
NOBODY = "<COPYRIGHT HOLDER>"


@dataclass(frozen=True)
class HubPackage:
    """What is made of one sampler.

    Args:
        module: that defines it, below ``npu_tune.samplers``; also the package's name.
        summary: first sentence of the package's docstring.
        exports: names that users of the package need.
    """

    module: str
    summary: str
    exports: tuple[str, ...]


PACKAGES = (
    HubPackage(
        "layerwise",
        "A greedy walk over layers of parameters that keeps several solutions.",
        ("LayerwiseSampler", "LayerwiseSettings", "StepSettings"),
    ),
    HubPackage(
        "layer_profile",
        "A sampler that learns from what every layer cost in every trial.",
        ("LayerProfileSampler", "LayerProfileSettings", "LayerwiseSettings", "StepSettings"),
    ),
)


def make_packages(folder: Path, *, author: str, root: Path = HERE.parents[1]) -> list[Path]:
    """Writes all packages; returns their folders.

    Args:
        folder: that becomes a registry; what it holds of these packages must not exist yet.
        author: who holds the copyright, for the front matter and the licence.
        root: the clone whose samplers are taken.

    Raises:
        PackagingError: where a module needs more than a package can have, or the result breaks
            a rule of the registry.
    """
    made = [folder / "package" / "samplers" / package.module for package in PACKAGES]
    for target in made:
        if target.exists():
            raise PackagingError(f"{target} exists already; remove it or name another folder.")
    for package, target in zip(PACKAGES, made, strict=True):
        _write(package, target, author=author, root=root)
    _format(made)
    for target in made:
        check_package(target)
    return made


def _write(package: HubPackage, target: Path, *, author: str, root: Path) -> None:
    modules = Source(root).gather(f"{SAMPLERS}.{package.module}")
    for module in modules:
        _write_text(target / module.place, standalone_text(module))
    _write_text(target / "__init__.py", _front_door(package, modules, _version(root)))
    sources = HERE / package.module
    _write_text(target / "example.py", (sources / "example.py").read_text(encoding="utf-8"))
    page, licence = (sources / "README.md", HERE / "mit_license.txt")
    for name, source in (("README.md", page), ("LICENSE", licence)):
        text = source.read_text(encoding="utf-8")
        if text.count(NOBODY) != 1:
            raise PackagingError(f"{source} must say {NOBODY} once, where the author comes.")
        _write_text(target / name, text.replace(NOBODY, author))


def _front_door(package: HubPackage, modules: list[Module], version: str) -> str:
    """The text of a package's ``__init__.py``."""
    homes = {}
    for module in modules:
        for node in ast.parse(module.text).body:
            if isinstance(node, ast.ClassDef):
                homes[node.name] = module.name.removeprefix(f"{SAMPLERS}.")
    missing = [name for name in package.exports if name not in homes]
    if missing:
        raise PackagingError(f"No module of {package.module} defines {missing[0]}.")
    imports = "\n".join(f"from .{homes[name]} import {name}" for name in package.exports)
    return (
        f'"""{package.summary}\n\n'
        f"Made from npu-tune {version} by its studies/optunahub/make_packages.py; changes belong"
        f' there.\n"""\n\n{imports}\n\n__all__ = {list(package.exports)!r}\n'
    )


def _version(root: Path) -> str:
    """The version of npu-tune in a clone."""
    text = (root / "npu_tune" / "__init__.py").read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            return str(ast.literal_eval(node.value))
    raise PackagingError(f"There is no version in {root / 'npu_tune' / '__init__.py'}.")


def _format(folders: list[Path]) -> None:
    """Brings the Python files into the registry's format."""
    for command in (["check", "--fix", "--quiet", *RUFF], ["format", "--quiet", *RUFF[:-1]]):
        words = [sys.executable, "-m", "ruff", *command, *map(str, folders)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PackagingError(f"ruff refuses the packages:\n{done.stdout}{done.stderr}")


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Makes the packages for OptunaHub.")
    parser.add_argument("folder", type=Path, help="becomes a registry: package/samplers/...")
    parser.add_argument(
        "--author",
        default="The authors of npu-tune",
        help="who holds the copyright and gives the packages under the MIT licence",
    )
    arguments = parser.parse_args()
    try:
        made = make_packages(arguments.folder, author=arguments.author)
    except PackagingError as error:
        raise SystemExit(f"Error: {error}") from error
    for target in made:
        files = [path for path in target.rglob("*.py") if path.name != "example.py"]
        lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
        print(f"{target}: {len(files)} modules, {lines} lines")


if __name__ == "__main__":
    main()
