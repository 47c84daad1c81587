"""How commands print: what a line is about is never cut, and nobody's text is taken for a command."""

import os
import sys
from collections.abc import Collection

from rich.console import Console
from rich.table import Table

WIDE = 1000


def open_console() -> Console:
    """A terminal keeps its width. Into a file or a pipe lines are as long as they are, unless COLUMNS says otherwise."""
    has_width = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if has_width else WIDE)


def make_table(*names: str, whole: Collection[str] = ()) -> Table:
    """`whole`: the columns that must be read as they are; the others go on below where the terminal is narrow."""
    table = Table()
    for name in names:
        table.add_column(name, no_wrap=name in whole, overflow="ellipsis" if name in whole else "fold")
    return table


def plain(text: str) -> str:
    """Others' words, without what a terminal or rich would take for a command."""
    return "".join(char if char.isprintable() else "?" for char in text).replace("[", "\\[")
