"""The pages for those who see little or nothing: what axe-core finds wrong with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from model_registry.registries import Registries
from tests.api.server import Server, serving
from tests.browser.conftest import Watched
from tests.making import PROMOTE, model_of_guests, publish_model

Scheme = Literal["light", "dark"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with a model."""
    registry = Registries(tmp_path_factory.mktemp("registry")).of("new-york")
    registry.promote(publish_model(registry, model_of_guests()), PROMOTE, run_id=None, actor="test")
    with serving(registry.folder.parent, tmp_path_factory.mktemp("log") / "api.log") as running:
        yield running


@pytest.fixture(scope="module")
def of_a_pipeline(promoted: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with a model of a pipeline's, and its card."""
    with serving(promoted, tmp_path_factory.mktemp("log") / "api.log") as running:
        yield running


def serious(page: Page) -> list[str]:
    """The faults that axe-core calls serious or critical, each with its element and what is wrong with it."""
    response: dict[str, Any] = Axe().run(page).response
    return [
        f"{fault['id']}: {node['html']}: {node['failureSummary']}"
        for fault in response["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def opened(watched: Watched, server: Server, path: str, width: int, scheme: Scheme) -> Page:
    """A page of the service in a window of some width, for eyes that like it light or dark."""
    page = watched.page
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"http://127.0.0.1:{server.port}{path}")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_has_no_serious_fault(width: int, scheme: Scheme, watched: Watched, server: Server) -> None:
    page = opened(watched, server, "/", width, scheme)
    expect(page.locator("#changes li").first).to_be_visible()
    assert serious(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_card_has_no_serious_fault_and_fits(
    width: int, scheme: Scheme, watched: Watched, of_a_pipeline: Server
) -> None:
    page = opened(watched, of_a_pipeline, "/model/card", width, scheme)
    expect(page.get_by_role("img").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert serious(page) == []


def test_the_documentation_has_no_serious_fault(watched: Watched, server: Server) -> None:
    watched.page.goto(f"http://127.0.0.1:{server.port}/docs")
    expect(watched.page.get_by_text("Listing price category").first).to_be_visible()
    assert serious(watched.page) == []
