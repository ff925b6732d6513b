"""Writes the tables of keys in study_file.md from what the code says of each key.

A table stands between the name of its class and an end, both in comments. After a change of a key run
``python docs/generate.py``; a test holds the page to the code.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from npu_tune.tuning import run_sections, sections

PAGE = Path(__file__).with_name("study_file.md")
TABLE = re.compile(r"<!-- (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def page(text: str) -> str:
    """The page with every table written anew."""
    known = vars(sections) | vars(run_sections)
    return TABLE.sub(lambda found: _marked(known[found[1]]), text)


def _marked(section: type[BaseModel]) -> str:
    rows = [
        f"| `{field.alias or name}` | {_default(field)} | {field.description} |"
        for name, field in section.model_fields.items()
    ]
    if others := getattr(section, "others", None):
        rows.append(f"| any other | | {others} |")
    head = ["| key | default | meaning |", "|---|---|---|"]
    lines = [f"<!-- {section.__name__} -->", *head, *rows, "<!-- end -->"]
    return "\n".join(line.replace("|  |", "| |") for line in lines)


def _default(field: FieldInfo) -> str:
    stated = (field.json_schema_extra or {}).get("default")
    if stated:
        return stated
    if field.is_required():
        return ""
    value = field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"{value:g}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
