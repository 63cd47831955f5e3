"""The camera: a pinhole or thin lens with an exposure time, and its sensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rainsynth.checks import check_count, check_number, with_values

DEFAULT_FIELD_OF_VIEW_DEG = 50.0
DEFAULT_EXPOSURE_S = 1 / 250
DEFAULT_NEAR_M = 0.3
FULL_FRAME_WIDTH_MM = 36.0
WIDEST_FIELD_OF_VIEW_DEG = 150.0  # a pinhole projection wider than this is a mistake in the focal length


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """Level camera of square pixels. Axes: +x right, +y down, +z forward; origin at the lens.

    `focal_px` is the focal length in pixels, `principal_x_px` and `principal_y_px` where the optical axis meets the
    picture, in pixels from its top left corner. `near_m`: no drop is nearer (lens hood, window, roof). A thin lens
    of `aperture_mm` diameter (focal length over f-number), focused at `focus_m`, blurs drops out of focus; 0 is a
    pinhole. `full_well_e` electrons at white give shot noise and `read_noise_e` read noise; 0 switches each off.
    `jpeg_quality` of 1 to 100 sends the picture through a JPEG file; 0 does not.
    """

    width_px: int
    height_px: int
    focal_px: float
    principal_x_px: float
    principal_y_px: float
    exposure_s: float = DEFAULT_EXPOSURE_S
    near_m: float = DEFAULT_NEAR_M
    aperture_mm: float = 0.0
    focus_m: float = 10.0
    full_well_e: float = 0.0
    read_noise_e: float = 0.0
    jpeg_quality: int = 0

    def __post_init__(self) -> None:
        check_count(self.width_px, 1, 1_000_000, "Camera.width_px")
        check_count(self.height_px, 1, 1_000_000, "Camera.height_px")
        widest = self.width_px / 2 / np.tan(np.radians(WIDEST_FIELD_OF_VIEW_DEG / 2))
        check_number(self.focal_px, widest, 1e7, "Camera.focal_px", "Is it in mm? Divide by the pixel pitch in mm.")
        for name in ("principal_x_px", "principal_y_px"):
            check_number(getattr(self, name), -1e7, 1e7, f"Camera.{name}", "Pixels from the top left corner.")
        check_number(self.exposure_s, 1e-6, 1, "Camera.exposure_s", "Is it in ms? Divide by 1000.")
        check_number(self.near_m, 0.01, 1e3, "Camera.near_m", "Is it in mm or cm?")
        check_number(self.aperture_mm, 0, 500, "Camera.aperture_mm", "Focal length in mm over f-number.")
        check_number(self.focus_m, 0.02, 1e9, "Camera.focus_m")
        check_number(self.full_well_e, 0, 1e9, "Camera.full_well_e")
        check_number(self.read_noise_e, 0, 1e6, "Camera.read_noise_e")
        check_count(self.jpeg_quality, 0, 100, "Camera.jpeg_quality", "0 is no JPEG.")
        if self.read_noise_e > 0:
            check_number(self.full_well_e, 1, 1e9, "Camera.full_well_e", "Read noise needs the electrons at white.")

    @classmethod
    def from_fov(
        cls, width_px: int, height_px: int, field_of_view_deg: float = DEFAULT_FIELD_OF_VIEW_DEG, **options: Any
    ) -> Camera:
        """Camera that looks through the middle of its picture, `field_of_view_deg` degrees across the width.

        f_px = (width / 2) / tan(field of view / 2). `options` are Camera's other fields (exposure_s, near_m, ...).
        """
        check_count(width_px, 1, 1_000_000, "width_px")
        check_number(field_of_view_deg, 0.1, WIDEST_FIELD_OF_VIEW_DEG, "field_of_view_deg", "Is it in radians?")
        focal_px = width_px / 2 / np.tan(np.radians(field_of_view_deg) / 2)
        centre: dict[str, Any] = {"principal_x_px": width_px / 2, "principal_y_px": height_px / 2}
        return cls(width_px=width_px, height_px=height_px, focal_px=float(focal_px), **centre, **options)

    @classmethod
    def from_lens(
        cls,
        width_px: int,
        height_px: int,
        *,
        focal_length_mm: float,
        sensor_width_mm: float = FULL_FRAME_WIDTH_MM,
        f_number: float | None = None,
        **options: Any,
    ) -> Camera:
        """Camera by the numbers on its lens: f_px = focal length / sensor width x width in pixels.

        `f_number` opens the aperture (focal length over f-number); None is a pinhole. `options` are Camera's other
        fields (exposure_s, focus_m, ...).
        """
        check_number(focal_length_mm, 0.5, 5000, "focal_length_mm", "In mm, as on the lens; 24 to 200 is usual.")
        check_number(sensor_width_mm, 1, 200, "sensor_width_mm", "36 is full frame, 23.6 APS-C, about 6 a telephone.")
        if f_number is not None:
            check_number(f_number, 0.5, 128, "f_number")
            options["aperture_mm"] = focal_length_mm / f_number
        field_of_view_deg = float(np.degrees(2 * np.arctan(sensor_width_mm / 2 / focal_length_mm)))
        return cls.from_fov(width_px, height_px, field_of_view_deg, **options)

    def window(self, top: int, left: int, height: int, width: int) -> Camera:
        """The same camera seen through a window of its picture: focal length and optical axis stay where they are."""
        check_count(height, 1, self.height_px, "height", "The window must lie inside the picture.")
        check_count(width, 1, self.width_px, "width", "The window must lie inside the picture.")
        check_count(top, 0, self.height_px - height, "top", "The window must lie inside the picture.")
        check_count(left, 0, self.width_px - width, "left", "The window must lie inside the picture.")
        return with_values(
            self,
            width_px=width,
            height_px=height,
            principal_x_px=self.principal_x_px - left,
            principal_y_px=self.principal_y_px - top,
        )
