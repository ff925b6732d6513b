"""What a driver has under way; a thousand workers make looking through it expensive."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from npu_tune.space import Configuration
from npu_tune.tuning.recorder import Proposal
from npu_tune.tuning.trial import POLISH


class UnderWay:
    """The proposals that are evaluated now, by ticket."""

    def __init__(self) -> None:
        self._proposals: dict[int, Proposal] = {}
        self._keys: Counter[str] = Counter()
        self._reverts: dict[int, Configuration] = {}

    def __len__(self) -> int:
        return len(self._proposals)

    def __iter__(self) -> Iterator[Proposal]:
        return iter(self._proposals.values())

    def begin(self, ticket: int, proposal: Proposal) -> None:
        """Adds what is evaluated from now on."""
        self._proposals[ticket] = proposal
        self._keys[proposal.key] += 1
        if proposal.origin.startswith(POLISH):
            self._reverts[ticket] = proposal.configuration

    def end(self, ticket: int) -> Proposal:
        """Takes off, and returns, what was evaluated."""
        proposal = self._proposals.pop(ticket)
        self._reverts.pop(ticket, None)
        self._keys[proposal.key] -= 1
        if not self._keys[proposal.key]:
            del self._keys[proposal.key]
        return proposal

    def drop(self, tickets: Iterable[int]) -> None:
        """Takes off what is not evaluated after all."""
        for ticket in tickets:
            self.end(ticket)

    def has(self, key: str) -> bool:
        """Whether an evaluation of this key is under way."""
        return key in self._keys

    @property
    def reverts(self) -> list[Configuration]:
        """What polishing has asked for."""
        return list(self._reverts.values())

    @property
    def is_searching(self) -> bool:
        """Whether anything else is under way."""
        return len(self._proposals) > len(self._reverts)
