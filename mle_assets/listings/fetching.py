"""From a path or URL to an open file."""

import re
import stat
import tempfile
import urllib.parse
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.downloading import IDLE_SECONDS, TOTAL_SECONDS, download

_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_COPIES = {
    "ftp": "curl -O",
    "sftp": "sftp",
}


@contextmanager
def fetched(
    source: str, idle_seconds: float = IDLE_SECONDS, total_seconds: float = TOTAL_SECONDS
) -> Generator[BinaryIO]:
    """What lies at a path or a URL (file, http(s), s3, gs, az), open for reading; a download is deleted afterwards.

    Raises BadSnapshot for a source that is missing, no file, or cannot be downloaded in time.
    """
    scheme = _SCHEME.match(source)
    match scheme[1].lower() if scheme else "":
        case "":
            with _opened(source, source) as file:
                yield file
        case "file":
            with _opened(source, _path_of(source)) as file:
                yield file
        case "http" | "https":
            with tempfile.TemporaryFile() as file:
                download(source, file, idle_seconds, total_seconds)
                file.seek(0)
                yield file
        case "s3" | "gs" | "az":
            from mle_assets.listings.objects import copy_object  # here: few have a store, and its client takes its time

            with tempfile.TemporaryFile() as file:
                copy_object(source, file, total_seconds)
                file.seek(0)
                yield file
        case other:
            copy = f" ({_COPIES[other]})" if other in _COPIES else ""
            raise BadSnapshot(
                source, f"has an address of {other}://, which is not read here: copy the file to this machine{copy}."
            )


def _path_of(file_url: str) -> str:
    host, _, path = file_url.strip()[len("file://") :].partition("/")
    if host.lower() not in ("", "localhost"):
        raise BadSnapshot(file_url, f"is a file of another machine ({host}): file:///folder/name has three slashes.")
    return "/" + urllib.parse.unquote(path)


def _opened(source: str, name: str) -> BinaryIO:
    if not name.strip():
        raise BadSnapshot(source, "is an empty name: give the path of a csv, csv.gz or parquet file, or a URL.")
    try:
        path = Path(name).expanduser()
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise BadSnapshot(source, "is a folder: name the file in it.")
        if not stat.S_ISREG(kind):
            raise BadSnapshot(source, "is a pipe or a device: write what it gives to a file, and name that.")
        return path.open("rb")
    except RuntimeError as error:
        user = name.split("/")[0]
        raise BadSnapshot(source, f"begins with {user}, and there is no such user here: write the path out.") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadSnapshot(source, _not_there(name)) from error
    except PermissionError as error:
        raise BadSnapshot(source, "may not be read by this user: chmod a+r it, and a+x the folders above.") from error
    except (OSError, ValueError) as error:
        raise BadSnapshot(
            source, f"cannot be opened ({getattr(error, 'strerror', None) or error}): check the path."
        ) from error


def _not_there(name: str) -> str:
    path = Path(name).expanduser()
    if path.is_symlink():
        return f"is a link to {path.readlink()}, which is not there: name the file itself."
    return "is not there: give the path of a csv, csv.gz or parquet file, or a URL."
