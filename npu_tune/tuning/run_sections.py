"""The sections of a study file that say how a study is run; see :func:`npu_tune.validation.key`."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, model_validator

from npu_tune.evaluation.pool.ray_needs import WorkerNeeds
from npu_tune.tuning.fields import (
    CacheField,
    Memory,
    NameField,
    PathField,
    PositiveFinite,
    Seconds,
    SecondsOrZero,
    SizeField,
    StorageField,
    TrueOrCount,
)
from npu_tune.validation import Table, key

DEFAULT_EVALUATIONS = 1500
"""The budget of a study that names neither evaluations nor a wall time."""

DEFAULT_TIMEOUT_S = 300.0
"""Most compilers answer within seconds; one that takes minutes hangs."""

DEFAULT_STORAGE_RETRY_S = 60.0
"""A database server restarts, and a person frees space on a disk, within a minute."""


class StudySection(Table):
    """``[study]``: what it is called, where it is kept and when it ends."""

    name: Annotated[
        NameField | None,
        key(
            "the study's name in its storage; another name in a folder or ledger that holds a "
            "study is refused",
            default="model and target",
        ),
    ] = None
    folder: Annotated[
        PathField | None,
        key("holds everything of the study", default="`name`, beside the study file"),
    ] = None
    storage: Annotated[
        StorageField | None,
        key(
            "a journal file, or a database URL: `sqlite:///study.db`, "
            "`postgresql://user@host:5432/name`, `mysql://user@host:3306/name` (or `mariadb://`) "
            "or `redis://host:6379/0`. In a password write `@` as `%40`, `:` as "
            "`%3A`, `/` as `%2F`, `?` as `%3F`, `#` as `%23`, `%` as `%25` and a space as "
            "`%20`; or leave it out and put it into `~/.pgpass`, or for MySQL into a file "
            "that `?read_default_file=` names. It is not shown in messages, "
            "and the study file in the folder is for its owner alone where it holds one. A "
            "database in memory is refused, as it keeps nothing, and so is another place than "
            "the one where the folder's study is",
            default="`ledger.journal` in the folder",
        ),
    ] = None
    storage_retry: Annotated[
        SecondsOrZero,
        key(
            "how long the storage may be [out of reach](#when-the-storage-fails), in seconds "
            'or such as `"10m"`; 0 ends the study at the first failure',
            default='`"1m"`',
        ),
    ] = DEFAULT_STORAGE_RETRY_S
    cache: Annotated[
        CacheField | None,
        key(
            "the folder of [evaluations that studies share](cache.md): what another study of the "
            "same model, target, options and version has evaluated is taken from there. Not on a "
            "network drive. `false` for none (`--no-cache`)",
            default="the user's, `~/.cache/npu-tune/evaluations`",
        ),
    ] = None
    sources: Annotated[
        tuple[PathField, ...],
        Field(alias="from", strict=False),
        key(
            "folders of studies whose findings this one [begins with](cache.md#warm-starts), the most trusted "
            'first; `"cache"` among them for what the cache has of targets of the same family '
            "(`--from STUDY`)",
            default="none",
        ),
    ] = ()
    seed: Annotated[
        int,
        Field(ge=0, lt=2**32),
        key("of the sampler"),
    ] = 0
    evaluations: Annotated[
        PositiveInt | None,
        key(
            "how many configurations are evaluated, the baseline included, over all runs of "
            "the study. A configuration that fails counts, be it illegal or too much for the "
            "compiler, so that every study ends; only duplicates cost nothing",
            default="1500, or any number where `wall_time` is given",
        ),
    ] = None
    wall_time: Annotated[
        Seconds | None,
        key(
            'seconds, or such as `"90s"`, `"15m"`, `"1h30m"`, over all runs of the study',
            default="none",
        ),
    ] = None
    polish: Annotated[
        TrueOrCount | None,
        key(
            "whether the end of the budget goes into [taking back what gains "
            "nothing](#polishing), or a number: at most how many of the `evaluations`. `true` "
            "and numbers are refused elsewhere",
            default='`true` where evaluations repeat exactly and `mode` is `"weighted"`, else `false`',
        ),
    ] = None
    duplicates_in_a_row: Annotated[
        PositiveInt,
        key(
            "so many proposals without a new configuration end the study: there is nothing "
            "left to try"
        ),
    ] = 1000

    @property
    def budget(self) -> int | None:
        """How many configurations are evaluated; None where only the wall time ends it."""
        if self.evaluations is None and self.wall_time is None:
            return DEFAULT_EVALUATIONS
        return self.evaluations


class ExecutorSection(Table):
    """``[executor]``: who evaluates."""

    kind: Annotated[
        Literal["process", "inline", "ray"],
        key(
            "`process`: a pool of processes on this machine. `inline`: this process; no "
            "timeout, and a crash takes everything down. `ray`: tasks on Ray"
        ),
    ] = "process"
    workers: Annotated[
        PositiveInt | None,
        key("how many evaluations run at a time", default="the usable processors"),
    ] = None
    timeout_s: Annotated[
        Seconds,
        key(
            'what one evaluation may take, in seconds or such as `"90s"`; a slower one fails '
            "as `timeout`"
        ),
    ] = DEFAULT_TIMEOUT_S
    memory_limit: Annotated[
        Memory | None,
        key(
            "what each process of an evaluation may have of memory of its own, in bytes or such "
            'as `"4 GiB"`, 256 MiB at least; one that wants more fails as `out-of-memory`',
            default="none",
        ),
    ] = None
    address: Annotated[
        str | None,
        key(
            'of a Ray cluster, or `"auto"`; only with `kind = "ray"`',
            default="Ray starts on this machine",
        ),
    ] = None
    start_timeout_s: Annotated[
        Seconds | None,
        key(
            "how long a Ray cluster may take to have room for the first worker, in seconds or such "
            'as `"10m"`: one that grows from nothing has to start a machine; only with '
            '`kind = "ray"`, as the next four keys',
            default="1 min",
        ),
    ] = None
    num_cpus: Annotated[
        PositiveFinite | None,
        key(
            "processors that Ray reserves for each worker",
            default="1",
        ),
    ] = None
    memory: Annotated[
        SizeField | None,
        key(
            'main memory that Ray reserves for each worker, in bytes or such as `"2 GiB"`',
            default="none is reserved",
        ),
    ] = None
    resources: Annotated[
        dict[str, PositiveFinite],
        key(
            "custom resources of the cluster's nodes that each worker holds while it works, "
            "such as `{board = 1}` or a licence",
            default="none",
        ),
    ] = Field(default_factory=dict)
    runtime_env: Annotated[
        dict[str, Any],
        key(
            "the environment that [Ray makes for its workers](cluster.md#workers-without-npu-tune), "
            'such as `{pip = ["npu-tune"]}`',
            default="what is installed there",
        ),
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> ExecutorSection:
        for_ray = (self.start_timeout_s, self.num_cpus, self.memory)
        is_for_ray = any(given is not None for given in for_ray)
        if self.kind != "ray" and (is_for_ray or self.resources or self.runtime_env):
            raise ValueError(
                "start_timeout_s, num_cpus, memory, resources and runtime_env are for "
                "kind = 'ray' only"
            )
        if self.kind == "inline" and (self.workers or 1) > 1:
            raise ValueError("the inline executor has one worker; use kind = 'process'")
        if self.kind == "inline" and self.memory_limit is not None:
            raise ValueError("the inline executor has no memory limit; use kind = 'process'")
        if self.address is not None and self.kind != "ray":
            raise ValueError("an address is for kind = 'ray' only")
        return self

    @property
    def needs(self) -> WorkerNeeds:
        """What a worker on Ray holds."""
        return WorkerNeeds(self.num_cpus or 1.0, self.memory, self.resources, self.runtime_env)

    @property
    def capacity(self) -> int:
        """How many evaluations run at a time."""
        if self.kind == "inline":
            return 1
        return self.workers or _usable_processors()


def _usable_processors() -> int:
    """Those this process may run on, where the system tells; else all."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
