"""Renders equations as MathML when the site is built, so that its pages load no script from elsewhere."""

from typing import Any

import math_core
from docutils import nodes
from sphinx.util.math import get_node_equation_number

CONVERTER = math_core.LatexToMathML(annotation=True, fancy_error=False)


def setup(app: Any) -> dict[str, bool]:
    """Registers the renderer, which Sphinx uses as the only one that is registered."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def visit_inline(writer: Any, node: Any) -> None:
    """Writes an equation in a line."""
    writer.body.append(to_mathml(node.astext(), block=False))
    raise nodes.SkipNode


def visit_block(writer: Any, node: Any) -> None:
    """Writes an equation on lines of its own, with its number if it has one."""
    number = f'<span class="eqno">({get_node_equation_number(writer, node)})</span>' if node["number"] else ""
    equation = to_mathml(node.astext(), block=True)
    writer.body.append(f"{writer.starttag(node, 'div', CLASS='math')}{number}{equation}</div>")
    raise nodes.SkipNode


def to_mathml(latex: str, block: bool) -> str:
    """Converts an equation; raises `math_core.LatexError` if it contains an unknown command."""
    return CONVERTER.convert_with_local_state(latex, displaystyle=block)
