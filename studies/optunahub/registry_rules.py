"""What the registry of OptunaHub asks of a package, as far as a program can tell.

After optuna/optunahub-registry: ``header_confirm.py`` (front matter), the template's sections, the
tutorial on registration (names and files), ``pyproject.toml`` (ruff and mypy), CONTRIBUTING (the MIT
licence).
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml
from gathering import PackagingError

SECTIONS = ("Abstract", "APIs", "Example")
"""Headings that a page must have; Installation and Others may be left out."""

LICENCE = "MIT License"

_ISORT = (
    "known-third-party = ['optuna'], lines-after-imports = 2, force-single-line = true,"
    " force-sort-within-sections = true, order-by-type = false"
)
RUFF = (
    *("--isolated", "--no-cache", "--config", "line-length = 99"),
    *("--config", f"lint.isort = {{{_ISORT}}}"),
    "--extend-select=I",
)
"""Options of ``ruff check``; ``ruff format`` takes all but the last."""

MYPY = (
    "--disallow-untyped-calls",
    "--disallow-untyped-defs",
    "--disallow-incomplete-defs",
    "--check-untyped-defs",
    "--warn-redundant-casts",
    "--strict-equality",
    "--extra-checks",
    "--no-implicit-reexport",
    "--ignore-missing-imports",
    "--explicit-package-bases",
    "--no-site-packages",
)
"""Options of ``mypy``; the registry checks where neither Optuna nor NumPy are installed."""


def check_package(folder: Path) -> None:
    """Checks a package.

    Raises:
        PackagingError: naming the rule that it breaks.
    """
    _require(folder.name.isidentifier(), folder, "a package's name is that of a Python module")
    for name in ("__init__.py", "README.md", "LICENSE", "example.py"):
        _require((folder / name).is_file(), folder, f"a package has a file {name}")
    page = (folder / "README.md").read_text(encoding="utf-8")
    check_front_matter(front_matter(page), folder)
    for section in SECTIONS:
        _require(f"\n## {section}\n" in page, folder, f"the page has a section {section}")
    licence = (folder / "LICENSE").read_text(encoding="utf-8")
    _require(licence.startswith(LICENCE), folder, "the licence is the MIT licence")
    _require("<" not in licence, folder, "the licence names who holds the copyright")
    _require(bool(exported(folder)), folder, "`__init__.py` lists its names in `__all__`")
    for path in folder.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        _require("npu_tune" not in text, path, "a package does not count on npu-tune")


def front_matter(page: str) -> Any:
    """The YAML between the first two lines of three dashes; None where there is none.

    Raises:
        PackagingError: where it is no YAML.
    """
    start, dashes, rest = page.partition("---\n")
    if start or not dashes:
        return None
    try:
        return yaml.safe_load(rest.partition("\n---\n")[0])
    except yaml.YAMLError as error:
        raise PackagingError(f"The front matter of a page is no YAML: {error}") from error


def check_front_matter(header: Any, folder: Path) -> None:
    """Checks the front matter of a page.

    Raises:
        PackagingError: naming the rule that it breaks.
    """
    _require(isinstance(header, dict), folder, "the page begins with a front matter")
    for key in ("author", "title", "description", "license"):
        _require(isinstance(header.get(key), str), folder, f"`{key}` is text")
    for key in ("tags", "optuna_versions"):
        values = header.get(key)
        is_texts = isinstance(values, list) and all(isinstance(value, str) for value in values)
        _require(is_texts, folder, f"`{key}` is a list of texts")
    _require("sampler" in header["tags"], folder, "the tags of a sampler name `sampler`")
    _require(header["license"] == LICENCE, folder, f"`license` is {LICENCE!r}")


def exported(folder: Path) -> list[str]:
    """The names in ``__all__`` of a package."""
    for node in ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def _require(holds: bool, where: Path, rule: str) -> None:
    if not holds:
        raise PackagingError(f"{where} breaks a rule of the registry: {rule}.")
