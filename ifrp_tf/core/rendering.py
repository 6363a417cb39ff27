"""Text for people: templates (which are package data), tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jinja2


def render(package: str, template: str, /, **values: Any) -> str:
    """Fills a template.

    In `.html` templates every value is escaped, unless it is a `markupsafe.Markup` or marked `safe`. They can
    extend `page.html` and so share its style sheet.

    Args:
        package: that holds the folder `templates`, such as `"ifrp_tf.recovery"`.
        template: its file name.
        **values: what it names; one that is missing is an error.

    Returns:
        The text, ending in a line feed.

    Raises:
        jinja2.TemplateNotFound: the package has no such template.
        jinja2.UndefinedError: a value is missing.

    Example:
        >>> "&lt;b&gt;" in render("ifrp_tf.core", "page.html", title="<b>")
        True
    """
    loaders = [jinja2.PackageLoader(each) for each in dict.fromkeys((package, "ifrp_tf.core"))]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**values)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """A table in Markdown; bars inside cells are escaped.

    Args:
        header: names of the columns.
        rows: cells, as many in each as in `header`.
        left: number of columns, from the first, that are aligned to the left; the others hold numbers.

    Returns:
        Lines without a line feed at the end.

    Example:
        >>> print(markdown_table(["style", "PSNR"], [["a|b", "15.2"]]))
        | style | PSNR |
        | --- | ---: |
        | a\\|b | 15.2 |
    """
    marks = ["---"] * left + ["---:"] * (len(header) - left)
    lines = [_escaped(header), marks, *(_escaped(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _escaped(cells: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|") for cell in cells]
