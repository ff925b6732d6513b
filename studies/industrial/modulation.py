"""What the network sees of a recording: how strongly each band of frequencies pulses, by order.

A short-time Fourier transform gives the power in 64 bands over time; the spectrum of that power,
by multiples of the shaft's speed, is the cyclic modulation spectrum (J. Antoni and D. Hanson,
"Detection of surface ships from interception of cyclostationary signature with the cyclic
modulation coherence", IEEE Journal of Oceanic Engineering 37, 2012). A fault shows as lines at its
order, in the bands where the machine resonates.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from vibration import RATE_HZ, Signal

BANDS = 64
ORDERS = 64
ORDER_STEP = 0.125
"""Of the shaft's speed; 64 steps reach 8 orders, beyond the inner race's 5.4."""

_WINDOW, _HOP, _LENGTH = 64, 16, 128
_LINES = 4096
"""Of the second transform: zeros behind the frames make it fine enough for every step of order."""

_FLOOR = 1e-3


def modulation_image(signal: Signal, speed_hz: float) -> NDArray[np.float32]:
    """The image of a recording, (1, bands, orders), about 0 where nothing pulses.

    Args:
        signal: of a sensor, at :data:`vibration.RATE_HZ`; its scale does not matter.
        speed_hz: of the shaft, by the tachometer.
    """
    frames = np.lib.stride_tricks.sliding_window_view(signal, _WINDOW)[::_HOP]
    spectrum = np.fft.rfft(frames * np.hanning(_WINDOW), _LENGTH, axis=1)[:, 1 : BANDS + 1]
    power = np.abs(spectrum) ** 2
    # By the mean power of a band: neither the gain nor the colour of the noise counts.
    power = power / power.mean(axis=0) - 1.0
    taper = np.hanning(len(power))[:, None]
    pulses = np.abs(np.fft.rfft(power * taper, _LINES, axis=0))
    pulses /= np.sqrt(len(power))
    resolution_hz = RATE_HZ / _HOP / _LINES
    edges = np.arange(ORDERS + 1) * ORDER_STEP + ORDER_STEP / 2
    lines = np.rint(edges * speed_hz / resolution_hz).astype(int)
    lowest = pulses[: lines[-1]]
    strongest = np.maximum.reduceat(lowest, lines[:-1], axis=0)
    return (np.log(strongest + _FLOOR).T[None] / 2).astype(np.float32)
