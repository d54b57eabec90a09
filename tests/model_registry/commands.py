"""The `models` command, as a program and as a terminal see it."""

import click
from click.testing import CliRunner, Result

from model_registry.cli.main import models
from model_registry.store import Registry


def run(registry: Registry, *arguments: str) -> Result:
    """The command as a program sees it: its output is no terminal."""
    return CliRunner().invoke(models, [*_of(registry), *arguments])


def in_terminal(registry: Registry, width: int, *arguments: str) -> str:
    """The result that the command prints in a terminal of some width."""
    result = watched(registry, width, *arguments)
    assert result.exit_code == 0, result.output
    return click.unstyle(result.stdout)


def watched(registry: Registry, width: int, *arguments: str) -> Result:
    """The command as a person at a terminal of some width sees it; what is said beside the result is its stderr."""
    environment = {"COLUMNS": str(width), "TTY_COMPATIBLE": "1", "TERM": "xterm"}
    return CliRunner().invoke(models, [*_of(registry), *arguments], env=environment)


def _of(registry: Registry) -> list[str]:
    shared, _, market = str(registry.place).rpartition("/")
    return ["--registry", shared, "--market", market]
