"""Makes once more what a folder holds, and says what of it comes out otherwise.

``checksums`` holds files against their sums, ``exported`` builds an export's trial once more,
``evaluated`` evaluates trials of a study once more, and ``outcome`` is what they found.
"""
