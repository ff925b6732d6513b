from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_family
import pytest

from npu_tune.compare import ComparisonFile, parse_comparison


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder in which the fake targets are known."""
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    fake_family.install(plugins)
    monkeypatch.syspath_prepend(plugins)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def comparison(here: Path) -> Callable[..., ComparisonFile]:
    """A small comparison on fake targets; arguments replace whole tables."""

    def make(**tables: Any) -> ComparisonFile:
        document = {
            "compare": {"evaluations": 8, "seeds": 2, "folder": "kept"},
            "network": [{"path": "ds-cnn", "label": "net"}],
            "target": [{"name": "fake-npu"}],
            "sampler": [{"name": "random"}, {"name": "layerwise"}],
            "executor": {"kind": "inline"},
        }
        return parse_comparison(document | tables, base=here, name="small")

    return make
