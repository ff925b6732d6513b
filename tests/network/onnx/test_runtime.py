from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_COUNT = """
import os
from npu_tune.network.onnx.runtime import import_onnxruntime
import_onnxruntime("A test", extra="cpu")
print(len(os.listdir("/proc/self/task")))
"""


def test_onnxruntime_neither_writes_into_the_home_folder_nor_starts_threads(tmp_path: Path):
    environment = {key: v for key, v in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", _COUNT], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == 1
    assert list(tmp_path.iterdir()) == []
