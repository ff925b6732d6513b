"""The options that all measured targets take, and what is made of them."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

from npu_tune.errors import ModelError, TargetError, sentence_of
from npu_tune.network.quantize.archive import read_arrays
from npu_tune.targets.measured.data import LabelledData, Score
from npu_tune.targets.options import OptionInfo
from npu_tune.validation import Table, option_name, sentence

LABELS = "labels"
"""The array of labels in a file of labelled samples."""


def _each_once(threads: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(threads)) != len(threads):
        raise ValueError("it takes each number once")
    return threads


def _as_list(value: object) -> object:
    """A number alone, as a list of one."""
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


class MeasuredOptions(Table):
    """A study's ``[target]`` table without the name."""

    threads: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1024)], ...],
        Field(strict=False, min_length=1),
        BeforeValidator(_as_list),
        AfterValidator(_each_once),
        OptionInfo(flag=True, takes="a number of threads, or a list such as [1, 2, 4]"),
    ] = Field(
        default=(1,),
        description="threads of an inference; a list lets the search choose, and the clock on the "
        "wall is then used instead of the thread's own; 1 by default",
    )
    data: Annotated[Path | None, Field(strict=False), OptionInfo(flag=True)] = Field(
        default=None,
        description="path of an .npz file with labelled samples: one array per input, samples "
        f"first, and {LABELS!r}; adds the metrics accuracy and accuracy_drop",
    )
    accuracy: Annotated[str | None, OptionInfo(flag=True)] = Field(
        default=None,
        description="your own accuracy as MODULE:FUNCTION, called with the first output of all "
        "samples and the labels; the share of greatest outputs at the label by default",
    )


def read_labelled(options: MeasuredOptions) -> LabelledData | None:
    """The labelled samples that options name.

    Raises:
        ModelError: if the file cannot be read, or its labels are none.
        TargetError: if the function cannot be had.
    """
    if options.data is None:
        if options.accuracy is not None:
            raise TargetError(
                f"{sentence(option_name('accuracy'))} needs labelled samples.",
                remedy=f"Give them with {option_name('data')}.",
                option="accuracy",
            )
        return None
    arrays = dict(read_arrays(options.data))
    labels = arrays.pop(LABELS, None)
    if labels is None:
        raise ModelError(
            f"The file {str(options.data)!r} has no array {LABELS!r}.",
            remedy=f"Write it with numpy.savez(path, {LABELS}=labels, **{{input_name: samples}}).",
        )
    score = None if options.accuracy is None else _load_score(options.accuracy)
    if score is None:
        _check_classes(labels, options.data)
    counts = {name: len(value) for name, value in arrays.items() if value.ndim}
    wrong = next((name for name, count in counts.items() if count != len(labels)), None)
    if wrong is not None:
        raise ModelError(
            f"The file {str(options.data)!r} has {counts[wrong]} samples for {wrong!r} and "
            f"{len(labels)} labels.",
            remedy="Give one label per sample.",
        )
    return LabelledData(arrays, labels, score, options.accuracy or "top-1")


def _check_classes(labels: Any, path: Path) -> None:
    numbers = labels.ndim == 1 and labels.size and np.isfinite(labels).all()
    if not numbers or labels.min() < 0 or not np.array_equal(labels, np.floor(labels)):
        raise ModelError(
            f"The labels in {str(path)!r} are no numbers of classes.",
            remedy="Give one whole number from 0 on per sample, or your own function with the "
            "option accuracy.",
        )


def _load_score(text: str) -> Score:
    module, _, name = text.partition(":")
    try:
        if os.getcwd() not in sys.path:  # noqa: PTH109 -- where people keep such a function
            sys.path.insert(0, os.getcwd())  # noqa: PTH109
        score: Score = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever the module does
        raise TargetError(
            f"{sentence(option_name('accuracy'))} is {text!r}, which cannot be had: {sentence_of(error)}.",
            remedy="Name a function as MODULE:FUNCTION, with the module where Python finds it.",
            option="accuracy",
        ) from error
    if not callable(score):
        raise TargetError(
            f"{sentence(option_name('accuracy'))} is {text!r}, which is no function.",
            remedy="Name a function as MODULE:FUNCTION.",
            option="accuracy",
        )
    return score
