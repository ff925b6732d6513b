"""What holds of the package's own files."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

import npu_tune

PACKAGE = Path(npu_tune.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES = 300

LONGER = {
    "_optuna_compat.py": "everything that a new Optuna may break stands in one place",
}


def test_a_class_name_stands_once_in_the_package():
    names = Counter(
        node.name
        for module in MODULES
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda m: str(m.relative_to(PACKAGE)))
def test_a_module_is_short_or_says_why_it_is_not(module):
    lines = len(module.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES or str(module.relative_to(PACKAGE)) in LONGER
