"""How far the numbers of a model can be trusted for a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ExpectedError:
    """The absolute relative errors of a metric where a model was held against measurements.

    Args:
        median: half of the errors are smaller; 0.05 is 5 %.
        p90: nine in ten are smaller.
    """

    median: float
    p90: float


@dataclass(frozen=True)
class Confidence:
    """Whether a model was validated on networks like this one, and the error to expect.

    It is about the network as it is compiled by default.

    Args:
        validated: whether nothing that matters is outside what the model was held against.
        basis: what it was held against, as part of a sentence.
        outside: what of this network was not, one phrase each.
        errors: by metric; empty where none can be stated.
    """

    validated: bool
    basis: str
    outside: tuple[str, ...] = ()
    errors: Mapping[str, ExpectedError] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """For people."""
        outside = "; ".join(self.outside)
        if not self.validated:
            return f"Not validated: {outside}. Expect errors of 30 % and far more."
        errors = ", ".join(
            f"{name} {error.median:.0%} in the median and {error.p90:.0%} at the 90th percentile"
            for name, error in self.errors.items()
        )
        also = f" Outside of that: {outside}." if outside else ""
        return f"Validated against {self.basis}. Errors to expect: {errors}.{also}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON, with the sentence."""
        return {**asdict(self), "outside": list(self.outside), "sentence": self.sentence}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Confidence:
        """Reads what :meth:`to_dict` wrote."""
        return cls(
            document["validated"],
            document["basis"],
            tuple(document["outside"]),
            {name: ExpectedError(**error) for name, error in document["errors"].items()},
        )
