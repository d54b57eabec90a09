"""Text and tables for a terminal of any width, and whole where the output goes elsewhere."""

import re
import textwrap
from collections.abc import Iterable, Mapping

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

GAP = 2
"""The columns between two of a table."""
_READABLE = 80
_UNBOUNDED = 10_000
_WITHIN_A_COMMAND = "\0"
_WIDEST_LABEL = 36


def terminal_width() -> int | None:
    """The columns of the terminal, or None where the output goes into a file or a program."""
    console = Console()
    return console.width if console.is_terminal else None


def new_table() -> Table:
    """An empty table; its columns are added with `add_column`."""
    return Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)


def needed_width(table: Table) -> int:
    """The columns a table takes with nothing in it folded."""
    return Console(width=_UNBOUNDED).measure(table).maximum


def print_table(table: Table, *, fold: bool = True, indent: int = 0) -> None:
    """Print a table, folded into the terminal's width unless told not to."""
    width = terminal_width() if fold else None
    console = Console(width=width - indent if width else _UNBOUNDED, highlight=False)
    with console.capture() as printed:
        console.print(table, soft_wrap=width is None)
    for line in printed.get().splitlines():
        click.echo(f"{' ' * indent}{line}".rstrip())


def two_columns(lines: Mapping[str, str], label: int) -> Table:
    """Indented names beside their values, which begin after `label` columns and the gap."""
    table = Table.grid(padding=(0, GAP, 0, 0))
    table.add_column(overflow="fold", min_width=label)
    table.add_column(overflow="fold")
    for name, text in lines.items():
        table.add_row(f"  {name}", text)
    return table


def label_width(names: Iterable[str]) -> int:
    """The columns for indented names beside their values; the longest are folded."""
    return min(2 + max((len(name) for name in names), default=0), _WIDEST_LABEL)


def print_wrapped(text: str, *, indent: int = 0, hanging: int | None = None, err: bool = False) -> None:
    """Print a text, its lines after the first at `hanging`; none ends within a word (an id is one) or a `command`."""
    width = terminal_width()
    lines = textwrap.wrap(
        re.sub("`[^`]*`", lambda command: command[0].replace(" ", _WITHIN_A_COMMAND), text),
        width=min(width, _READABLE) if width else _UNBOUNDED,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent if hanging is None else hanging),
        break_long_words=False,
        break_on_hyphens=False,
    )
    click.echo("\n".join(lines).replace(_WITHIN_A_COMMAND, " "), err=err)
