"""The connections to an object store, and how long is waited for what on them.

obstore's settings are the store's own usual variables, which it reads itself: AWS_ENDPOINT, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION and the like, GOOGLE_* and AZURE_*.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from obstore.store import ObjectStore, from_url

if TYPE_CHECKING:
    from obstore.store import ClientConfig

CONNECT_SECONDS = 3.0
READ_SECONDS = 10.0
"""For so long the store may send nothing of what it was asked for."""
REQUEST_SECONDS = 120.0
"""In this time an object comes or goes whole; the largest, a registry's model, have some forty megabytes."""
RETRY_SECONDS = 5.0
"""For so long a request that failed is tried again."""
QUICK_BYTES = 1_000_000
"""An object of no more bytes is on the store within READ_SECONDS, if a large one is within REQUEST_SECONDS."""


class Clients(NamedTuple):
    """Two clients of one store: the time that a store may be silent also runs while it is being sent an object."""

    quick: ObjectStore
    """Gives up a store that is silent for READ_SECONDS."""
    patient: ObjectStore
    """Gives a request up after REQUEST_SECONDS only."""

    @classmethod
    def of(cls, url: str, retry_seconds: float) -> "Clients":
        """The clients of a URL's store, which ask it nothing yet; raises BaseError where its variables are wrong."""

        def client(options: "ClientConfig") -> ObjectStore:
            return from_url(
                url,
                client_options={
                    "allow_http": True,  # the endpoint's own address says whether it is encrypted
                    "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                    "timeout": timedelta(seconds=REQUEST_SECONDS),
                    **options,
                },
                retry_config={
                    "max_retries": 3,
                    "retry_timeout": timedelta(seconds=retry_seconds),
                    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1)},
                },
            )

        return cls(client({"read_timeout": timedelta(seconds=READ_SECONDS)}), client({}))

    def to_send(self, content: bytes) -> ObjectStore:
        """The client that has the time to send so much: a store that hangs is to hold nobody up over a small object."""
        return self.quick if len(content) <= QUICK_BYTES else self.patient
