"""The cheapest sequence of pieces below a limit on memory, and what its weights may do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from npu_tune.targets.neural_art.compiler.choice import PRELOAD, STREAM
from npu_tune.targets.neural_art.plan.pieces import Piece


class _Way(NamedTuple):
    """The pieces from some position to the end.

    Args:
        cost: of all of them.
        early: of the first one.
        piece: the first one; None at the end.
        rest: the others.
    """

    cost: float
    early: int
    piece: Piece | None = None
    rest: _Way | None = None


def cheapest_path(pieces: Sequence[Sequence[Piece]], most_bytes: float) -> list[Piece] | None:
    """The pieces from the first to the last operation that cost least together.

    Args:
        pieces: that start at each position.
        most_bytes: that may be in use at one time, also while weights of the next piece arrive.

    Returns:
        None where every path needs more.
    """
    end = len(pieces)
    ways: list[list[_Way]] = [*([] for _ in range(end)), [_Way(0.0, 0)]]
    for position in reversed(range(end)):
        found = [
            _Way(piece.cost + rest.cost, piece.early, piece, rest)
            for piece in pieces[position]
            if piece.needs <= most_bytes
            for rest in ways[piece.last + 1]
            if piece.needs + rest.early <= most_bytes
        ]
        for way in sorted(found, key=lambda each: each[:2]):
            if not ways[position] or way.early < ways[position][-1].early:
                ways[position].append(way)
    if not ways[0]:
        return None
    path, way = [], ways[0][0]
    while way.piece is not None and way.rest is not None:
        path.append(way.piece)
        way = way.rest
    return path


def with_preloading(path: Sequence[Piece], most_bytes: float) -> list[Piece]:
    """The path with weights preloaded where flash is idle before, and where there is room.

    An epoch that waits for its weights starts ``flash - slack`` cycles later, but takes no longer
    than its units and memories do; the slack is that of the epoch before.

    Args:
        path: of pieces.
        most_bytes: that may be in use at one time.
    """
    found = list(path[:1])
    slack = _slack(path[0]) if path else 0.0
    # Bytes in use while the piece before runs, its own preloaded weights among them.
    in_use = path[0].needs if path else 0
    for number, piece in enumerate(path[1:], start=2):
        needs = max(piece.needs, in_use + piece.early)
        chosen, own_bytes = piece._replace(needs=needs), piece.needs
        own = piece.estimate
        if own is not None and own.flash > 0 and all(c.weights == STREAM for c in piece.choices):
            streamed = own.cycles
            preloaded = max(0.0, own.flash - slack) + own.others + own.fixed
            arriving = path[number].early if number < len(path) else 0
            needs = max(in_use, piece.needs + arriving) + piece.streamed
            if needs <= most_bytes and preloaded < streamed:
                own_bytes += piece.streamed
                chosen = piece._replace(
                    cost=piece.cost + preloaded - streamed,
                    needs=needs,
                    choices=tuple(choice._replace(weights=PRELOAD) for choice in piece.choices),
                    estimate=own._replace(flash=0.0),
                )
        found.append(chosen)
        slack, in_use = _slack(chosen), own_bytes
    return found


def _slack(piece: Piece) -> float:
    """Cycles in which flash is idle at the end of a piece; hardly any in a last stripe."""
    return max(0.0, piece.estimate.others - piece.estimate.flash) if piece.estimate else 0.0
