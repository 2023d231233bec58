"""Write mathematics as MathML, so that pages load nothing from anywhere to show it."""

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert


def _written(node: nodes.Element, display: str) -> str:
    """Convert a formula; latex2mathml lays out ``split`` and not its twin ``aligned``."""
    return convert(node.astext().replace("{aligned}", "{split}"), display=display)


def _inline(self: Any, node: nodes.Element) -> None:
    self.body.append(_written(node, "inline"))
    raise nodes.SkipNode


def _block(self: Any, node: nodes.Element) -> None:
    self.body.append(f'<div class="formula">{_written(node, "block")}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx of the renderer, ``html_math_renderer = "mathml"``."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True}
