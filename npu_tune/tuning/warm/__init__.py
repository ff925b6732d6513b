"""Warm starts: a search that begins with what transfers from other studies.

``traits`` says what layers are like, ``matching`` which of two networks correspond, ``source`` what a
study or the cache knows, ``transfer`` makes starts of it and ``lessons`` what is expected of changes
of layers, and ``begin`` does all of it for a study. ``trying`` then tries changes of many layers at
once: ``choices`` makes configurations of them, ``rows`` reads profiles, and ``evidence`` says what
each change did.
"""
