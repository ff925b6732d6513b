"""The GPU that ncnn uses."""

from __future__ import annotations

import functools
import subprocess
import sys

from npu_tune.errors import TargetError
from npu_tune.targets.ncnn.engine import import_ncnn

_PROBE = """
import ncnn
if ncnn.get_gpu_count() > 0:
    info = ncnn.get_gpu_info(ncnn.get_default_gpu_index())
    print("device:", info.device_name(), "driver", hex(info.driver_version()))
"""

_LONGEST_S = 60.0

_REMEDY = (
    "Install a driver with Vulkan for your GPU; Debian's mesa-vulkan-drivers has one that computes "
    "on the CPU, to try it out. Or use the target cpu-ncnn."
)


@functools.cache
def gpu_name() -> str:
    """The GPU that ncnn takes by itself, with its driver; "" where there is none.

    It is asked in a process of its own: drivers write to the terminal, may crash, and do not
    survive a fork.

    Raises:
        MissingExtraError: if ncnn is not installed.
    """
    import_ncnn()
    try:
        answer = subprocess.run(
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=_LONGEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    for line in answer.stdout.splitlines():
        if line.startswith("device: "):
            return line.removeprefix("device: ").strip()
    return ""


def require_gpu() -> str:
    """The GPU's name.

    Raises:
        TargetError: if there is none.
    """
    name = gpu_name()
    if not name:
        raise TargetError("ncnn finds no GPU with Vulkan on this machine.", remedy=_REMEDY)
    return name
