"""The README says what is so."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from api.settings import Settings as ApiSettings
from mle_assets.resources import Settings as PipelineSettings
from model_registry.cli.main import models
from model_registry.listing import EXAMPLE, Listing
from model_registry.store import Registry
from tests.api.server import Server, serving
from tests.making import PROMOTE, publish

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CHAPTERS = {path: path.read_text() for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))}


def test_every_setting_is_in_the_table_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)` |asked of git )?\| (\w+) \|", README, flags=re.MULTILINE)
    stated = {(name, default, side) for name, default, side in rows}
    expected: set[tuple[str, str, str]] = set()
    pipeline, api = PipelineSettings(), ApiSettings()
    for settings, side, other in ((pipeline, "pipeline", api), (api, "API", pipeline)):
        for name in settings.__struct_fields__:
            shared = "both" if name in other.__struct_fields__ else side
            default = getattr(pipeline if name in pipeline.__struct_fields__ else settings, name)
            expected.add((name.upper(), "" if default is None else str(default), shared))
    assert stated == expected


def test_the_listing_it_asks_about_is_the_demos_and_is_valid() -> None:
    body = re.search(r"-d '(\{.*?\})'", README, flags=re.DOTALL)
    assert body
    assert json.loads(body[1]) == EXAMPLE
    msgspec.json.decode(body[1], type=Listing)


@pytest.mark.parametrize(
    "verb", sorted(set(re.findall(r"`?\bmake ([a-z-]+)`", "".join(CHAPTERS.values()))) | {"demo", "test"})
)
def test_every_verb_it_names_is_in_the_makefile(verb: str) -> None:
    assert re.search(rf"^{verb}:.* ## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.name)
def test_every_link_to_a_file_or_a_heading_leads_there(chapter: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", CHAPTERS[chapter]):
        file, _, heading = link.partition("#")
        target = (chapter.parent / file).resolve() if file else chapter
        assert target.exists(), link
        if heading:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), flags=re.MULTILINE)
            # As GitHub makes an address of a heading.
            assert heading in {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in headings}, link


@pytest.mark.parametrize("name", re.findall(r"(\w+(?:/|\.py)) ", README.split("## The tree")[1].split("```")[1]))
def test_every_file_and_folder_of_its_tree_is_there(name: str) -> None:
    assert list(ROOT.glob(f"*/{name}")) or (ROOT / name).exists()


def test_the_locked_requirements_name_no_registry() -> None:
    for file in (ROOT / "requirements").glob("*.txt"):
        assert "://" not in file.read_text(), file


@pytest.mark.parametrize("command", sorted(set(re.findall(r"[$;] models (\w+)", README))))
def test_every_models_command_it_names_is_there(command: str) -> None:
    assert command in models.commands


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with a champion."""
    registry = Registry(tmp_path_factory.mktemp("registry"))
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    with serving(registry.folder, tmp_path_factory.mktemp("log") / "api.log") as running:
        yield running


def snippet(language: str, marker: str, port: int) -> str:
    """The README's code of a language that holds a marker, sent to a port of the test's."""
    blocks = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    [block] = [block for block in blocks if marker in block]
    return block.replace("127.0.0.1:8000", f"127.0.0.1:{port}")


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl on this machine")
def test_its_curl_command_is_answered(server: Server) -> None:
    command = snippet("console", "curl", server.port).split("$ ", 1)[1].rsplit("{", 1)[0]
    told = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
    assert json.loads(told)["id"] == 39331263
    assert json.loads(told)["price_category"] in ("Low", "Mid", "High", "Lux")


def test_its_python_code_is_answered(server: Server) -> None:
    code = snippet("python", "httpx", server.port)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"(Low|Mid|High|Lux) tree-[0-9a-f]{12}\n", told)
