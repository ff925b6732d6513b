from __future__ import annotations

import numpy as np

from npu_tune.samplers.running import RunningPoints, others_of

LAYERS = 3


def naive(finished, running):
    """Per layer, how many running points differ from a finished one in it alone."""
    known = [{others_of(point)[layer] for point in finished} for layer in range(LAYERS)]
    return [sum(others_of(p)[layer] in known[layer] for p in running) for layer in range(LAYERS)]


def test_what_is_counted_equals_a_count_of_all_that_run():
    random = np.random.default_rng(0)
    finished, alike = [], [{} for _ in range(LAYERS)]
    running, points = RunningPoints(alike), {}
    for number in range(400):
        point = tuple((int(value),) for value in random.integers(3, size=LAYERS))
        running.add(number, point)
        points[number] = point
        if len(points) > 20:
            ended = list(points)[int(random.integers(len(points)))]
            assert running.remove(ended) == points[ended]
            finished.append(points.pop(ended))
            for layer, value in enumerate(others_of(finished[-1])):
                if value not in alike[layer]:
                    alike[layer][value] = ended
                    running.count_finished(layer, value)
        assert running.alike == naive(finished, points.values())
        assert all(point in running for point in points.values())


def test_all_trials_of_a_point_can_be_forgotten_at_once():
    running = RunningPoints([{} for _ in range(LAYERS)])
    one, other = ((0,), (0,), (0,)), ((1,), (0,), (0,))
    for number, point in enumerate((one, other, one)):
        running.add(number, point)

    running.remove_all(one)

    assert one not in running
    assert other in running
    assert running.remove(0) is None
