"""What all targets share that are measured on this machine.

``folding`` makes the graph that is converted, ``calibration`` the ranges of its tensors,
``session`` a worker process, ``rounds`` a time in it, ``memory`` a peak, ``fidelity`` what is left
of the outputs, and ``problem`` puts them together; a back end brings knobs, a writer and an engine.
"""
