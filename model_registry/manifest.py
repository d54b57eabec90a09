"""What is known about a published model: enough to trust it, explain it and make it again."""

import datetime
import hashlib

import msgspec

from model_registry.id_filter import IdFilter
from model_registry.listing import CATEGORIES, FEATURES, Listing, RoomType
from model_registry.market import NEW_YORK, Market
from model_registry.places import Places
from model_registry.profile import Profile

SCHEMA_VERSION = 6
"""The version that is written; every version up to it is read."""

_SINCE = {"profile": 2, "market": 3, "background": 4, "places": 5, "learned_from": 6}
"""The schema version that brought a field; the others were there from the start."""


class FileDigest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of the version must be: its SHA-256 (hex) and its size in bytes."""

    sha256: str
    bytes: int


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes in and what comes out: feature order, category codes (by position), class names."""

    features: tuple[str, ...]
    room_types: tuple[str, ...]
    neighbourhoods: tuple[str, ...]
    classes: tuple[str, ...]


def signature_of(market: Market) -> Signature:
    """The only signature this code serves for a market."""
    return Signature(
        features=FEATURES,
        room_types=tuple(RoomType),
        neighbourhoods=market.neighbourhoods,
        classes=CATEGORIES,
    )


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the data came from: `source` is a path, a URL or "synthetic"; `date` is the last day scraped."""

    source: str
    sha256: str
    date: datetime.date | None
    synthetic: bool


class Rows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many listings were read, kept, trained and tested on, and why the others were dropped."""

    raw: int
    kept: int
    train: int
    test: int
    dropped: dict[str, int]


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What made the model: Dagster runs, code, libraries."""

    run_id: str
    training_run_id: str
    git_commit: str | None
    code_versions: dict[str, str]
    libraries: dict[str, str]


class GoldenRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A listing and the probabilities (Low, Mid, High, Lux) the model gave it when it was published."""

    listing: Listing
    probabilities: tuple[float, float, float, float]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything known about one published version; written once, never changed.

    `market` is the one it was made for; before schema version 3 each was New York's. `metrics` holds "test" and
    "cross_validation" figures by name. `data_versions` maps the key of every upstream asset ("listings",
    "models/...") to the data version the model was made from. `profile` describes the listings it was trained on;
    schema version 1 had none. `background` are some of them, which explanations compare a listing with; before schema
    version 4 there were none. `places` is the map of them, if one can be drawn, and came with schema version 5.
    `learned_from` tells which listings they are, and came with schema version 6. `checksum` is the SHA-256 of the
    manifest's own file with an empty checksum, so that no byte of it can change unnoticed.
    """

    schema_version: int
    version: str
    candidate: str
    created_at: datetime.datetime
    model: FileDigest
    report: FileDigest
    signature: Signature
    metrics: dict[str, dict[str, float]]
    parameters: dict[str, str | int | float | bool | None]
    snapshot: Snapshot
    rows: Rows
    data_versions: dict[str, str]
    run: Run
    golden: tuple[GoldenRow, ...]
    profile: Profile | None = None
    market: Market = NEW_YORK
    background: tuple[Listing, ...] = ()
    places: Places | None = None
    learned_from: IdFilter | None = None
    checksum: str = ""


class ManifestRefused(Exception):
    """A manifest is not one this code understands, or not the one that was written."""


def digest(content: bytes) -> FileDigest:
    """The SHA-256 and size of a file's content."""
    return FileDigest(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def write_manifest(manifest: Manifest) -> bytes:
    """The content of manifest.json: indented JSON, sealed with its checksum."""
    checksum = hashlib.sha256(_encode(msgspec.structs.replace(manifest, checksum=""))).hexdigest()
    return _encode(msgspec.structs.replace(manifest, checksum=checksum))


def read_manifest(content: bytes) -> Manifest:
    """The manifest that `write_manifest` wrote, now or when the schema version was a lower one.

    Raises ManifestRefused for a later schema version, for anything that is not a manifest, and for a
    manifest of which a byte has changed.
    """
    try:
        schema_version = msgspec.json.decode(content, type=_AnyManifest).schema_version
        if not 1 <= schema_version <= SCHEMA_VERSION:
            raise ManifestRefused(
                f"the manifest has schema version {schema_version}, this code reads 1 to {SCHEMA_VERSION}: "
                "upgrade the code, or publish the model again"
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ManifestRefused(f"the manifest is damaged ({error}): publish the model again") from error
    except RecursionError:
        raise ManifestRefused("the manifest is damaged (nested too deeply): publish the model again") from None
    if write_manifest(manifest) != content:
        raise ManifestRefused("the manifest is not the one that was published: its checksum differs")
    return manifest


class _AnyManifest(msgspec.Struct):
    schema_version: int


def _encode(manifest: Manifest) -> bytes:
    fields = msgspec.structs.asdict(manifest)
    known = {name: value for name, value in fields.items() if _SINCE.get(name, 1) <= manifest.schema_version}
    return msgspec.json.format(msgspec.json.encode(known), indent=2)


def version_id(candidate: str, sha256: str) -> str:
    """The content-addressed id of a model: its candidate's name and 12 hex digits of its SHA-256."""
    return f"{candidate}-{sha256[:12]}"
