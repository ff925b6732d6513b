"""For people who live in Ray Tune: a trainable, a ``param_space``, and our samplers as a searcher.

A study of this package runs faster by itself (``npu_tune.tuning``), with polishing and reports.
Take this adapter where a search is part of something larger that Ray Tune already drives::

    tuner = tune.Tuner(
        trainable(target, network),
        tune_config=tune.TuneConfig(
            search_alg=search_algorithm(target, network, metric="full_cycles"),
            num_samples=200,
            reuse_actors=True,
        ),
    )

``reuse_actors`` saves starting a process, and binding the network, for every trial.
"""

from npu_tune.raytune.doors import search_algorithm, trainable
from npu_tune.raytune.reported import LayerTable
from npu_tune.raytune.results import best, configuration_of, front
from npu_tune.raytune.worker import evaluate
from npu_tune.space import to_param_space as param_space

__all__ = [
    "LayerTable",
    "best",
    "configuration_of",
    "evaluate",
    "front",
    "param_space",
    "search_algorithm",
    "trainable",
]
