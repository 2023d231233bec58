"""Leave references that a docstring spells out for ``help()`` to the site's one list of them."""

from typing import Any


def _without_references(_app: Any, _what: str, _name: str, _obj: Any, _o: Any, lines: Any) -> None:
    if "References" in lines:
        del lines[lines.index("References") :]


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx what to do with a docstring before napoleon reads it."""
    app.connect("autodoc-process-docstring", _without_references, priority=400)
    return {"parallel_read_safe": True}
