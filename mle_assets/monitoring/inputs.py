"""«drift»: the listings asked about lately, beside those that the versions learned from which answered."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Self

import dagster as dg
import msgspec
import pandas as pd

from mle_assets.code_version import code_version
from mle_assets.io_managers import FolderIOManager
from mle_assets.monitoring.drift import Drift, Verdict, judge
from mle_assets.monitoring.served import Monitoring, tables_of
from mle_assets.monitoring.tables import DAY, PROBABILITIES
from mle_assets.monitoring.window import different_listings
from mle_assets.pictures.look import Picture
from mle_assets.pictures.metadata import Pictures
from mle_assets.pictures.monitoring import drift_chart, index_bars
from mle_assets.places import replace_file
from mle_assets.release.answers import answers_in
from mle_assets.release.champion import Release
from model_registry.history import HistoryDamaged
from model_registry.listing import CATEGORIES, FEATURES, RoomType
from model_registry.manifest import Manifest, ManifestRefused
from model_registry.market import Market
from model_registry.store import Registry, UnknownVersion

_NOBODY = "Nobody has asked about a listing"


class DriftReport(msgspec.Struct, frozen=True):
    """What is to be said of each version that answered between two moments (seconds since 1970), by its id.

    `champion` is the version in production, and None where there is none; `unjudged` says why a version is not judged.
    """

    since: float
    until: float
    champion: str | None
    versions: dict[str, Drift]
    unjudged: dict[str, str]

    @property
    def current(self) -> Drift:
        """Of the version in production."""
        known = self.versions.get(self.champion or "")
        why = self.unjudged.get(self.champion or "", f"{_NOBODY} in these days that it could be judged by.")
        return known or Drift("not enough data", why, 0, 0)

    @property
    def verdict(self) -> Verdict:
        """Of the version in production."""
        return self.current.verdict

    def write(self, folder: Path) -> None:
        """Write drift.json."""
        replace_file(folder / "drift.json", msgspec.json.format(msgspec.json.encode(self)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read drift.json."""
        return msgspec.json.decode((folder / "drift.json").read_bytes(), type=cls)


def manifests_in(registry: Registry) -> Callable[[str], Manifest | str]:
    """From a version to its manifest, or why there is none to be read; each is read once."""
    read = dict[str, Manifest | str]()

    def manifest(version: str) -> Manifest | str:
        if version not in read:
            try:
                read[version] = registry.manifest(version)
            except (UnknownVersion, ManifestRefused, OSError) as error:
                read[version] = str(error)
        return read[version]

    return manifest


def champion_of(registry: Registry) -> str | None:
    """The version in production; None where there is none, or the pointer to it cannot be read."""
    try:
        pointer = registry.champion()
    except (HistoryDamaged, OSError):
        return None
    return pointer.version if pointer else None


def drift_report(
    answers: pd.DataFrame,
    champion: str | None,
    manifest: Callable[[str], Manifest | str],
    since: float,
    until: float,
) -> DriftReport:
    """What is to be said of the versions that gave some answers."""
    versions, unjudged = dict[str, Drift](), dict[str, str]()
    for version, given in answers.groupby("version"):
        known = manifest(str(version))
        if isinstance(known, str):
            unjudged[str(version)] = f"Its manifest cannot be read: {known}."
        elif known.profile is None:
            unjudged[str(version)] = "It was published before profiles were kept with versions."
        else:
            window = different_listings(given, known.market)
            versions[str(version)] = judge(known.profile, answers_in(known), window)
    return DriftReport(since, until, champion, versions, unjudged)


@dg.asset(
    deps=["served_listings"],
    group_name="monitoring",
    io_manager_key="artefacts",
    code_version=code_version(__file__),
    kinds={"json"},
)
def drift(
    monitoring: Monitoring,
    artefacts: dg.ResourceParam[FolderIOManager],
    release: Release,
    market: dg.ResourceParam[Market],
    pictures: Pictures,
) -> dg.MaterializeResult[DriftReport]:
    """Whether the listings asked about lately are still like those that the versions learned from which answered."""
    registry, now = release.registries().of(market.name), time.time()
    since, columns = now - monitoring.drift_days * DAY, ["version", "id", *FEATURES, *PROBABILITIES]
    tables = tables_of(artefacts, market.name)
    with tables.place.in_words():
        answers = tables.since("answers", since, columns)
    report = drift_report(answers, champion_of(registry), manifests_in(registry), since, now)
    return dg.MaterializeResult(
        value=report,
        metadata=drift_metadata(report, pictures.of(partial(drift_pictures, report, market))),
    )


def drift_metadata(report: DriftReport, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """The champion's verdict, pictures, figures under plain names so that Dagster plots them over time, and tables."""
    current = report.current
    farthest = current.shifts[0].index if current.shifts else None
    return {
        "champion": report.champion or "none",
        "verdict": current.verdict,
        "reason": current.reason,
        "listings": current.listings,
        "answers": current.answers,
        **drawn,
        **({} if farthest is None else {"farthest_index": round(farthest, 4)}),
        **{f"index_{shift.name.replace(' ', '_')}": round(shift.index, 4) for shift in current.shifts},
        "distributions": dg.MetadataValue.table(
            [
                dg.TableRecord(
                    {
                        "distribution": shift.name + (" ← drift" if shift.is_drift else ""),
                        "index": round(shift.index, 4),
                        "limit": round(shift.limit, 4),
                        "by chance": round(shift.by_chance, 4),
                    }
                )
                for shift in current.shifts
            ],
            schema=dg.TableSchema(
                [
                    dg.TableColumn("distribution", "string"),
                    *(dg.TableColumn(name, "float") for name in ("index", "limit", "by chance")),
                ]
            ),
        ),
        "versions": dg.MetadataValue.table(
            [
                *(
                    dg.TableRecord({"version": name, "verdict": one.verdict, "answers": one.answers, "why": one.reason})
                    for name, one in report.versions.items()
                ),
                *(
                    dg.TableRecord({"version": name, "verdict": "not judged", "answers": 0, "why": why})
                    for name, why in report.unjudged.items()
                ),
            ],
            schema=dg.TableSchema(
                [
                    dg.TableColumn("version", "string"),
                    dg.TableColumn("verdict", "string"),
                    dg.TableColumn("answers", "int"),
                    dg.TableColumn("why", "string"),
                ]
            ),
        ),
    }


def drift_pictures(report: DriftReport, market: Market) -> dict[str, Picture]:
    """The champion's distributions side by side, and how far they are apart; none where it is not judged."""
    shifts = report.current.shifts
    if not shifts:
        return {}
    names: dict[str, tuple[str, ...]] = {
        "neighbourhood": market.neighbourhoods,
        "room_type": tuple(RoomType),
        **dict.fromkeys(("tv", "elevator", "internet"), ("no", "yes")),
    }
    told = {shift.name: names.get(shift.name, () if shift.edges else tuple(CATEGORIES)) for shift in shifts}
    return {"side_by_side": drift_chart(shifts, told, report.current.listings), "indices": index_bars(shifts)}


@dg.asset_check(asset=drift)
def inputs_have_not_drifted(drift: DriftReport) -> dg.AssetCheckResult:
    """The listings asked about are like those that the champion learned from, as far as they are enough to tell."""
    farthest = drift.current.shifts[0] if drift.current.shifts else None
    metadata: dict[str, Any] = {"listings": drift.current.listings, "verdict": drift.verdict}
    if farthest:
        metadata |= {"farthest": farthest.name, "index": farthest.index, "most": farthest.limit}
    return dg.AssetCheckResult(
        passed=drift.verdict != "drift",
        severity=dg.AssetCheckSeverity.WARN,
        description=drift.current.reason,
        metadata=metadata,
    )
