"""The notebooks run from a clean kernel, and show what they are stored with."""

from __future__ import annotations

import base64
import json
import re

import nbformat
import pytest
from execute import FOLDER, METADATA, REPRODUCIBLE, execute, notebooks, pictures, read, texts

MOST_BYTES = 300_000
LEAST_PICTURE_BYTES = 5_000

every_notebook = pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)


def executed():
    """The notebooks, those that start Ray with its marker."""
    for path in notebooks():
        starts_ray = 'executor=\\"ray\\"' in path.read_text(encoding="utf-8")
        yield pytest.param(path, marks=[pytest.mark.ray] * starts_ray, id=path.stem)


def code_cells(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


@pytest.mark.slow
@pytest.mark.parametrize("path", list(executed()))
def test_a_notebook_runs_from_a_clean_kernel_and_shows_again_what_it_shows_everywhere(path):
    stored, fresh = read(path), execute(path)
    for before, after in zip(code_cells(stored), code_cells(fresh), strict=True):
        kinds = [output.output_type for output in after.outputs]
        assert "error" not in kinds
        assert not [o.text for o in after.outputs if o.get("name") == "stderr"]
        if REPRODUCIBLE in before.metadata.get("tags", ()):
            assert texts(after) == texts(before), before.source
            assert texts(after) != []
        else:
            assert len(kinds) == len(before.outputs), before.source
    assert len(pictures(fresh)) == len(pictures(stored))
    assert all(len(base64.b64decode(png)) > LEAST_PICTURE_BYTES for png in pictures(fresh))


@every_notebook
def test_a_notebook_stands_executed_with_pictures_and_is_small(path):
    book = read(path)
    nbformat.validate(book)
    cells = code_cells(book)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert pictures(book)
    assert path.stat().st_size < MOST_BYTES
    assert any(REPRODUCIBLE in cell.metadata.get("tags", ()) for cell in cells)


@every_notebook
def test_a_notebook_holds_nothing_of_the_machine_it_ran_on(path):
    book = read(path)
    assert book.metadata == METADATA
    shown = "\n".join(text for cell in code_cells(book) for text in texts(cell))
    assert not re.search(r"/(tmp|home|root|work)/|site-packages|Warning| at 0x", shown)
    assert not [o for cell in code_cells(book) for o in cell.outputs if o.get("name") == "stderr"]


@every_notebook
def test_a_notebook_is_stored_as_the_program_writes_it(path):
    text = path.read_text(encoding="utf-8")
    book = json.loads(text)
    assert nbformat.writes(nbformat.from_dict(book)) == text.rstrip("\n")
    assert all(set(cell["metadata"]) <= {"tags"} for cell in book["cells"])


def test_the_page_of_the_notebooks_lists_every_one_of_them():
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| \[\w+\]\((.+?\.ipynb)\)", page, re.MULTILINE) == [
        path.name for path in notebooks()
    ]
