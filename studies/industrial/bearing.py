"""Which frequencies a damaged rolling bearing shows.

The kinematic formulas are those of R. B. Randall and J. Antoni, "Rolling element bearing
diagnostics - a tutorial", Mechanical Systems and Signal Processing 25 (2011), section 2: elements
roll without slip between a turning inner ring and an outer ring that stands still.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Bearing:
    """Geometry of a bearing.

    Args:
        elements: rolling elements, n.
        element_mm: diameter of one, d.
        pitch_mm: diameter of the circle of their centres, D.
        contact_degrees: contact angle, a.
    """

    elements: int
    element_mm: float
    pitch_mm: float
    contact_degrees: float = 0.0

    @property
    def ratio(self) -> float:
        """d/D cos a."""
        return self.element_mm / self.pitch_mm * math.cos(math.radians(self.contact_degrees))

    @property
    def bpfo(self) -> float:
        """Elements that pass a place of the outer ring, per turn of the shaft."""
        return self.elements / 2 * (1 - self.ratio)

    @property
    def bpfi(self) -> float:
        """Elements that pass a place of the inner ring, per turn of the shaft."""
        return self.elements / 2 * (1 + self.ratio)

    @property
    def ftf(self) -> float:
        """Turns of the cage per turn of the shaft."""
        return (1 - self.ratio) / 2

    @property
    def bsf(self) -> float:
        """Turns of an element about its own axis per turn of the shaft.

        A damaged place of it meets a ring twice as often: once the outer, once the inner one.
        """
        return self.pitch_mm / (2 * self.element_mm) * (1 - self.ratio**2)


SKF_6205 = Bearing(elements=9, element_mm=7.94, pitch_mm=39.04)
"""The drive-end bearing of the Case Western Reserve University test rig, whose page states
0.3126 and 1.537 inches, and 3.5848 (outer), 5.4152 (inner) and 4.7135 (element) times the speed."""
