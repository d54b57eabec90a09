"""What steps print, kept in an object store, so that the UI shows it whichever machine they ran on."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import dagster as dg
from dagster import StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.storage.cloud_storage_compute_log_manager import (
    PollingComputeLogSubscriptionManager,
    TruncatingCloudStorageComputeLogManager,
)
from dagster._core.storage.compute_log_manager import CapturedLogSubscription, ComputeIOType
from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION, LocalComputeLogManager
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from storage.errors import StoreAway
from storage.objects import Objects
from storage.waiting import waiting

UPLOAD_SECONDS = 10
"""How often what a step has printed so far is put into the store."""

logger = logging.getLogger("mle_assets.compute_logs")


class ObjectComputeLogManager(TruncatingCloudStorageComputeLogManager[dg.DagsterInstance], ConfigurableClass):
    """Step logs as objects beneath a URL; where the store is away, a step goes on and its log is lost."""

    def __init__(self, url: str, local_folder: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__()
        self._inst_data = inst_data
        self._objects = Objects(url)
        self._local = LocalComputeLogManager(local_folder)
        self._subscriptions = PollingComputeLogSubscriptionManager(self)

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Where it was configured."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Where logs are kept, and the folder in which they are written before and read after."""
        return {"url": StringSource, "local_folder": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """The manager that dagster.yaml describes."""
        return cls(inst_data=inst_data, **config_value)

    @property
    def local_manager(self) -> LocalComputeLogManager:
        """Which catches what is printed."""
        return self._local

    @property
    def upload_interval(self) -> int:
        """See UPLOAD_SECONDS."""
        return UPLOAD_SECONDS

    def cloud_storage_has_logs(self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False) -> bool:
        """Whether the store has the log of a step, or its beginning; not where it is away."""
        try:
            return self._objects.exists(_name(log_key, io_type, partial))
        except StoreAway as error:
            logger.warning("%s", error)
            return False

    def download_from_cloud_storage(
        self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> None:
        """Bring a log here, to be read; where the store is away there is an empty one until it is back."""
        path = Path(self._local.get_captured_local_path(log_key, IO_TYPE_EXTENSION[io_type], partial=partial))
        try:
            content = self._objects.read(_name(log_key, io_type, partial))
        except FileNotFoundError:
            content = b""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def delete_logs(self, log_key: Sequence[str] | None = None, prefix: Sequence[str] | None = None) -> None:
        """Remove the log of a step, or those of all whose keys begin so, of a run for instance."""
        self._local.delete_logs(log_key=log_key, prefix=prefix)
        if log_key:
            names = [_name(log_key, io_type, partial) for io_type in ComputeIOType for partial in (False, True)]
        else:
            names = [entry.name for entry in self._objects.entries("/".join([*(prefix or ()), ""]))]
        self._objects.delete(*names)

    def download_url_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str | None:
        """None: a browser does not reach the store, and the UI shows the log itself."""
        del log_key, io_type

    def display_path_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str:
        """The URL of a log."""
        return f"{self._objects.address}/{_name(log_key, io_type)}"

    def on_subscribe(self, subscription: CapturedLogSubscription) -> None:
        """Tell a page what is printed from now on."""
        self._subscriptions.add_subscription(subscription)

    def on_unsubscribe(self, subscription: CapturedLogSubscription) -> None:
        """Tell it no more."""
        self._subscriptions.remove_subscription(subscription)

    def dispose(self) -> None:
        """End what runs in the background."""
        self._subscriptions.dispose()
        super().dispose()

    def _upload_file_obj(
        self, data: IO[bytes], log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> None:
        try:
            # A step does not end later because its log cannot be kept.
            with waiting(0):
                self._objects.write(_name(log_key, io_type, partial), data.read())
        except StoreAway as error:
            logger.warning("What a step printed is not kept: %s", error)


def _name(log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False) -> str:
    return f"{'/'.join(log_key)}.{IO_TYPE_EXTENSION[io_type]}{'.partial' if partial else ''}"
