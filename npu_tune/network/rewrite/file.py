"""Rewrites a model file by a configuration file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from npu_tune.errors import ModelFormatError, UsageError
from npu_tune.files import storage_errors, write_whole
from npu_tune.network.load import is_built_in, load_network
from npu_tune.network.macs import network_macs
from npu_tune.network.model import Network
from npu_tune.network.read import network_from_bytes
from npu_tune.network.rewrite.compare import DEFAULT_SAMPLES, Agreement, compare_models
from npu_tune.network.rewrite.plan import RewritePlan, read_plan
from npu_tune.network.rewrite.rewriting import rewrite_model
from npu_tune.network.zoo import zoo_network
from npu_tune.validation import key_name, sentence


@dataclass(frozen=True)
class RewrittenFile:
    """A file that was rewritten.

    Args:
        source: the network that was read.
        network: the network that was written.
        plan: by which.
        agreement: how their outputs compare.
        macs: multiply-accumulates of both, which rows that are computed twice add to.
    """

    source: Network
    network: Network
    plan: RewritePlan
    agreement: Agreement
    macs: tuple[int, int]


def rewrite_file(
    model: str | os.PathLike[str],
    configuration: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    force: bool = False,
    samples: int = DEFAULT_SAMPLES,
) -> RewrittenFile:
    """Rewrites an ONNX file, compares the result with it, and writes it if they agree.

    Args:
        model: the file, or the name of a built-in network, which is taken as float ONNX.
        configuration: file that :func:`.plan.read_plan` reads.
        out: file to write.
        force: overwrite another file there.
        samples: number of runs by which they are compared.

    Raises:
        ModelError: if the file cannot be read or rewritten, or the result differs.
        StorageError: if it cannot be written.
        UsageError: if the configuration makes no sense, or a file would be overwritten.
    """
    import onnx  # noqa: PLC0415 - heavy

    path = Path(out)
    _require_free(path, model, force=force)
    plan = read_plan(configuration)
    source = _onnx_network(os.fspath(model))
    original = onnx.load_model_from_string(source.model_bytes)
    rewritten = rewrite_model(original, plan, name=source.name)
    agreement = compare_models(original, rewritten, samples=samples, name=source.name)
    content = rewritten.SerializeToString(deterministic=True)
    network = network_from_bytes(content, "onnx", path.stem)
    with storage_errors("The file", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    macs = (network_macs(source), network_macs(network))
    return RewrittenFile(source, network, plan, agreement, macs)


def _require_free(path: Path, model: str | os.PathLike[str], *, force: bool) -> None:
    name = sentence(key_name("rewrite.out", "the argument 'out'"))
    if not path.name or (path.exists() and not path.is_file()):
        raise UsageError(f"{name} is {str(path)!r}, which is no file.", remedy="Name a file.")
    if path.is_file() and Path(model).is_file() and path.samefile(model):
        raise UsageError(
            f"{name} is {path}, the model itself, which would be lost.",
            remedy="Name another file.",
        )
    if path.exists() and not force:
        raise UsageError(
            f"{path} is there already.",
            remedy=f"Name another file, or overwrite it with "
            f"{key_name('rewrite.force', '`force=True`')}.",
            file=str(path),
        )


def _onnx_network(model: str) -> Network:
    """Reads what is to be rewritten.

    Raises:
        ModelFormatError: if it is no ONNX.
    """
    network = zoo_network(model, format="onnx") if is_built_in(model) else load_network(model)
    if network.format != "onnx":
        raise ModelFormatError(
            f"{model!r} is a {network.format.upper()} file, and only ONNX files are rewritten.",
            remedy="Give the ONNX file that it was made of.",
        )
    return network
