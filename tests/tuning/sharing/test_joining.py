from __future__ import annotations

import pytest

from npu_tune.errors import StudyMismatchError
from npu_tune.tuning.ledger import open_ledger
from npu_tune.tuning.sharing.joining import note_source, require_same_search
from npu_tune.tuning.stretches import SearchSettings, Stretch

OWN = Stretch(SearchSettings(0, "layerwise", 1))


@pytest.mark.parametrize(
    ("theirs", "own", "said"),
    [
        ("foreign", None, "takes the study 'foreign' over, which this one would not"),
        (None, "foreign", "searches, which this one would not"),
        ("foreign", "other", "takes the study 'foreign' over"),
    ],
)
def test_who_searches_and_who_takes_a_study_over_do_not_work_together(tmp_path, theirs, own, said):
    with open_ledger(tmp_path / "s.journal", name="s", directions=("minimize",)) as ledger:
        note_source(ledger, theirs)
        with pytest.raises(StudyMismatchError, match=said):
            require_same_search(ledger, OWN, budget=None, source=own)
        note_source(ledger, own)
        require_same_search(ledger, OWN, budget=None, source=own)
