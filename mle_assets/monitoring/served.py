"""«served_listings»: what the API answered and what it was told was true, from the prediction log."""

import time
from typing import Any

import dagster as dg
import msgspec
from pydantic import Field

from mle_assets.code_version import code_version
from mle_assets.failures import Refused
from mle_assets.io_managers import FolderIOManager
from mle_assets.monitoring.compaction import Compaction, Funnel, compact
from mle_assets.monitoring.tables import DayTables
from mle_assets.places import FolderPlace
from model_registry.market import Market
from prediction_log.logs import FolderLog, Log, log_at

KEY = dg.AssetKey("served_listings")


class Monitoring(dg.ConfigurableResource[None]):
    """Where the prediction log is, and how much of it is kept and looked at."""

    log_folder: str = Field(
        description="Path or URL of the prediction log (PREDICTION_LOG); empty where there is none."
    )
    served_days: int = Field(description="How many days of it are kept as tables (SERVED_DAYS).")
    drift_days: int = Field(description="How many days of answers «drift» looks at (DRIFT_DAYS).")
    feedback_days: int = Field(description="How many days feedback is waited for after an answer (FEEDBACK_DAYS).")

    def log(self) -> Log:
        """The log; ends the run in words where there is none."""
        if not self.log_folder:
            raise Refused("No prediction log is read: name its folder in PREDICTION_LOG, as for the API.")
        return log_at(self.log_folder)


def tables_of(artefacts: FolderIOManager, market: str) -> DayTables:
    """A market's tables of served listings."""
    return DayTables(artefacts.place(market, KEY))


@dg.asset(
    deps=["api"],
    group_name="monitoring",
    io_manager_key="artefacts",
    code_version=code_version(__file__),
    kinds={"parquet"},
)
def served_listings(
    monitoring: Monitoring, artefacts: dg.ResourceParam[FolderIOManager], market: dg.ResourceParam[Market]
) -> dg.MaterializeResult[Compaction]:
    """What the API answered for the market and was told was true, a table for each day, from the prediction log."""
    log, place = monitoring.log(), tables_of(artefacts, market.name).place
    try:
        done = compact(log, place, market.name, keep_days=monitoring.served_days, now=time.time())
    except OSError as error:
        cure = ": let this user read the one and write to the other" if isinstance(place, FolderPlace) else ""
        raise Refused(
            f"The prediction log {log.address} cannot be read, or its tables in {place.address} not written "
            f"({error.strerror or error}){cure}."
        ) from error
    return dg.MaterializeResult(
        value=done,
        metadata={
            "dagster/row_count": done.rows,
            "new_answers": done.answers.kept,
            "feedback": done.feedback_rows,
            "new_feedback": done.feedback.kept,
            "days": done.days,
            "damaged_lines": done.damaged,
            "erased": done.erased + done.answers.forgotten + done.feedback.forgotten,
            "missing_files": len(done.missing),
            "files_read": done.files_done + done.files_open,
            "funnel": _funnel_table({"answers": done.answers, "feedback": done.feedback}),
            "log": _shown(log),
        },
    )


def _shown(log: Log) -> dg.MetadataValue:
    if isinstance(log, FolderLog):
        return dg.MetadataValue.path(str(log.folder.resolve()))
    return dg.MetadataValue.text(log.address)


def _funnel_table(funnels: dict[str, Funnel]) -> dg.TableMetadataValue:
    parts = {kind: msgspec.structs.asdict(funnel) for kind, funnel in funnels.items()}
    return dg.MetadataValue.table(
        [
            dg.TableRecord({"lines": _PARTS[name], **{kind: counts[name] for kind, counts in parts.items()}})
            for name in _PARTS
        ],
        schema=dg.TableSchema([dg.TableColumn("lines", "string"), *(dg.TableColumn(kind, "int") for kind in parts)]),
    )


_PARTS = {
    "lines": "read in this run",
    "cut": "cut off or damaged",
    "unknown": "of an unknown format",
    "other_markets": "of other markets",
    "forgotten": "forgotten",
    "doubled": "there already",
    "kept": "kept",
}


@dg.asset_check(asset=served_listings)
def the_log_is_whole(served_listings: Compaction) -> dg.AssetCheckResult:
    """Every line of the log that was read could be, and no file of it was removed before it was read."""
    done, problems = served_listings, list[str]()
    lines = done.answers.lines + done.feedback.lines
    if done.damaged:
        problems.append(
            f"{done.damaged:,} of {lines:,} lines cannot be read: a process was killed while it wrote them, or a newer "
            "one writes them than reads them."
        )
    if done.missing:
        problems.append(
            f"Files of the log are missing that were never read ({', '.join(done.missing[:_MOST_NAMED])}): it removed "
            "them first, so run the job monitoring more often, or an erasure left nothing of them."
        )
    metadata: dict[str, Any] = {"damaged_lines": done.damaged, "missing_files": len(done.missing), "most": 0}
    return dg.AssetCheckResult(
        passed=not problems,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(problems) or f"All {lines:,} lines that were read are whole.",
        metadata=metadata,
    )


_MOST_NAMED = 5
