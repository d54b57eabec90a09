"""What the tests of pictures ask of a PNG."""

import io

from PIL import Image

from mle_assets.pictures.look import Picture

MOST_BYTES = 60_000


def is_small_png(png: bytes) -> bool:
    """Whether it is one, twice as sharp as a screen needs and not too large for an asset's page."""
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        known, (width, height) = image.format, image.size
    return known == "PNG" and 600 <= width <= 1_400 and 150 <= height <= 1_100 and len(png) <= MOST_BYTES


def is_fine(picture: Picture) -> bool:
    return is_small_png(picture.png) and len(picture.alt) > 30
