"""The cheapest sequence of pieces below a limit on memory, and what its weights may do."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from npu_tune.targets.neural_art.compiler.choice import PRELOAD, STREAM
from npu_tune.targets.neural_art.plan.pieces import Piece


def cheapest_path(pieces: Sequence[Sequence[Piece]], most_bytes: float) -> list[Piece] | None:
    """The pieces from the first to the last operation that cost least together.

    Args:
        pieces: that start at each position.
        most_bytes: that a piece may need.

    Returns:
        None where some operation needs more in every piece.
    """
    end = len(pieces)
    best = [inf] * end + [0.0]
    taken: list[Piece | None] = [None] * end
    for position in reversed(range(end)):
        for piece in pieces[position]:
            cost = piece.cost + best[piece.last + 1]
            if piece.needs <= most_bytes and cost < best[position]:
                best[position], taken[position] = cost, piece
    path: list[Piece] = []
    position = 0
    while position < end:
        chosen = taken[position]
        if chosen is None:
            return None
        path.append(chosen)
        position = chosen.last + 1
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
    for piece in path[1:]:
        chosen, own_bytes = piece, piece.needs
        own = piece.estimate
        if own is not None and own.flash > 0 and all(c.weights == STREAM for c in piece.choices):
            streamed = own.cycles
            preloaded = max(0.0, own.flash - slack) + own.others + own.fixed
            needs = max(in_use, piece.needs) + piece.streamed
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
