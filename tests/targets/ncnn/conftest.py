"""What the tests of ncnn share."""

from __future__ import annotations

import pytest

from npu_tune.targets.ncnn.device import gpu_name


@pytest.fixture(scope="session")
def gpu() -> str:
    """The name of the GPU; one in software will do."""
    name = gpu_name()
    if not name:
        pytest.skip("there is no GPU with Vulkan (Debian: mesa-vulkan-drivers)")
    return name
