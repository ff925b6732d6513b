"""What a database's driver says of a failure, as an error of this package."""

from __future__ import annotations

from npu_tune.errors import OutageError

SERVER = "Check the server, then run the same command again."
SERVER_OR_DISK = "Check the server or the disk, then run the same command again."


def outage(place: str, cause: BaseException, *, remedy: str = SERVER) -> OutageError:
    """The error for a storage whose driver has failed.

    Args:
        place: of the storage, without a password.
        cause: what the driver raised, or what stands for it; the first line of what it says counts.
        remedy: what a person can do.
    """
    cause = getattr(cause, "orig", None) or cause
    # MySQL's drivers give a number before what they say.
    said = cause.args[1] if len(cause.args) == 2 else cause
    reason = (str(said).strip() or type(cause).__name__).splitlines()[0].rstrip(".")
    return OutageError(f"The storage {place} failed: {reason}.", remedy=remedy, place=place)
