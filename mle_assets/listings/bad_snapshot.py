"""The one error of reading and cleaning: what is wrong with a snapshot, in a sentence that fits on a line."""

import re

# Up to the last @ before a slash; else, if what follows the first colon is no port, up to the last @ of all, because
# a password that was not escaped may hold slashes.
_USER_AND_PASSWORD = re.compile(r"(?<=://)(?:[^/?#]*|[^/?#@:]*:(?!\d+(?:/|$)).*)@")


class BadSnapshot(Exception):
    """A snapshot cannot be used; the message names the file, what is wrong with it and the cure."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(one_line(f"The snapshot {without_password(source) or repr(source)} {problem}"))


def without_password(source: str) -> str:
    """The path or URL with three stars in place of a user and password."""
    return _USER_AND_PASSWORD.sub("***@", source, count=1)


def one_line(text: str) -> str:
    """The text with everything that cannot be printed (line breaks, NUL, broken names) as an escape."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
