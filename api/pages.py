"""Pages: contents that stay as they are, compressed once, that ask for nothing from elsewhere."""

import gzip
import hashlib
from dataclasses import dataclass

from litestar import Request, Response
from litestar.datastructures import State
from litestar.status_codes import HTTP_304_NOT_MODIFIED

ApiRequest = Request[None, None, State]

_POLICY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
_ASK_AGAIN = "no-cache"
FOR_A_DAY = "public, max-age=86400"


@dataclass(frozen=True)
class Page:
    """A content that stays as it is, as it is and compressed, and how long a browser may keep it."""

    content: bytes
    compressed: bytes
    tag: str
    media_type: str
    caching: str

    @classmethod
    def of(cls, content: bytes, media_type: str, caching: str = _ASK_AGAIN) -> "Page":
        """The page with this content, compressed once."""
        tag = hashlib.sha256(content).hexdigest()[:16]
        return cls(content, gzip.compress(content, mtime=0), tag, media_type, caching)

    def answer(self, request: ApiRequest) -> Response[bytes | None]:
        """The page, compressed for who takes that; 304 for who has it already."""
        compressed = takes_gzip(request.headers.get("Accept-Encoding", ""))
        tag = f'"{self.tag}-gzip"' if compressed else f'"{self.tag}"'
        headers = {**_POLICY, "Cache-Control": self.caching, "ETag": tag}
        known = {one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")}
        if tag in known or "*" in known:
            return Response(None, status_code=HTTP_304_NOT_MODIFIED, headers=headers)
        if compressed:
            headers["Content-Encoding"] = "gzip"
        return Response(self.compressed if compressed else self.content, media_type=self.media_type, headers=headers)


def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header lets an answer be compressed with gzip."""
    weights: dict[str, float] = {}
    for one in accepted.lower().split(","):
        coding, _, weight = one.partition(";")
        try:
            weights[coding.strip()] = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            weights[coding.strip()] = 0
    return weights.get("gzip", weights.get("*", 0)) > 0
