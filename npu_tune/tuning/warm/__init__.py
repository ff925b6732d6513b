"""Warm starts: a search that begins with what transfers from other studies.

``traits`` says what layers are like, ``matching`` which of two networks correspond, ``source`` what a
study or the cache knows, ``transfer`` makes starts of it, and ``begin`` does all of it for a study.
"""
