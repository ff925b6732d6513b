"""The folder that an export writes: what a target built, and everything one has to know of it.

``layers``, ``study``, ``document`` and ``readme`` say what stands in the files, ``contents`` writes
them, and ``place`` puts the finished folder where it is wanted.
"""
