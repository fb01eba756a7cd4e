"""A table for the terminal that goes on below where its columns do not fit: no figure is cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_EDGES, _GAP = 2, 3  # of box.SIMPLE_HEAD: blanks around a row, and between two columns
_SHORTEST = 24  # a name may be folded only beyond this and half of the terminal


@dataclass(frozen=True)
class Column:
    """A title, of several lines perhaps, and a cell a row."""

    title: str
    cells: Sequence[str]

    @property
    def width(self) -> int:
        """Of its widest line."""
        return max(cell_len(line) for text in (self.title, *self.cells) for line in _lines(text))


@dataclass(frozen=True)
class FittedTable:
    """Names at the left and figures beside them, in as many tables as the width needs.

    bold: the rows that stand out, by name.
    """

    title: str
    caption: str
    names: Column
    columns: Sequence[Column]
    bold: frozenset[str] = frozenset()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The tables, one below the other."""
        room = options.max_width
        left = min(self.names.width, max(room // 2, _SHORTEST))
        parts = split(self.columns, room - _EDGES - left)
        for i, part in enumerate(parts):
            title = self.title if i == 0 else None
            yield self._table(part, left, title, self.caption if part is parts[-1] else None)

    def _table(
        self, columns: Sequence[Column], left: int, title: str | None, caption: str | None
    ) -> Table:
        drawn = Table(title=Text(title) if title else None, caption=caption, box=box.SIMPLE_HEAD)
        drawn.pad_edge = False
        drawn.add_column(Text(self.names.title), overflow="fold", min_width=left, max_width=left)
        for column in columns:
            drawn.add_column(Text(column.title, justify="right"), justify="right", no_wrap=True)
        for name, *cells in zip(self.names.cells, *(c.cells for c in columns), strict=True):
            style = "bold" if name in self.bold else ""
            drawn.add_row(Text(name, style=style), *map(Text, cells))
        return drawn


def split(columns: Sequence[Column], room: int) -> list[list[Column]]:
    """Columns in order, as many together as fit into `room` with a gap before each; at least one.

    >>> [len(part) for part in split([Column("AUROC", ["0.9"])] * 3, 17)]
    [2, 1]
    """
    parts: list[list[Column]] = [[]]
    used = 0
    for column in columns:
        wanted = _GAP + column.width
        if parts[-1] and used + wanted > room:
            parts.append([])
            used = 0
        parts[-1].append(column)
        used += wanted
    return parts


def _lines(text: str) -> list[str]:
    return text.splitlines() or [""]
