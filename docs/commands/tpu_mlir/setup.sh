#!/bin/sh
# Sets up Sophgo's compiler TPU-MLIR in a virtual environment of its own: setup.sh FOLDER
# It needs Python 3.10 (or its path in PYTHON310), about 2 GB and pip. Running it again is harmless.
set -eu

if [ $# -ne 1 ]; then
    echo "usage: $0 FOLDER" >&2
    exit 2
fi
folder=$1

python=${PYTHON310:-python3.10}
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 10))' 2>/dev/null; then
    echo "TPU-MLIR needs Python 3.10, and '$python' is not it: install it, or set PYTHON310." >&2
    exit 1
fi

[ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
pip="$folder/bin/python -m pip install --quiet --disable-pip-version-check"
# Without its declared dependencies: those include PyTorch, of which nothing is needed here.
$pip --no-deps tpu_mlir==1.30.2
$pip setuptools==65.5.0 numpy==1.24.3 scipy==1.11.1 tqdm==4.70.1 Pillow==10.0.0 plotly==7.1.0 \
    opencv-python-headless==4.8.0.76 protobuf==3.20.3 graphviz==0.21 pycocotools==2.0.11 \
    scikit-image==0.21.0 scikit-learn==1.7.2 pandas==2.0.3 transformers==5.20.2 onnx==1.14.1 \
    onnxruntime==1.16.3 onnxruntime_extensions==0.14.0 onnxsim==0.4.17 six==1.17.0 psutil==7.2.2

packages=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# The package brings libraries that are older than the system's and would hide them.
third_party=$packages/tpu_mlir/lib/third_party
aside=$packages/tpu_mlir/lib/shadowing
mkdir -p "$aside"
for name in libc.so.6 libm.so.6 libpthread.so.0 libstdc++.so.6 libgcc_s.so.1 libz.so.1 liblzma.so.5; do
    if [ -e "$third_party/$name" ]; then mv "$third_party/$name" "$aside/$name"; fi
done

# It imports torch wherever it reads ONNX and calibrates, and uses nothing of it there.
if [ ! -e "$packages/torch/version.py" ]; then # which PyTorch itself has
    mkdir -p "$packages/torch"
    cat >"$packages/torch/__init__.py" <<'STUB'
"""Stands in for PyTorch, which TPU-MLIR imports and does not use for ONNX networks."""


class Tensor:
    """Of which there is none."""


class autograd:
    """Whose class onnxruntime_extensions derives one of its own from."""

    class Function:
        """That is never called."""


class nn:
    """Likewise."""

    class Module:
        """That is never made."""


def __getattr__(name):
    raise AttributeError(f"torch.{name}: PyTorch is not installed, this is a stand-in")
STUB
fi

for tool in model_transform run_calibration model_deploy; do
    (cd "$folder" && bin/$tool --help >/dev/null) || {
        echo "$tool does not start in $folder." >&2
        exit 1
    }
done
echo "TPU-MLIR is ready: export TPU_MLIR_HOME=$(cd "$folder" && pwd)"
