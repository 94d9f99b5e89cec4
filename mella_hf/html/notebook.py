"""Small tables for a terminal and for a notebook; the repr of results uses them."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

Rows = Sequence[Sequence[str]]
LARGEST_FRAME = 2_000_000  # bytes; a notebook keeps what it shows in its file


@dataclass(frozen=True)
class ShownTable:
    """A result as a table.

    Attributes:
        title: the most important in one line.
        header, rows: the first column names the rows.
        notes: lines below the table.
    """

    title: str
    header: Sequence[str]
    rows: Rows
    notes: Sequence[str] = ()


class Shown:
    """A result that prints as its table, and shows it as HTML in a notebook."""

    def _table(self) -> ShownTable:
        raise NotImplementedError

    def __repr__(self) -> str:
        table = self._table()
        lines = [text_table(table.header, table.rows)] if table.rows else []
        return "\n".join([f"{type(self).__name__}: {table.title}", *lines, *table.notes])

    def _repr_html_(self) -> str:
        table = self._table()
        return html_table(table.title, table.header, table.rows, "\n".join(table.notes))


def text_table(header: Sequence[str], rows: Rows) -> str:
    """A table for a terminal. Columns of numbers are aligned to the right."""
    numeric = _numeric(header, rows)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in [header, *rows]:
        cells = zip(row, widths, numeric, strict=True)
        lines.append("  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells))
    return "\n".join(line.rstrip() for line in lines)


def html_table(caption: str, header: Sequence[str], rows: Rows, note: str = "") -> str:
    """The same as HTML, for `_repr_html_`. All texts are escaped.

    Args:
        caption: stands above the table.
        note: stands below it.
    """
    styles = [f' style="text-align:{"right" if right else "left"}"' for right in _numeric(header, rows)]
    head = "".join(f'<th scope="col"{how}>{escape(cell)}</th>' for cell, how in zip(header, styles, strict=True))
    body = "".join(f"<tr>{_row(row, styles)}</tr>" for row in rows)
    table = f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    below = escape(note).replace("\n", "<br>")
    return f"{table}<p><small>{below}</small></p>" if note else table


def page_frame(page: Path) -> str:
    """A self-contained page inline in a notebook, with a link to it; "" for a page of more than `LARGEST_FRAME`.

    The page cannot reach the notebook: it runs its own script and no other, in an origin of its own.
    """
    if page.stat().st_size > LARGEST_FRAME:
        return ""
    # A frame has no address, so that links to parts of its page would load the notebook.
    content = escape(page.read_text("utf-8").replace("<head>", '<head><base href="about:srcdoc">', 1))
    style = "width:100%;height:42rem;border:1px solid #888"
    frame = f'<iframe title="{escape(page.name)}" sandbox="allow-scripts" style="{style}" srcdoc="{content}"></iframe>'
    return frame + page_link(page)


def page_link(page: Path) -> str:
    """A link to a page, for a notebook."""
    return f'<p><a href="{escape(page.resolve().as_uri())}">{escape(str(page))}</a></p>'


def _row(row: Sequence[str], styles: Sequence[str]) -> str:
    first = f'<th scope="row"{styles[0]}>{escape(row[0])}</th>'
    return first + "".join(f"<td{how}>{escape(cell)}</td>" for cell, how in zip(row[1:], styles[1:], strict=True))


def _numeric(header: Sequence[str], rows: Rows) -> list[bool]:
    """Whether each column holds numbers alone, or dashes for what was not measured."""
    return [i > 0 and all(row[i][:1] in "0123456789+-–−" for row in rows) for i in range(len(header))]
