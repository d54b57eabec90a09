"""The README's two pictures: the page for people and the asset graph. Take them anew with `make screenshots`."""

import io
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, FloatRect, Locator, expect, sync_playwright

from local.processes import free_port, running
from local.up import Part, wait_for

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 120_000
_PALETTES = (256, 128, 64, 32, 16)
_MARGIN = 12
_EXPANDED = ("listings", "evaluation", "release")
"""Groups whose assets are shown; the others, with their many candidates, stay folded."""
_NOT_KNOWN_YET = "[style*='--color-border-default']"
"""How Dagster draws an asset whose state it is still asking for."""
_DAGSTER = """
python_logs:
  dagster_handler_config:
    handlers:
      run_lines:
        class: mle_assets.console.RunLines
telemetry:
  enabled: false
nux:
  enabled: false
"""


class TooLarge(Exception):
    """A picture is larger than it may be, however few its colours."""


def main() -> None:
    """Train, promote, serve and take both pictures, in a folder that is gone afterwards; exits with a sentence."""
    program = chromium()
    if program is None:
        sys.exit("No Chromium is installed, and the pictures are taken with it: apt-get install chromium")
    os.chdir(ROOT)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="screenshots-") as folder:
        settings = environment(Path(folder))
        train(settings)
        ui_port, api_port = free_port(), free_port()
        ui_log, api_log = Path(folder, "ui.log"), Path(folder, "api.log")
        ui_command = ("dagster-webserver", "--read-only", "--port", str(ui_port), "-m", "mle_assets.definitions")
        with (
            running(*ui_command, log=ui_log, **settings) as ui,
            running(sys.executable, "-m", "api", log=api_log, **settings, PORT=str(api_port)) as api,
        ):
            parts = [
                Part("The UI", ui, ui_log, ui_port, "/server_info"),
                Part("The API", api, api_log, api_port, "/readyz"),
            ]
            wait_for(parts, threading.Event())
            with sync_playwright() as playwright:
                # Root, as in a container, has no sandbox.
                browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
                for name, png in {"page": page(browser, api_port), "assets": assets(browser, ui_port)}.items():
                    path = IMAGES / f"{name}.png"
                    try:
                        path.write_bytes(shrunk(png, MOST_BYTES))
                    except TooLarge as error:
                        sys.exit(f"{path.relative_to(ROOT)}: {error}")
                    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB", flush=True)
                browser.close()


def chromium() -> str | None:
    """Where Chromium is installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def environment(folder: Path) -> dict[str, str]:
    """The settings of a pipeline and a service that keep everything in a folder, and share nothing with others."""
    (folder / "dagster.yaml").write_text(_DAGSTER)
    return {
        "DAGSTER_HOME": str(folder),
        "ASSET_FOLDER": str(folder / "assets"),
        "MODEL_REGISTRY": str(folder / "registry"),
        "SNAPSHOT_FOLDER": str(folder / "snapshots"),
        "PICTURES": "true",
        "HOST": "127.0.0.1",
        "API_KEYS": "",
    }


def train(settings: dict[str, str]) -> None:
    """From the snapshot to the champion in one run."""
    command = ("dagster", "job", "execute", "-m", "mle_assets.definitions", "-j", "train_and_promote")
    trained = subprocess.run(command, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)
    if trained.returncode:
        sys.exit(trained.returncode)  # its last line says why


def page(browser: Browser, port: int) -> bytes:
    """The page for people, answering about its example, with its reasons."""
    shown = browser.new_page(viewport={"width": 1200, "height": 1600}, color_scheme="light", locale="en-GB")
    shown.goto(f"http://127.0.0.1:{port}/")
    for part in ("#category", "#reasons li:first-child", "#changes li:first-child"):
        expect(shown.locator(part)).not_to_be_empty()
    # From its title to the first question about the home: what comes below is more of the same.
    parts = (shown.locator(part).first for part in ("header", "#where", "#answer", "#what fieldset"))
    return shown.screenshot(clip=around(parts))


def assets(browser: Browser, port: int) -> bytes:
    """Dagster's graph of all assets, the candidates' models folded, once it knows what became of each."""
    shown = browser.new_page(viewport={"width": 1900, "height": 1300}, device_scale_factor=1.5, locale="en-GB")
    shown.add_init_script("localStorage.setItem('asset-graph-direction', '\"vertical\"')")
    groups = ",".join(f"global@global:{name}" for name in _EXPANDED)
    shown.goto(f"http://127.0.0.1:{port}/asset-groups?expanded={groups}")
    expect(shown.locator("svg foreignObject").filter(has_text="api").last).to_be_visible(timeout=60_000)
    expect(shown.locator(f"svg foreignObject {_NOT_KNOWN_YET}")).to_have_count(0, timeout=60_000)
    return shown.screenshot(clip=around(shown.locator("svg foreignObject").all()))


def around(parts: Iterable[Locator]) -> FloatRect:
    """What encloses some parts of a page, with a margin."""
    boxes = [box for part in parts if (box := part.bounding_box())]
    left, top = min(box["x"] for box in boxes) - _MARGIN, min(box["y"] for box in boxes) - _MARGIN
    right = max(box["x"] + box["width"] for box in boxes) + _MARGIN
    bottom = max(box["y"] + box["height"] for box in boxes) + _MARGIN
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def shrunk(png: bytes, most: int) -> bytes:
    """The picture in as many colours as it may have to be no larger than `most` bytes; raises TooLarge."""
    with Image.open(io.BytesIO(png)) as opened:
        image = opened.convert("RGB")
    size = 0
    for colours in _PALETTES:
        file = io.BytesIO()
        image.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
        size = file.tell()
        if size <= most:
            return file.getvalue()
    raise TooLarge(f"The picture has {size:,} bytes in {_PALETTES[-1]} colours, and may have {most:,}.")


if __name__ == "__main__":
    main()
