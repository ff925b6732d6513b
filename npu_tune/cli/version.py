"""What ``npu-tune --version`` says: of npu-tune, and of what decides its figures."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import click

from npu_tune import __version__

COMPILERS = ("ethos-u-vela", "onnxruntime", "ncnn")
"""Packages that compile or run networks; each is part of an extra."""

LIBRARIES = ("optuna", "ray", "onnx", "numpy", "pandas")


def print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    """Prints the versions and leaves, without importing what they are of."""
    if not value or context.resilient_parsing:
        return
    click.echo(f"npu-tune {__version__}")
    click.echo(f"  Python {platform.python_version()}")
    for name in (*COMPILERS, *LIBRARIES):
        click.echo(f"  {name} {_installed(name)}")
    context.exit()


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
