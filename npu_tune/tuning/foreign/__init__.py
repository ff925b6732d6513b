"""Studies of plain Optuna that are taken over: their configurations, never their numbers.

``study`` says what such a study holds, ``choices`` reads its parameters as values of knobs, ``starts``
makes starts of its trials, the best first, and ``agreement`` holds its numbers against what came out
here.
"""
