"""How many files a process may have open."""

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None

SPARE = 128
"""For everything that is no connection: the registry's files, the log, the libraries'."""
BURST = 2048
"""Connections that may be accepted in one turn of the event loop (uvicorn's backlog), before any of them is closed."""


def open_at_most(connections: int) -> int:
    """The connections that the process can hold open at once, at most so many.

    Raises the process's limit as far as it is allowed to, with room for a burst; where even so many cannot be open, the
    limit decides.
    """
    if resource is None:
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + BURST + SPARE
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            pass  # macOS allows less than it says: the present limit decides
    if soft == resource.RLIM_INFINITY:
        return connections
    return max(1, min(connections, soft - SPARE))
