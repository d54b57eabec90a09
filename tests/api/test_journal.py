"""What was answered, counted and logged: also where the log cannot be written."""

import errno
import io
import json
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.settings import Settings
from model_registry.listing import EXAMPLE


class Disk(io.RawIOBase):
    """Takes what is written, unless it is full."""

    def __init__(self) -> None:
        super().__init__()
        self.full, self.content = False, b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.content += bytes(data)
        return len(bytes(data))


def test_where_the_log_cannot_be_written_lines_are_lost_and_counted_and_no_answer_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, asked = Disk(), 300
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BufferedWriter(disk)))
    with TestClient(create_app(Settings(model_registry=str(folder)))) as client:
        disk.full = True
        for _ in range(asked):
            assert client.post("/classify", json=EXAMPLE).status_code == 200
        figures = client.get("/metrics")
        assert figures.status_code == 200
        [lost] = [line for line in figures.text.splitlines() if line.startswith("api_access_lines_lost_total ")]
        count = int(float(lost.split()[1]))
        assert 100 < count <= asked
        # What its buffer has taken meanwhile is written when it can be.
        disk.full = False
        client.get("/livez")
    written = [json.loads(line) for line in disk.content.splitlines()]
    assert count + sum(line["path"] == "/classify" for line in written) == asked
