"""How the champion fares is told to Prometheus as the pipeline found out last, and harms nobody where it cannot be."""

from pathlib import Path

import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.live_following import LiveFollowing
from api.metrics import Metrics
from api.settings import Settings
from model_registry.folder_store import FolderRegistry
from model_registry.live import write_live
from tests.making import PROMOTE, publish
from tests.model_registry.test_live import figures
from tests.waiting import until


def test_what_is_known_of_the_champion_is_told_and_follows_it(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "new-york")
    first, second = (publish(registry, seed) for seed in range(2))
    registry.promote(first, PROMOTE, run_id="run-1", actor="test")
    with TestClient(create_app(Settings(model_registry=str(tmp_path), access_log=False))) as client:

        def told() -> dict[str, str]:
            lines = client.get("/metrics").text.splitlines()
            return {line.split(" ")[0]: line.split(" ")[1] for line in lines if line.startswith("api_live_")}

        until(lambda: client.get("/readyz").status_code == 200)
        assert told() == {}
        write_live(registry, figures(first))
        of = f'{{market="new-york",version="{first}"}}'
        until(lambda: told().get(f"api_live_accuracy{of}") == "0.61")
        known = {
            name: told()[f"api_live_{name}{of}"] for name in ("below_test", "drifted", "labelled", "test_accuracy")
        }
        assert known == {"below_test": "1.0", "drifted": "1.0", "labelled": "1250.0", "test_accuracy": "0.701"}
        write_live(registry, figures(first, accuracy=None, verdict="not enough data", drift="no drift"))
        until(lambda: told().get(f"api_live_drifted{of}") == "0.0")
        assert f"api_live_accuracy{of}" not in told(), "what is not known is not told"
        registry.promote(second, PROMOTE, run_id="run-2", actor="test")
        until(lambda: told() == {})


def test_what_is_damaged_is_logged_once_and_answers_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    registry = FolderRegistry(tmp_path / "new-york")
    version = publish(registry, 0)
    registry.promote(version, PROMOTE, run_id="run-1", actor="test")
    write_live(registry, figures(version)).write_text("{")
    with TestClient(create_app(Settings(model_registry=str(tmp_path), access_log=False))) as client:
        until(lambda: any("cannot be told" in line for line in caplog.messages))
        assert client.get("/readyz").json()["status"] == "ready"
        registry.live_place(version).unlink()
        write_live(registry, figures(version))
        until(lambda: "api_live_accuracy{" in client.get("/metrics").text)
    assert sum("cannot be told" in line for line in caplog.messages) == 1


def test_what_could_not_be_read_for_a_while_is_read_when_it_can_be_and_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    registry, metrics = FolderRegistry(tmp_path / "new-york"), Metrics()
    version = publish(registry, 0)
    write_live(registry, figures(version))
    following = LiveFollowing(metrics)

    def away(_: str) -> bytes:
        raise OSError("the disk does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(registry, "live_bytes", away)
        for _ in range(3):
            following.look(registry, version)
        assert b"api_live_accuracy{" not in metrics.page()
    following.look(registry, version)
    assert b"api_live_accuracy{" in metrics.page()
    assert caplog.messages == [f"How {version} fares cannot be told: the disk does not answer"]
