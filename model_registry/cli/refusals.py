"""From an expected error to its sentence on standard error and its exit code."""

import sys
from collections.abc import Generator
from contextlib import contextmanager

import click

from model_registry.archive import BadArchive
from model_registry.classifier import ModelRefused
from model_registry.disk import RegistryBusy
from model_registry.history import HistoryDamaged
from model_registry.manifest import ManifestRefused
from model_registry.store import NothingToRollBackTo, UnknownVersion

EXIT_REFUSED, EXIT_BUSY = 1, 3

_REFUSALS = (
    BadArchive,
    FileExistsError,
    HistoryDamaged,
    ManifestRefused,
    ModelRefused,
    NothingToRollBackTo,
    UnknownVersion,
)


@contextmanager
def in_words() -> Generator[None]:
    """Turn an expected error into its sentence on standard error and the exit code for it."""
    try:
        yield
    except RegistryBusy as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_BUSY)
    except FileExistsError as error:
        click.echo(f"Error: {error.filename2 or error.filename} is there already: choose another name.", err=True)
        sys.exit(EXIT_REFUSED)
    except _REFUSALS as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_REFUSED)
