"""README and chapters say what is so."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import msgspec
import numpy as np
import pytest
from litestar.testing import TestClient
from sklearn.ensemble import ExtraTreesClassifier

from api.app import create_app
from api.settings import Settings as ApiSettings
from mle_assets.definitions import make_definitions
from mle_assets.models.candidates import Candidate
from mle_assets.models.onnx_export import export
from mle_assets.resources import Settings as PipelineSettings
from model_registry.classifier import Classifier
from model_registry.cli.main import models
from model_registry.folder_store import FolderRegistry
from model_registry.listing import EXAMPLE, Listing
from tests.api.server import Server, serving
from tests.making import PROMOTE, publish

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CHAPTERS = {path: path.read_text() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))}
ALL = "".join(CHAPTERS.values())


def chapter(name: str) -> str:
    return CHAPTERS[ROOT / "docs" / f"{name}.md"]


def test_the_readme_is_read_to_its_end_and_leads_to_every_chapter() -> None:
    assert README.count("\n") <= 200
    for path in (ROOT / "docs").glob("*.md"):
        assert f"](docs/{path.name}" in README, path.name


def test_every_setting_is_in_the_table_with_its_default() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (?:`([^`]*)` |asked of git )?\| (\w+) \|", chapter("settings"), flags=re.MULTILINE
    )
    stated = {(name, default, side) for name, default, side in rows}
    expected: set[tuple[str, str, str]] = set()
    pipeline, api = PipelineSettings(), ApiSettings()
    for settings, side, other in ((pipeline, "pipeline", api), (api, "API", pipeline)):
        for name in settings.__struct_fields__:
            shared = "both" if name in other.__struct_fields__ else side
            default = getattr(pipeline if name in pipeline.__struct_fields__ else settings, name)
            expected.add((name.upper(), "" if default is None else str(default), shared))
    assert stated == expected


def test_every_route_is_in_the_table_of_the_api() -> None:
    table = chapter("api").split("## Listings")[0]
    stated = set(re.findall(r"(?:GET |POST |, )?`(?:GET |POST )?(/[\w{}/.]*)`", table))
    # Those of a named market are given by their ends.
    stated |= {f"/markets/{{market}}/{end}" for end in re.findall(r"`(?:GET )?\.\.\./([\w/]+)`", table)}
    # What belongs to a page is no address that anybody asks for.
    routes = {route.path for route in create_app(ApiSettings()).routes} - {"/web/{name:str}", "/docs/{name:str}"}
    assert stated == {re.sub(r":str\}", "}", path) for path in routes}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    """What Dagster loads."""
    return make_definitions(PipelineSettings())


def test_every_job_sensor_and_schedule_is_in_the_table_of_the_pipeline(definitions: dg.Definitions) -> None:
    stated = set(re.findall(r"^\| (job|sensor|schedule) `(\w+)` \|", chapter("pipeline"), flags=re.MULTILINE))
    assert stated == {
        *(("job", one.name) for one in definitions.jobs or []),
        *(("sensor", one.name) for one in definitions.sensors or []),
        *(("schedule", one.name) for one in definitions.schedules or []),
    }


@pytest.mark.parametrize("job", sorted(set(re.findall(r"(?:-j|--job) (\w+)", ALL))))
def test_every_job_it_launches_is_there(job: str, definitions: dg.Definitions) -> None:
    assert isinstance(definitions.resolve_job_def(job), dg.JobDefinition)


def test_every_alert_says_what_to_do() -> None:
    rules = re.findall(r"- alert: (\w+)", (ROOT / "containers/prometheus/alerts.yaml").read_text())
    assert rules
    assert re.findall(r"^\| `([A-Z]\w+)` \|", chapter("on-call"), flags=re.MULTILINE) == rules


@pytest.mark.parametrize(
    "service", sorted(set(re.findall(r"docker compose (?:exec|logs|ps|restart|cp \S+) (?:--\w+ )?([a-z]+)\b", ALL)))
)
def test_every_service_it_names_is_in_the_compose_file(service: str) -> None:
    assert re.search(rf"^  {service}:", (ROOT / "compose.yaml").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("module", sorted(set(re.findall(r"python -m ([\w.]+)", ALL))))
def test_every_module_it_runs_is_there(module: str) -> None:
    assert importlib.util.find_spec(module)


def test_every_metric_it_names_is_told_by_the_api() -> None:
    named = set(re.findall(r"`(api_[a-z_]+)(?:\{\w+\})?`", ALL))
    with TestClient(create_app(ApiSettings(access_log=False, model_registry="nowhere"))) as client:
        told = set(re.findall(r"^# TYPE (\w+)", client.get("/metrics").text, flags=re.MULTILINE))
    assert named <= told


def test_the_candidate_that_it_adds_can_be_exported() -> None:
    [code] = re.findall(r"```python\n(Candidate.*?)```", chapter("extending"), flags=re.DOTALL)
    added = eval(code, {"Candidate": Candidate, "ExtraTreesClassifier": ExtraTreesClassifier})  # noqa: S307 (our own)
    rows = np.random.default_rng(0).uniform(0, 5, (500, 11)).astype(np.float32)
    fitted = added.pipeline().fit(rows, np.arange(500) % 4)
    answers = Classifier(export(fitted)).probabilities(rows)
    assert np.allclose(answers, fitted.predict_proba(rows), atol=1e-5)


def test_the_listing_that_the_readme_asks_about_is_the_demos_and_is_valid() -> None:
    body = re.search(r"-d '(\{.*?\})'", README, flags=re.DOTALL)
    assert body
    assert json.loads(body[1]) == EXAMPLE
    msgspec.json.decode(body[1], type=Listing)


@pytest.mark.parametrize("verb", sorted(set(re.findall(r"`?\bmake ([a-z-]+)`", ALL)) | {"demo", "test"}))
def test_every_verb_it_names_is_in_the_makefile(verb: str) -> None:
    assert re.search(rf"^{verb}:.* ## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.name)
def test_every_link_to_a_file_or_a_heading_leads_there(path: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", CHAPTERS[path]):
        file, _, heading = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), flags=re.MULTILINE)
            # As GitHub makes an address of a heading.
            assert heading in {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in headings}, link


@pytest.mark.parametrize(
    "name", re.findall(r"(\w+(?:/|\.py)) ", chapter("architecture").split("## The tree")[1].split("```")[1])
)
def test_every_file_and_folder_of_the_tree_is_there(name: str) -> None:
    assert list(ROOT.glob(f"*/{name}")) or (ROOT / name).exists()


def test_the_locked_requirements_name_no_registry() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in file.read_text(), file


def test_every_models_command_is_in_the_chapter_of_the_registry_and_no_other_is_named_anywhere() -> None:
    assert set(re.findall(r"[$;] models (\w+)", chapter("registry"))) == set(models.commands)
    named = re.findall(r"(?:\$ |`|exec api |exec code )models (?:--\w+ [\w-]+ )?(\w+)", ALL)
    assert set(named) <= set(models.commands)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with a champion."""
    registry = FolderRegistry(tmp_path_factory.mktemp("registry"))
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    with serving(registry.folder, tmp_path_factory.mktemp("log") / "api.log") as running:
        yield running


def snippet(text: str, language: str, marker: str, port: int) -> str:
    """A chapter's code of a language that holds a marker, sent to a port of the test's."""
    blocks = re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)
    [block] = [block for block in blocks if marker in block]
    return block.replace("127.0.0.1:8000", f"127.0.0.1:{port}")


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl on this machine")
def test_the_readmes_curl_command_is_answered(server: Server) -> None:
    command = snippet(README, "console", "curl", server.port).split("$ ", 1)[1].rsplit("{", 1)[0]
    told = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
    assert json.loads(told)["id"] == 39331263
    assert json.loads(told)["price_category"] in ("Low", "Mid", "High", "Lux")


def test_the_python_code_of_the_api_is_answered(server: Server) -> None:
    code = snippet(chapter("api"), "python", "httpx", server.port)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"(Low|Mid|High|Lux) tree-[0-9a-f]{12}\n", told)
