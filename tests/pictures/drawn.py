"""What the tests of pictures ask of a PNG."""

import io

from PIL import Image

from mle_assets.pictures.look import Picture

MOST_BYTES = 60_000


def is_small_png(png: bytes) -> bool:
    """Whether it is one, large enough to be read and no wider than Dagster's window on a page of 1,280 pixels."""
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        known, (width, height) = image.format, image.size
    return known == "PNG" and 500 <= width <= 960 and 120 <= height <= 700 and len(png) <= MOST_BYTES


def is_fine(picture: Picture) -> bool:
    return is_small_png(picture.png) and len(picture.alt) > 30
