"""Vibration of made-up machines with a rolling bearing, healthy or damaged.

No recording of a real machine is in here. The model is the one that Randall and Antoni (2011, see
:mod:`bearing`) describe: a damaged place is struck at its kinematic frequency, the intervals vary
at random as the elements slip by 1 to 2 %, every blow rings in the structure's resonances, and the
load decides how hard it is. Around it are shaft harmonics, other sources of blows, and noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from bearing import SKF_6205, Bearing
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

Signal = NDArray[np.float64]

RATE_HZ = 12_800
SAMPLES = 16_384
"""Of a recording: 1.28 s."""

CLASSES = ("healthy", "outer race", "inner race", "rolling element")

LOAD_ZONE_DEGREES = 70.0
"""Half the arc of the outer ring that carries load."""

FAULT_DB = (-17.0, -1.0)
"""Power of the blows by that of everything else, of a recording."""


@dataclass(frozen=True)
class Machine:
    """What stays the same in all recordings of a machine.

    Args:
        speed_hz: of the shaft, as rated.
        resonances_hz: of the structure between bearing and sensor.
        dampings: of each, as a share of the critical one.
        weights: of each in what the sensor sees.
        gain: of the sensor's channel.
        harmonics: amplitudes of the shaft's first harmonics, by the noise's.
        tilt: coefficient of the filter that colours the noise.
        rattle_order: blows per turn that are no fault's, as from a coupling or a pump.
        rattle_db: their power by the noise's.
        bearing: in the machine.
    """

    speed_hz: float
    resonances_hz: tuple[float, ...]
    dampings: tuple[float, ...]
    weights: tuple[float, ...]
    gain: float
    harmonics: tuple[float, ...]
    tilt: float
    rattle_order: float
    rattle_db: float
    bearing: Bearing = SKF_6205


def draw_machine(generator: np.random.Generator) -> Machine:
    """A machine at random."""
    modes = 2
    return Machine(
        speed_hz=generator.uniform(20.0, 30.0),
        resonances_hz=tuple(generator.uniform(2000.0, 5000.0, modes)),
        dampings=tuple(generator.uniform(0.02, 0.06, modes)),
        weights=tuple(generator.uniform(0.3, 1.0, modes)),
        gain=float(np.exp(generator.uniform(-1.0, 1.0))),
        harmonics=tuple(generator.uniform(0.0, 1.0, 4)),
        tilt=generator.uniform(-0.3, 0.6),
        rattle_order=generator.uniform(1.0, 7.5),
        rattle_db=generator.uniform(-30.0, -10.0),
    )


def record(machine: Machine, label: int, generator: np.random.Generator) -> tuple[Signal, float]:
    """One recording of a machine.

    Args:
        machine: that is listened to.
        label: what it suffers from, a place in :data:`CLASSES`.
        generator: of everything that differs between recordings.

    Returns:
        :data:`SAMPLES` values, and the speed in Hz that its tachometer says, which is up to 0.5 %
        off.
    """
    speed = machine.speed_hz * generator.uniform(0.92, 1.08)
    noise = lfilter([1.0], [1.0, -machine.tilt], generator.standard_normal(SAMPLES + 256))[256:]
    noise /= np.std(noise)
    rest = noise + _harmonics(machine, speed, generator)
    rattle = _blows(machine.rattle_order * speed, 0.002, generator)
    rest += _ringing(machine, rattle, generator, decibels=machine.rattle_db)
    signal = rest
    if label:
        blows = _fault_blows(machine.bearing, label, speed, generator)
        level = generator.uniform(*FAULT_DB) + 10 * np.log10(np.mean(rest**2))
        signal = rest + _ringing(machine, blows, generator, decibels=level)
    return machine.gain * signal, speed * generator.uniform(0.995, 1.005)


def _harmonics(machine: Machine, speed: float, generator: np.random.Generator) -> Signal:
    time = np.arange(SAMPLES) / RATE_HZ
    phases = generator.uniform(0.0, 2 * np.pi, len(machine.harmonics))
    return np.sum(
        [
            amplitude * np.cos(2 * np.pi * order * speed * time + phase)
            for order, (amplitude, phase) in enumerate(
                zip(machine.harmonics, phases, strict=True), start=1
            )
        ],
        axis=0,
    )


@dataclass(frozen=True)
class _Blows:
    """When something is struck, in seconds, and how hard."""

    times: Signal
    strengths: Signal


def _blows(rate_hz: float, slip: float, generator: np.random.Generator) -> _Blows:
    """Blows at a mean rate whose intervals vary independently, as those of a bearing do."""
    count = int(SAMPLES / RATE_HZ * rate_hz) + 8
    intervals = (1.0 + slip * generator.standard_normal(count)) / rate_hz
    times = np.cumsum(intervals) - generator.uniform(0.0, 1.0) / rate_hz
    strengths = np.exp(0.15 * generator.standard_normal(count))
    kept = (times >= 0.0) & (times < SAMPLES / RATE_HZ)
    return _Blows(times[kept], strengths[kept])


def _fault_blows(
    bearing: Bearing, label: int, speed: float, generator: np.random.Generator
) -> _Blows:
    """The blows of a fault, as hard as the load is where they fall."""
    slip = generator.uniform(0.01, 0.02)
    start = generator.uniform(0.0, 2 * np.pi)
    name = CLASSES[label]
    if name == "outer race":  # stands still in the loaded zone
        return _blows(bearing.bpfo * speed, slip, generator)
    if name == "inner race":  # passes the loaded zone once per turn
        blows = _blows(bearing.bpfi * speed, slip, generator)
        return _loaded(blows, start + 2 * np.pi * speed * blows.times, least=0.0)
    # An element passes it once per turn of the cage; it meets both rings, not equally hard.
    blows = _blows(2 * bearing.bsf * speed, slip, generator)
    blows.strengths[::2] *= generator.uniform(0.3, 1.0)
    return _loaded(blows, start + 2 * np.pi * bearing.ftf * speed * blows.times, least=0.1)


def _loaded(blows: _Blows, angles: Signal, *, least: float) -> _Blows:
    """Blows by Stribeck's distribution of the load, (1 - (1 - cos a) / 2e)^1.5 in its zone."""
    reach = (1 - np.cos(np.radians(LOAD_ZONE_DEGREES))) / 2
    share = np.maximum(1 - (1 - np.cos(angles)) / (2 * reach), 0.0) ** 1.5
    return _Blows(blows.times, blows.strengths * np.maximum(share, least))


def _ringing(
    machine: Machine, blows: _Blows, generator: np.random.Generator, *, decibels: float
) -> Signal:
    """What blows make of the structure's resonances, at a power in dB."""
    train = np.zeros(SAMPLES + 1)
    places = blows.times * RATE_HZ
    whole = places.astype(int)
    np.add.at(train, whole, blows.strengths * (1 - places + whole))
    np.add.at(train, whole + 1, blows.strengths * (places - whole))
    time = np.arange(512) / RATE_HZ
    response = np.zeros_like(time)
    for frequency, damping, weight in zip(
        machine.resonances_hz, machine.dampings, machine.weights, strict=True
    ):
        # A fault excites one resonance more than another, by where it sits.
        share = weight * generator.uniform(0.5, 1.0)
        turn = 2 * np.pi * frequency
        response += share * np.exp(-damping * turn * time) * np.sin(turn * time)
    signal = fftconvolve(train, response)[:SAMPLES]
    power = np.mean(signal**2)
    return signal * np.sqrt(10 ** (decibels / 10) / power) if power else signal
