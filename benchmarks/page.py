"""The page for people in headless Chromium: `python -m benchmarks.page`.

What the first view takes, in time and bytes, and how long after a slider is moved its answer is there, and the reasons.
The model is a registry's champion (MODEL_REGISTRY); `make demo` makes one.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, sync_playwright

from benchmarks.serving.environments import ROOT
from benchmarks.serving.open_loop import percentile
from benchmarks.serving.servers import OURS, Command, free_port, started
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries

VIEWS, MOVES = 10, 60
# When an element changes next after something is done, in milliseconds.
_UNTIL = """([element, action]) => new Promise((resolve) => {
  const start = performance.now();
  new MutationObserver((_, observer) => {
    observer.disconnect();
    requestAnimationFrame(() => resolve(performance.now() - start));
  }).observe(document.querySelector(element), { childList: true, subtree: true, characterData: true });
  const range = document.querySelector("#property-accommodates");
  range.value = action;
  range.dispatchEvent(new Event("input", { bubbles: true }));
})"""


def moved(page: Page, shows: str) -> list[float]:
    """Milliseconds from a slider's move until an element shows what follows from it."""
    waited: list[float] = []
    for move in range(MOVES):
        waited.append(page.evaluate(_UNTIL, [shows, str(1 + move % 8)]))
        page.wait_for_timeout(400)  # the reasons of this one are there by then
    return sorted(waited)


def main() -> None:
    """Print the figures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    registry = Registries(Path(os.environ.get("MODEL_REGISTRY") or "var/registry").absolute()).of(DEFAULT_MARKET)
    pointer = registry.champion()
    if pointer is None:
        sys.exit(f"No model has been promoted in {registry.folder} yet: make demo")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        port = free_port()
        how = Command(
            (sys.executable, "-m", "api"), ROOT, {"MODEL_REGISTRY": str(registry.folder.parent), "PORT": str(port)}
        )
        with started(OURS, port, how, Path(name, "api.log")):
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            views, sizes = list[float](), list[int]()
            for _ in range(VIEWS):
                page = browser.new_context().new_page()
                page.goto(f"http://127.0.0.1:{port}/")
                page.locator("#changes li").first.wait_for()
                views.append(page.evaluate("performance.now()"))
                sizes.append(
                    page.evaluate("performance.getEntries().reduce((sum, entry) => sum + (entry.transferSize ?? 0), 0)")
                )
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{port}/")
            page.locator("#changes li").first.wait_for()
            answers, reasons = moved(page, "#probabilities"), moved(page, "#reasons")
            browser.close()
    print(
        f"{pointer.version}\nfirst view, reasons and all: {median(views):.0f} ms (longest {max(views):.0f}), "
        f"{max(sizes) / 1e3:.0f} kB over the wire"
    )
    for what, waited in (("answer", answers), ("reasons", reasons)):
        print(f"{what} after a slider is moved: {median(waited):.0f} ms, 95 % within {percentile(waited, 0.95):.0f} ms")


if __name__ == "__main__":
    main()
