"""The alert rules and the example configuration of Prometheus, checked by its own tool."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import Metrics
from prediction_log.uploading import UploadState
from prediction_log.writer import State
from tests.containers.stack import ROOT, reason_to_skip, say, told
from tests.model_registry.test_live import figures

IMAGE = "prom/prometheus:v2.53.3"
RULES = ROOT / "containers" / "prometheus" / "alerts.yaml"


def promtool(*arguments: str, given: str | None = None) -> str:
    """What `promtool` says in the checkout: the one on PATH, or that of Prometheus' image where there is an engine.

    What is `given` it reads from its standard input.
    """
    if command := shutil.which("promtool"):
        done = told(command, *arguments, stdin=given)
    else:
        if reason := reason_to_skip():
            pytest.skip(f"no promtool and no containers here: {reason}")
        mounts = ("--volume", f"{ROOT}:/checkout:ro", "--workdir=/checkout")
        run = (
            "docker",
            "run",
            "--rm",
            "--interactive",
            "--user=0",
            "--network=none",
            *mounts,
            "--entrypoint=promtool",
            IMAGE,
        )
        done = told(*run, *arguments, stdin=given)
    return done.stdout + done.stderr


@pytest.mark.containers
def test_each_alert_fires_when_it_should_and_no_other_does() -> None:
    said = promtool("test", "rules", "tests/containers/alerts_test.yaml")
    say(said.strip().replace("\n", " "))
    assert "SUCCESS" in said


@pytest.mark.containers
def test_rules_and_configuration_are_what_prometheus_reads() -> None:
    assert "SUCCESS" in promtool("check", "rules", "containers/prometheus/alerts.yaml")
    assert "SUCCESS" in promtool("check", "config", "containers/prometheus/prometheus.yaml")


def rules() -> dict[str, dict[str, object]]:
    """The rules by the names of their alerts."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    cases = yaml.safe_load(Path(__file__).with_name("alerts_test.yaml").read_text())["tests"]
    fired = set(re.findall(r'alertname=\\"(\w+)', json.dumps(cases)))
    assert fired == set(rules())


def test_every_figure_of_the_api_that_an_alert_asks_for_is_one_that_it_has() -> None:
    names = re.findall(r"\b(?:api|process|python)_\w+", " ".join(str(rule["expr"]) for rule in rules().values()))
    assert names
    assert set(names) <= figures_that_there_are()


def figures_that_there_are() -> set[str]:
    """The names of the API's figures."""
    families = list(text_string_to_metric_families(every_figure()))
    # A gauge is called as its family is, whether it has a value yet or not.
    gauges = {family.name for family in families if family.type == "gauge"}
    return gauges | {sample.name for family in families for sample in family.samples}


def every_figure() -> str:
    """A page of /metrics on which each figure was counted once."""
    metrics = Metrics()
    metrics.follows("new-york")
    metrics.answered("POST", "/classify", 200, 0.001, "new-york")
    metrics.predicted("new-york", "High", "tree-1")
    metrics.shadowed("new-york", "tree-2")
    metrics.fares("new-york", "tree-1", figures("tree-1"))
    metrics.log.states = lambda: {"predictions": State(1, {"full": 0, "failed": 0}, 0, None)}
    metrics.log.uploads = lambda: UploadState(1, 0, None)
    return metrics.page().decode()


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for name, rule in rules().items():
        assert rule["labels"]["severity"] in ("critical", "warning"), name  # pyright: ignore
        assert len(str(rule["annotations"]["summary"]).split(". ")) >= 2, name  # pyright: ignore
