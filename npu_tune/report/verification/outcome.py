"""What a verification found, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from npu_tune.errors import NpuTuneError, VerificationError

EXPORT, STUDY = "export", "study"


@dataclass(frozen=True, slots=True)
class Checksums:
    """A folder's files against its list of checksums; paths are those in the folder.

    Args:
        changed: files that hold something else, or are links now.
        missing: files that are not there.
        added: files that the list does not name.
    """

    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether all is as it was listed."""
        return not (self.changed or self.missing or self.added)


@dataclass(frozen=True, slots=True)
class FileCheck:
    """A file beside the one that was made again.

    Args:
        path: in the folder.
        difference: what is not the same, in words; "" where every byte is, or every one that
            evaluations repeat.
    """

    path: str
    difference: str = ""


@dataclass(frozen=True, slots=True)
class MetricCheck:
    """A metric of a trial beside the same one evaluated again.

    Args:
        trial: its number.
        name: of the metric.
        recorded: what was reported.
        now: what was found.
        noise: by how much, as a share, two evaluations may differ; None where they repeat
            exactly.
    """

    trial: int
    name: str
    recorded: float
    now: float
    noise: float | None = None

    @property
    def same(self) -> bool:
        """Whether they are the same, or where they are measured no further apart than by noise."""
        if self.noise is None:
            return self.recorded == self.now
        return abs(self.now - self.recorded) <= self.noise * abs(self.recorded)

    @property
    def counts(self) -> bool:
        """Whether it decides anything: what is measured does not repeat, and decides nothing."""
        return self.noise is None


@dataclass(frozen=True, slots=True)
class VersionChange:
    """A version, or another part of what evaluations depend on, that is not what it was."""

    name: str
    recorded: str
    now: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found.

    Args:
        folder: that was looked at.
        kind: ``export`` or ``study``.
        study: its name; "" where that cannot be read.
        trials: the numbers of those that were built or evaluated again.
        checksums: of an export; None of a study.
        versions: what of compilers, libraries and target is not what it was.
        files: of an export, that were made again.
        metrics: of the trials.
        failures: by trial, why it could not be evaluated again.
        error: why nothing was made again; None where it was.
    """

    folder: Path
    kind: str
    study: str = ""
    trials: tuple[int, ...] = ()
    checksums: Checksums | None = None
    versions: tuple[VersionChange, ...] = ()
    files: tuple[FileCheck, ...] = ()
    metrics: tuple[MetricCheck, ...] = ()
    failures: dict[int, str] = field(default_factory=dict)
    error: NpuTuneError | None = None

    @property
    def differs(self) -> bool:
        """Whether anything is not what it was that has to be."""
        return bool(
            (self.checksums is not None and not self.checksums.same)
            or self.failures
            or any(check.difference for check in self.files)
            or any(check.counts and not check.same for check in self.metrics)
        )

    @property
    def same(self) -> bool:
        """Whether everything was made again and came out the same."""
        return self.error is None and not self.differs

    @property
    def shortcoming(self) -> NpuTuneError | None:
        """What a command ends with; None where all is the same."""
        if not self.differs:
            return self.error
        what = "folder" if self.kind == EXPORT else "study"
        because = ""
        if self.versions:
            named = ", ".join(f"{v.name} {v.recorded} -> {v.now}" for v in self.versions)
            because = f" Versions differ: {named}."
        return VerificationError(
            f"The {what} {self.folder} is not what comes out now.{because}",
            remedy="What differs stands above; with the versions that it names it can be told "
            "whether they are the reason."
            if self.versions
            else "What differs stands above.",
            folder=str(self.folder),
        )
