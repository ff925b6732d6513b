"""A target and a network as bytes that any worker on any machine can load."""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path
from types import MappingProxyType
from typing import Any

from npu_tune.errors import ExecutorError
from npu_tune.network import Network
from npu_tune.targets import Target


def pack(target: Target, network: Network) -> bytes:
    """What a worker is started with: where modules are found, the target and the network.

    Raises:
        ExecutorError: if the target cannot be pickled.
    """
    stream = io.BytesIO()
    try:
        _Pickler(stream, protocol=pickle.HIGHEST_PROTOCOL).dump((target, network))
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ExecutorError(
            f"The target {target.name!r} cannot be sent to another process: {error}.",
            remedy="Make it a picklable value, or use the inline executor.",
        ) from error
    path = [str(Path(entry).absolute()) for entry in sys.path]
    return pickle.dumps((path, stream.getvalue()))


def unpack(payload: bytes) -> tuple[Target, Network]:
    """The reverse of :func:`pack`, in another process."""
    path, blob = pickle.loads(payload)  # noqa: S301 - made by `pack`
    sys.path[:] = [*path, *(entry for entry in sys.path if entry not in path)]
    loaded: tuple[Target, Network] = pickle.loads(blob)  # noqa: S301 - made by `pack`
    return loaded


class _Pickler(pickle.Pickler):
    """Pickles read-only mappings too, which Python's own does not."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, MappingProxyType):
            return _read_only, (dict(value),)
        return NotImplemented


def _read_only(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)
