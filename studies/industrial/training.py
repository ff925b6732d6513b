"""Trains the network by Adam on the cross-entropy of its logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import numpy as np
import optax
from classifier import Architecture, Parameters, first_parameters, folded, logits, training_logits
from numpy.typing import NDArray
from recordings import Recordings

MOMENTUM = 0.9
"""Of running means and variances."""


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how fast it learns.

    Args:
        epochs: passes over the recordings.
        batch: recordings per step.
        rate: greatest step of Adam; rises for a tenth of the steps and falls along a cosine.
        decay: of weights, AdamW's.
    """

    epochs: int = 10
    batch: int = 64
    rate: float = 4e-3
    decay: float = 1e-3


def train(
    given: Recordings,
    *,
    architecture: Architecture,
    settings: TrainingSettings,
    seed: int,
    say: Callable[[str], None] = print,
) -> Parameters:
    """Trains on recordings; returns parameters with the normalizations folded.

    Args:
        given: training recordings.
        architecture: of the network.
        settings: of the training.
        seed: of first weights, order and augmentation.
        say: is told of the progress.
    """
    weights, running = first_parameters(architecture, seed)
    batches = len(given.labels) // settings.batch
    steps = settings.epochs * batches
    schedule = optax.warmup_cosine_decay_schedule(0.0, settings.rate, max(steps // 10, 1), steps)
    optimizer = optax.adamw(schedule, weight_decay=settings.decay)

    @jax.jit
    def step(weights, running, state, images, labels):  # noqa: ANN001, ANN202 - traced by JAX
        (loss, seen), slope = jax.value_and_grad(partial(_loss, architecture), has_aux=True)(
            weights, images, labels
        )
        updates, state = optimizer.update(slope, state, weights)
        running = {
            name: MOMENTUM * value + (1 - MOMENTUM) * seen[name] for name, value in running.items()
        }
        return optax.apply_updates(weights, updates), running, state, loss

    state = optimizer.init(weights)
    generator = np.random.default_rng([seed, 1])
    for epoch in range(settings.epochs):
        order = generator.permutation(len(given.labels))
        losses = []
        for number in range(batches):
            chosen = order[number * settings.batch : (number + 1) * settings.batch]
            images = _shifted(given.images[chosen], generator)
            weights, running, state, loss = step(
                weights, running, state, images, given.labels[chosen]
            )
            losses.append(float(loss))
        say(f"epoch {epoch + 1} of {settings.epochs}: loss {np.mean(losses):.3f}")
    return folded(architecture, weights, running)


def _loss(architecture, weights, images, labels):  # noqa: ANN001, ANN202 - traced by JAX
    found, seen = training_logits(architecture, weights, images)
    return optax.softmax_cross_entropy_with_integer_labels(found, labels).mean(), seen


def _shifted(images: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    """Images moved along the bands, as a machine with other resonances would have them."""
    moves = generator.integers(-12, 13, len(images))
    return np.stack([np.roll(i, move, axis=1) for i, move in zip(images, moves, strict=True)])


def predicted_logits(
    architecture: Architecture, parameters: Parameters, images: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Logits of any number of images."""
    run = jax.jit(partial(logits, architecture))
    parts = [run(parameters, images[at : at + 128]) for at in range(0, len(images), 128)]
    return np.concatenate([np.asarray(part) for part in parts])
