"""How many files a process may have open."""

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None

SPARE = 128
"""For everything that is no connection: the registry's files, the log, the libraries'."""
BURST = 2048
"""Connections that may be accepted in one turn of the event loop (uvicorn's backlog), before any of them is closed."""


def connections_at_most(wanted: int) -> tuple[int, int]:
    """The connections that the process can hold open at once, at most so many; and how many more for a moment.

    Raises the process's limit of descriptors as far as it is allowed to, with room for a burst; where even so many
    connections cannot be open, the limit decides.
    """
    allowed = _allowed(wanted + BURST + SPARE)
    if allowed is None:
        return wanted, BURST
    connections = max(1, min(wanted, allowed - SPARE))
    return connections, max(SPARE // 4, min(BURST, allowed - SPARE - connections))


def _allowed(wanted: int) -> int | None:
    # None where there is no limit.
    if resource is None:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            return soft  # macOS allows less than it says: the present limit decides
    return max(soft, wanted)
