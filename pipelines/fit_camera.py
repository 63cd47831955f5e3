"""What the files of rainy photographs say of their camera: exposure and field of view, from EXIF."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import atan, degrees, hypot
from pathlib import Path

from PIL import ExifTags, Image

from rainsynth.checks import check_number
from rainsynth.pictures import photo_size_px

LIKE_FULL_FRAME_DIAGONAL_MM = hypot(36.0, 24.0)  # CIPA DCG-001: the 35 mm equivalent is that of equal diagonals

Ends = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCamera:
    """Lowest and highest over the photographs of what is known of their camera; None where it is not.

    field_of_view_deg   across the width of the photographs
    exposure_s          as long as the shutter was open
    """

    field_of_view_deg: Ends | None = None
    exposure_s: Ends | None = None

    def ends(self) -> dict[str, Ends]:
        """What is known, by the names of a preset's ranges."""
        found = {"field_of_view_deg": self.field_of_view_deg, "exposure_s": self.exposure_s}
        return {name: ends for name, ends in found.items() if ends is not None}


NOTHING_KNOWN = KnownCamera()


def given_camera(field_of_view_deg: float | None, exposure_s: float | None) -> KnownCamera:
    """What a user says of all photographs. Raises InputError for what no camera has."""
    if field_of_view_deg is not None:
        check_number(field_of_view_deg, 1, 150, "--fov-deg", "Across the width of the photographs.")
    if exposure_s is not None:
        check_number(exposure_s, 1e-5, 1, "--exposure-s", "Is it in ms? Divide by 1000.")
    return KnownCamera(field_of_view_deg=twice(field_of_view_deg), exposure_s=twice(exposure_s))


def exif_camera(photographs: Iterable[Path]) -> KnownCamera:
    """What EXIF says of the photographs, where it says it of every one of them.

    The field of view is that of FocalLengthIn35mmFilm f, 2 atan(w / 2 f), w the share of the width in a diagonal of
    43.27 mm; a photograph that was cut has a smaller one.
    """
    found = [camera_of_file(path) for path in photographs]
    return KnownCamera(field_of_view_deg=ends_of(fov for fov, _ in found), exposure_s=ends_of(s for _, s in found))


def camera_of_file(path: Path) -> tuple[float | None, float | None]:
    """Field of view across the width [degrees] and exposure [s] of a photograph by its EXIF."""
    with Image.open(path) as opened:
        details = opened.getexif().get_ifd(ExifTags.IFD.Exif)
    height_px, width_px = photo_size_px(path)
    focal_mm = above_zero(details.get(ExifTags.Base.FocalLengthIn35mmFilm))
    exposure_s = above_zero(details.get(ExifTags.Base.ExposureTime))
    if focal_mm is None:
        return None, exposure_s
    width_mm = LIKE_FULL_FRAME_DIAGONAL_MM * width_px / hypot(width_px, height_px)
    return degrees(2 * atan(width_mm / (2 * focal_mm))), exposure_s


def above_zero(value: object) -> float | None:
    """A number of EXIF; its 0 means unknown, and a fraction over 0 is none."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return number if 0 < number < float("inf") else None


def ends_of(values: Iterable[float | None]) -> Ends | None:
    """Lowest and highest, or None where one is unknown."""
    known = list(values)
    numbers = [value for value in known if value is not None]
    return (min(numbers), max(numbers)) if numbers and len(numbers) == len(known) else None


def twice(value: float | None) -> Ends | None:
    """A number as a range."""
    return None if value is None else (value, value)


def camera_of(given: KnownCamera, photographs: Iterable[Path]) -> KnownCamera:
    """What is given, and EXIF where nothing is."""
    told = exif_camera(photographs)
    return KnownCamera(
        field_of_view_deg=given.field_of_view_deg or told.field_of_view_deg,
        exposure_s=given.exposure_s or told.exposure_s,
    )


def camera_line(camera: KnownCamera) -> str:
    """What is known of the camera, in words."""
    parts = [
        f"{name} {low:.4g}" + (f" to {high:.4g}" if high > low else "") for name, (low, high) in camera.ends().items()
    ]
    return f"Camera, by what was given or by EXIF: {', '.join(parts)}." if parts else "Camera: not known."
