"""What a person at a terminal sees besides the result: what to do next, and that something long is under way.

Both go to standard error, and only where both streams are terminals: what a program reads is the result alone.
"""

import shlex
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

import click
from click.core import ParameterSource
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

from model_registry.cli.terminal import print_wrapped

WHY = ("--reason", '"..."')
"""In a command that is suggested, what a person has to say themselves."""
_DIGITS = 4


def is_watched() -> bool:
    """Whether a person reads along."""
    return Console().is_terminal and Console(stderr=True).is_terminal


def suggest(sentence: str) -> None:
    """Say what to do next."""
    if is_watched():
        print_wrapped(sentence, err=True)


def command(*words: str) -> str:
    """A `models` command to be typed, with the registry and the market that this one was told before its name."""
    context = click.get_current_context().find_root()
    told = [
        word
        for option, name in (("--registry", "place"), ("--market", "market"))
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        for word in (option, shlex.quote(str(context.params[name])))
    ]
    return f"`{' '.join(['models', *told, *words])}`"


def short(version: str, versions: Iterable[str]) -> str:
    """The first digits of a version's id that no other one has; the whole id where it ends in none."""
    digits = version.rpartition("-")[2]
    for length in range(_DIGITS, len(digits)):
        if not any(digits[:length] in other for other in versions if other != version):
            return digits[:length]
    return version


@contextmanager
def under_way(what: str, steps: int | None = None) -> Generator[Callable[[], None]]:
    """Tell what is under way as long as the block runs, and for how long; what is given counts a step as done."""
    columns: list[ProgressColumn] = [TextColumn("{task.description} …", markup=False), TimeElapsedColumn()]
    if steps is not None:
        columns[1:1] = [BarColumn(), MofNCompleteColumn()]
    progress = Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not is_watched(),
    )
    with progress:
        task = progress.add_task(what, total=steps)
        yield lambda: progress.advance(task)
