"""The dashboard for Grafana: whole, readable, and about figures that there are."""

import json
import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from tests.containers.stack import ROOT
from tests.containers.test_alerts import figures_that_there_are, promtool

BOARD: dict[str, Any] = json.loads((ROOT / "containers" / "grafana" / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = BOARD["panels"]
SHOWING = [panel for panel in PANELS if panel["type"] != "row"]


def expressions() -> list[str]:
    """What is asked of Prometheus, with its variables filled in."""
    asked = [target["expr"] for panel in SHOWING for target in panel["targets"]]
    return [one.replace("$__rate_interval", "5m").replace("$market", ".*") for one in asked]


def test_every_panel_says_what_it_shows_and_stands_by_itself() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in SHOWING:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, "whatever Grafana calls it"
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in combinations((panel["gridPos"] for panel in PANELS), 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_every_figure_of_the_api_that_it_shows_is_one_that_there_is() -> None:
    names = set(re.findall(r"\b(?:api|process)_\w+", " ".join(expressions())))
    assert names
    assert names <= figures_that_there_are()


def test_every_figure_that_an_alert_of_monitoring_asks_for_is_shown() -> None:
    groups = yaml.safe_load((ROOT / "containers" / "prometheus" / "alerts.yaml").read_text())["groups"]
    [rules] = [group["rules"] for group in groups if group["name"] == "monitoring"]
    asked = set(re.findall(r"\bapi_\w+", " ".join(rule["expr"] for rule in rules)))
    hidden = asked - set(re.findall(r"\bapi_\w+", " ".join(expressions())))
    # What they stand for is shown: what is dropped, what fails, and when nobody looks there are no new figures.
    assert hidden == {"api_log_failing", "api_log_upload_failing", "api_shadow_failing", "api_live_time_seconds"}


@pytest.mark.containers
def test_prometheus_understands_every_expression() -> None:
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(expressions())]
    content = yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]})
    assert f"{len(rules)} rules found" in promtool("check", "rules", given=content)
