"""A directive that lists the references of a BibTeX file as citations.

Docstrings and pages cite a key as ``[Key]_``; the file is the only home of what a key stands for.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

_ENTRY = re.compile(r"@\w+\{(?P<key>\w+),(?P<body>.*?)\n\}", re.DOTALL)
_FIELD = re.compile(r"(\w+)\s*=\s*\{(.*?)\},?\s*(?=\n\s*\w+\s*=|\Z)", re.DOTALL)


def read(path: Path) -> dict[str, dict[str, str]]:
    """Return the fields of every entry, by key."""
    return {
        found["key"]: {
            name: re.sub(r"[{}]|\s*\n\s*", lambda m: " " if "\n" in m[0] else "", value).strip()
            for name, value in _FIELD.findall(found["body"])
        }
        for found in _ENTRY.finditer(path.read_text(encoding="utf-8"))
    }


def written(entry: dict[str, str]) -> str:
    """Write an entry on one line of reStructuredText."""
    authors = entry["author"].replace(" and ", "; ")
    where = entry.get("journal") or entry.get("booktitle") or entry.get("publisher", "")
    numbers = "".join(f", {entry[name]}" for name in ("volume", "pages") if name in entry)
    online = f" :literal:`{entry['doi']}`" if "doi" in entry else ""
    return f"{authors} ({entry['year']}). {entry['title']}. *{where}*{numbers}.{online}"


class Bibliography(SphinxDirective):
    """``.. bibliography:: references.bib``: one citation for each entry."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write the citations."""
        path = Path(self.env.doc2path(self.env.docname)).parent / self.arguments[0]
        self.env.note_dependency(str(path))
        lines = [f".. [{key}] {written(entry)}" for key, entry in sorted(read(path).items())]
        parent = nodes.container(classes=["bibliography"])
        self.state.nested_parse(StringList(lines, str(path)), 0, parent)
        return [parent]


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    app.add_directive("bibliography", Bibliography)
    return {"parallel_read_safe": True}
