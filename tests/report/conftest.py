"""Studies of real networks that several tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

import npu_tune
from npu_tune.tuning import StudyResult


@pytest.fixture(scope="session")
def resnet8_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyResult]:
    """A small finished study on Ethos-U, and its folder."""
    return _tuned("resnet8", tmp_path_factory, evaluations=40)


@pytest.fixture(scope="session")
def mobilenet_study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyResult]:
    """A finished study of a network whose last layer takes most of the time, and its folder."""
    return _tuned("mobilenet-v2-0.35-96", tmp_path_factory, evaluations=60)


def _tuned(
    model: str, factory: pytest.TempPathFactory, *, evaluations: int
) -> tuple[Path, StudyResult]:
    folder = factory.mktemp("studies") / model
    result = npu_tune.tune(
        model, "ethos-u55-128", study=folder, evaluations=evaluations, executor="inline"
    )
    return folder, result
