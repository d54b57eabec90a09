"""From an expected error to its sentence on standard error and its exit code."""

import errno
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from model_registry.archive import BadArchive
from model_registry.classifier import ModelRefused
from model_registry.copying import CopyRefused
from model_registry.disk import RegistryBusy
from model_registry.history import HistoryDamaged
from model_registry.live import LiveDamaged
from model_registry.manifest import ManifestRefused
from model_registry.old_layout import TwoRegistries
from model_registry.registries import Registries, UnknownMarket
from model_registry.shadow import ShadowDamaged, ShadowRefused
from model_registry.store import NothingToRollBackTo, Registry, UnknownVersion
from prediction_log.erasing import LogBusy
from storage.errors import StoreAway, UnsafeStore

EXIT_REFUSED, EXIT_BUSY = 1, 3

_REFUSALS = (
    BadArchive,
    CopyRefused,
    HistoryDamaged,
    LiveDamaged,
    ManifestRefused,
    ModelRefused,
    NothingToRollBackTo,
    ShadowDamaged,
    ShadowRefused,
    TwoRegistries,
    UnknownMarket,
    UnknownVersion,
    UnsafeStore,
)
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def in_words(registry: Registry | None = None) -> Generator[None]:
    """Turn an expected error into its sentence and its exit code; a registry that is given has to be there."""
    try:
        if registry is not None and not registry.is_there():
            refuse(_not_there(registry))
        yield
    except (LogBusy, RegistryBusy) as error:
        _end(str(error), EXIT_BUSY)
    except FileExistsError as error:
        _end(f"{error.filename2 or error.filename} is there already: choose another name.", EXIT_REFUSED)
    except StoreAway as error:
        _end(str(error), EXIT_REFUSED)
    except OSError as error:
        _end(_of_the_disk(error), EXIT_REFUSED)
    except _REFUSALS as error:
        _end(str(error), EXIT_REFUSED)


def refuse(sentence: str) -> NoReturn:
    """End the command with a sentence that says what was wrong and how to cure it."""
    _end(sentence, EXIT_REFUSED)


def _not_there(registry: Registry) -> str:
    place = registry.place
    shared = place.parent if isinstance(place, Path) else place.rpartition("/")[0]
    others = Registries(shared).markets()
    if others:
        return (
            f"there is no registry {place}, only {', '.join(others)} beside it: name one of these with --market or "
            f"MARKET, or run the pipeline for {registry.market}"
        )
    another = "another folder" if isinstance(place, Path) else "another place"
    return (
        f"there is no registry {place}: run the pipeline, which makes it, or name {another} with --registry or "
        "MODEL_REGISTRY"
    )


def _end(sentence: str, code: int) -> NoReturn:
    click.echo(f"Error: {sentence}", err=True)
    sys.exit(code)


def _of_the_disk(error: OSError) -> str:
    if "://" in str(error.filename):
        return f"{error.filename} cannot be used ({error.strerror}): see to the address, and that its bucket is there"
    cure = (
        "run this as a user who may read and write it, or name another place"
        if error.errno in _NOT_ALLOWED
        else "look at the folder and its disk, or restore it from a back-up"
    )
    return f"{error.filename or 'the registry'} cannot be used ({error.strerror or error}): {cure}"
