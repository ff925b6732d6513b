"""Reports: what a study found, as text, as JSON documents and as pictures."""

from npu_tune._callable import make_callable
from npu_tune.report.documents import study_document
from npu_tune.report.layers import LayerChange, layer_changes
from npu_tune.report.pick import knee, pick_trial
from npu_tune.report.plots import plot_study
from npu_tune.report.references import Reference, compare_with_references
from npu_tune.report.text import study_text

__all__ = [
    "LayerChange",
    "Reference",
    "compare_with_references",
    "knee",
    "layer_changes",
    "pick_trial",
    "plot_study",
    "study_document",
    "study_text",
]

make_callable(__name__)
