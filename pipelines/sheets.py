"""Contact sheets: pictures in a grid, with a line of text over each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

CAPTION_PX = 22
GAP_PX = 6
FONT_PX = 13


def contact_sheet(
    rows: Sequence[Sequence[tuple[str, UInt8[np.ndarray, "h w 3"]]]], cell_width_px: int = 320
) -> UInt8[np.ndarray, "h w 3"]:
    """Rows of (caption, picture), every picture shrunk to `cell_width_px` and placed under its caption."""
    font = ImageFont.load_default(FONT_PX)
    scaled = [[(caption, _fit(picture, cell_width_px)) for caption, picture in row] for row in rows]
    heights_px = [CAPTION_PX + max(picture.height for _, picture in row) + GAP_PX for row in scaled]
    width_px = max(len(row) for row in scaled) * (cell_width_px + GAP_PX) + GAP_PX
    sheet = Image.new("RGB", (width_px, sum(heights_px) + GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    top = GAP_PX
    for row, height_px in zip(scaled, heights_px, strict=True):
        for column, (caption, picture) in enumerate(row):
            left = GAP_PX + column * (cell_width_px + GAP_PX)
            draw.text((left, top + 2), caption, fill="black", font=font)
            sheet.paste(picture, (left, top + CAPTION_PX))
        top += height_px
    return np.array(sheet)


def grey_picture(fraction: Float[np.ndarray, "h w"], white: float = 1.0) -> UInt8[np.ndarray, "h w 3"]:
    """A layer of numbers as a grey picture; `white` and above is white."""
    codes = np.clip(np.nan_to_num(fraction) / white * 255, 0, 255).astype(np.uint8)
    return np.repeat(codes[..., None], 3, axis=2)


def _fit(picture: UInt8[np.ndarray, "h w 3"], width_px: int) -> Image.Image:
    image = Image.fromarray(picture)
    if image.width <= width_px:
        return image
    return image.resize((width_px, max(1, round(image.height * width_px / image.width))), Image.Resampling.LANCZOS)
