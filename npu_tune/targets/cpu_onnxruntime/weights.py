"""The file beside a model that holds its weights."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from npu_tune.closing import Closing
from npu_tune.network.onnx.graph import Array

if TYPE_CHECKING:
    import onnx

WEIGHTS = "model.weights"

_LEAST_BYTES = 1024
"""Of a constant that is worth a page of its own; smaller ones stand in the model itself."""

_PAGE_BYTES = 4096
"""Files are mapped into memory by pages."""


class WeightsFile(Closing):
    """Takes constants; the file is there if one of them is of some size.

    Args:
        path: of the file, beside the model.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[bytes] | None = None

    def add(self, name: str, value: Array) -> onnx.TensorProto:
        """Writes a constant where it belongs, and says where that is."""
        import onnx  # noqa: PLC0415 - heavy

        plain = np.asarray(value, order="C")
        if plain.nbytes < _LEAST_BYTES:
            return onnx.numpy_helper.from_array(plain, name)
        if self._stream is None:
            self._stream = self._path.open("wb")
        offset = -(-self._stream.tell() // _PAGE_BYTES) * _PAGE_BYTES
        self._stream.seek(offset)
        self._stream.write(plain.data)
        tensor = onnx.TensorProto(
            name=name,
            dims=plain.shape,
            data_type=onnx.helper.np_dtype_to_tensor_dtype(plain.dtype),
            data_location=onnx.TensorProto.EXTERNAL,
        )
        where = {"location": self._path.name, "offset": offset, "length": plain.nbytes}
        for key, entry in where.items():
            tensor.external_data.add(key=key, value=str(entry))
        return tensor

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
