"""A real browser on real pages: whatever a test does, nothing leaves the machine and nothing goes wrong unseen."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Response, sync_playwright

from local.screenshots import chromium
from tests.conftest import instance_in, make_pipeline

CHROMIUM = chromium()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium is installed: apt-get install chromium"))


@pytest.fixture(scope="session")
def promoted(trained_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry in which a pipeline has promoted a model."""
    folder = tmp_path_factory.mktemp("promoted")
    shutil.copytree(trained_folder, folder, dirs_exist_ok=True)
    with instance_in(folder / "dagster") as instance:
        pipeline = make_pipeline(folder, instance, pictures=True)
        assert pipeline.run("promotion").success
    return pipeline.registry.folder.parent


# Playwright keeps an event loop running, which Dagster's own cannot start within: the pipeline has run before.
@pytest.fixture(scope="session")
def browser(promoted: Path) -> Iterator[Browser]:  # noqa: ARG001
    """Headless Chromium."""
    with sync_playwright() as playwright:
        # Root, as in a container, has no sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser as it is when somebody comes for the first time; English, so that numbers read alike everywhere."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC", viewport={"width": 1280, "height": 900})
    yield context
    context.close()


class Watched:
    """A page, what it asked for and what it complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        self.complaints: list[str] = []
        self.may_be_refused = False
        """Whether it may be told no: a browser complains of that too."""
        page.on("request", lambda request: self.requests.append(request))
        page.on("response", lambda response: self.responses.append(response))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )

    def elsewhere(self) -> list[str]:
        """What it asked of other machines."""
        return [
            request.url
            for request in self.requests
            if urlsplit(request.url).scheme not in ("data", "blob") and urlsplit(request.url).hostname != "127.0.0.1"
        ]


@pytest.fixture
def watched(context: BrowserContext) -> Iterator[Watched]:
    """A page that has asked nothing of other machines, and complained of nothing, when the test is over.

    A browser's policy violations are among its complaints.
    """
    watched = Watched(context.new_page())
    yield watched
    assert watched.elsewhere() == []
    refusal = "Failed to load resource" if watched.may_be_refused else "none"
    assert [said for said in watched.complaints if not said.startswith(refusal)] == []
