"""What profiles of trials tell about layers, and configurations composed from that.

``profiles`` reads them, ``slots`` says what a layer's cost may depend on, and ``relation`` finds how
objectives follow from them. ``segments``, ``patchwork``, ``variation`` and ``sweeps`` keep, join and
vary what was observed; ``encoding``, ``surrogate`` (with ``regression``) and ``compose`` predict
what was not. ``learnt`` holds it all for one study, ``settings`` the tuned numbers.
"""
