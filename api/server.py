"""uvicorn's server, which says that it ends before it does."""

import asyncio
import gc
import socket

import uvicorn

from api.serving import Serving

COLLECT_AFTER = 10_000
"""So many new objects make the garbage collector look. Those of 64 requests under way are thousands and end by
themselves: at Python's 700 it looked several times a turn of the event loop, in vain."""


class Server(uvicorn.Server):
    """Goes on answering for a while after SIGTERM, not ready: a gateway sends its requests elsewhere by then.

    Without that, a request that is on its way when the port is closed fails, and one too large to be kept cannot be
    sent again.
    """

    def __init__(self, config: uvicorn.Config, serving: Serving, drain_seconds: float) -> None:
        """Serve what the configuration says."""
        super().__init__(config)
        self._serving, self._drain_seconds = serving, drain_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and have the garbage collector leave alone what is there: it is there to the end.

        Going through all of it takes tens of milliseconds, in which nobody is answered.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Be not ready, then close the port and finish what is under way."""
        self._serving.ending = True
        loop = asyncio.get_running_loop()
        end = loop.time() + self._drain_seconds
        while loop.time() < end and not self.force_exit:
            await asyncio.sleep(0.1)
        await super().shutdown(sockets)
