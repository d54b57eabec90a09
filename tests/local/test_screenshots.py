"""The README's pictures are small, and taken by a command that says what it needs."""

import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from local.screenshots import IMAGES, MOST_BYTES, ROOT, TooLarge, shrunk

NAMES = {"page.png", "assets.png"}


def png_of(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_a_picture_of_few_colours_stays_as_it_is() -> None:
    pixels = np.full((60, 80, 3), 255)
    pixels[10:20, 10:70] = (0, 114, 178)
    pixels[30, 30] = (213, 94, 0)  # a single pixel keeps its colour as well
    with Image.open(io.BytesIO(shrunk(png_of(pixels), 1_000))) as small:
        assert np.array_equal(np.asarray(small.convert("RGB")), pixels)


def test_a_picture_of_many_colours_has_as_many_as_fit() -> None:
    slopes = np.indices((100, 100)).sum(axis=0)
    png = png_of(np.stack([slopes, 2 * slopes % 256, 255 - slopes], axis=-1))
    large, small = shrunk(png, 100_000), shrunk(png, 1_000)
    colours = [len(Image.open(io.BytesIO(one)).convert("RGB").getcolors() or ()) for one in (large, small)]
    assert len(small) <= 1_000
    assert colours[0] > colours[1]


def test_a_picture_that_cannot_be_made_small_enough_is_refused_in_words() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3))
    with pytest.raises(TooLarge, match=r"The picture has [\d,]+ bytes in 16 colours, and may have 1,000\."):
        shrunk(png_of(noise), 1_000)


def test_without_chromium_it_says_so_in_one_sentence() -> None:
    command = [sys.executable, "-m", "local.screenshots"]
    told = subprocess.run(command, env={**os.environ, "PATH": ""}, cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 1
    assert told.stderr.splitlines() == [
        "No Chromium is installed, and the pictures are taken with it: apt-get install chromium"
    ]


def test_the_pictures_are_there_and_small_and_the_readme_shows_no_others() -> None:
    assert {path.name for path in IMAGES.iterdir()} == NAMES
    for path in IMAGES.iterdir():
        assert path.stat().st_size <= MOST_BYTES
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert 850 <= image.width <= 2_000
    assert set(re.findall(r"docs/images/([\w.-]+)", (ROOT / "README.md").read_text())) <= NAMES
