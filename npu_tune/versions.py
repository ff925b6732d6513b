"""Versions of npu-tune, and of what decides its figures."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from npu_tune import __version__

COMPILERS = ("ethos-u-vela", "onnxruntime", "ncnn")
"""Packages that compile or run networks; each is part of an extra."""

LIBRARIES = ("optuna", "ray", "onnx", "numpy", "pandas")


def installed_versions() -> Mapping[str, str | None]:
    """By name, without importing anything; None for what is not installed."""
    return {
        "npu-tune": __version__,
        "Python": platform.python_version(),
        **{name: _installed(name) for name in (*COMPILERS, *LIBRARIES)},
    }


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
