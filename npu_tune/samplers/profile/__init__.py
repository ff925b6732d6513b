"""What profiles of trials say of layers, and configurations put together from that.

``profiles`` reads them and ``relation`` finds how objectives come out of them. ``segments``,
``patchwork`` and ``variation`` keep, join and vary what was seen; ``encoding``, ``surrogate`` and
``compose`` predict what was not.
"""
