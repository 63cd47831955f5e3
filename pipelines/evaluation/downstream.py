"""What rain costs other programs, and what deraining gives back: stereo depth, feature matches, reading.

All on pictures that ship inside scikit-image and scikit-learn, in rendered rain; nothing is downloaded or trained.
"""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from pipelines.bundled import (
    HELD_OUT_PHOTOS,
    MOTORCYCLE_BASELINE_M,
    MOTORCYCLE_FOCAL_PX,
    MOTORCYCLE_PRINCIPAL_SHIFT_PX,
    BundledPhoto,
    unpack,
)
from pipelines.evaluation.methods import Method, check_names
from pipelines.evaluation.pairs import Picture
from pipelines.progress import progress
from rainsynth import Background, Camera, RainEvent, add_rain, render_stereo
from rainsynth.checks import InputError
from rainsynth.pictures import read_photo

TextRow = dict[str, str]
Restored = Callable[[Picture], Picture]
CLEAN, RAINY = "clean", "rainy"

MOTORCYCLE = (
    BundledPhoto("left", "skimage.data", "motorcycle_left.png", "motorcycle_disp.npz"),
    BundledPhoto("right", "skimage.data", "motorcycle_right.png"),
)
RAIN_RATE_MM_H, SKY_LINEAR = 100.0, 3.0  # choice: violent, under a bright sky: what disturbs most
EXPOSURE_S, APERTURE_MM, FOCUS_M = 1 / 250, 3.0, 3.0
SEED = 0
# With the pair cut so that far away is disparity 0, the scene lies between 38 and 91 px.
LEAST_DISPARITY_PX, DISPARITIES_PX, BLOCK_PX = 32, 64, 5
BAD_PX = 2.0  # Middlebury's threshold
SGBM_STEPS = 16  # a pixel of disparity
# A view from elsewhere: corners of the picture, as parts of its sides, and where they go.
CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
MOVED = np.array([[0.04, 0.06], [0.93, 0.02], [1.0, 0.95], [-0.02, 1.0]], dtype=np.float32)
INLIER_PX = 3.0
FEATURES = 1500  # strongest keypoints of each picture
DETECTORS: dict[str, tuple[Callable[..., Any], int]] = {
    "orb": (cv2.ORB_create, cv2.NORM_HAMMING),  # type: ignore[attr-defined]
    "sift": (cv2.SIFT_create, cv2.NORM_L2),  # type: ignore[attr-defined]
}
PAGE = BundledPhoto("page", "skimage.data", "page.png")
PAGE_ENLARGED = 3  # the page's letters are 9 px high, fewer than readers ask for


def downstream(methods: Sequence[Method]) -> dict[str, Any]:
    """Figures of the clean and the rainy pictures and of each network, by name; `reading` only where it can be done.

    stereo_bad_fraction   part of pixels of known depth whose disparity is over 2 px off or not found
    orb_inliers, sift_inliers   matches within 3 px of the truth between two views, mean over photographs
    reading               likeness of the text read to that read from the clean page, 0..1 (needs pytesseract)
    """
    check_names(methods)
    states: dict[str, Restored] = {RAINY: lambda picture: picture}
    states |= {method.name: method.restore for method in methods if method.restore is not None}
    tasks = {"stereo_bad_fraction": stereo, "matches": matches} | ({"reading": reading} if can_read() else {})
    found: dict[str, dict[str, float]] = {name: {} for name in (CLEAN, *states)}
    with progress("downstream", len(tasks)) as advance:
        for task in tasks.values():
            for name, figures in task(states).items():
                found[name] |= figures
            advance()
    return {"states": found, "reading_skipped": not can_read()}


def downstream_table(figures: dict[str, Any]) -> list[TextRow]:
    """The figures as text, a row for the clean pictures, the rainy ones and each network."""
    rows = []
    for name, one in figures["states"].items():
        row = {"pictures": name, "stereo, over 2 px off": f"{one['stereo_bad_fraction']:.1%}"}
        row |= {f"{kind.upper()} inliers": f"{one[f'{kind}_inliers']:.0f}" for kind in DETECTORS}
        rows.append(row | ({"text read": f"{one['reading']:.1%}"} if "reading" in one else {}))
    return rows


def stereo(states: dict[str, Restored]) -> dict[str, dict[str, float]]:
    """Share of bad disparities on scikit-image's Motorcycle pair (Middlebury 2014), rain from one field of drops.

    Semi-global matching (Hirschmueller 2008, doi:10.1109/TPAMI.2007.1166) by OpenCV, against the true disparity; half
    hidden pixels count, so that clean pictures have bad ones too.
    """
    left, right, true_px = motorcycle()
    event = RainEvent(rain_rate_mm_h=RAIN_RATE_MM_H, sky_linear=SKY_LINEAR)
    height_px, width_px = true_px.shape
    camera = Camera(
        width_px=width_px,
        height_px=height_px,
        focal_px=MOTORCYCLE_FOCAL_PX,
        principal_x_px=width_px / 2,
        principal_y_px=height_px / 2,
        exposure_s=EXPOSURE_S,
        aperture_mm=APERTURE_MM,
        focus_m=FOCUS_M,
    )
    eyes = render_stereo(left, right, event, camera, MOTORCYCLE_BASELINE_M, SEED)
    one, other = (eye.rainy_srgb8 for eye in eyes)
    found = {CLEAN: bad_fraction(left.image_srgb8, right.image_srgb8, true_px)}
    found |= {name: bad_fraction(restored(one), restored(other), true_px) for name, restored in states.items()}
    return {name: {"stereo_bad_fraction": value} for name, value in found.items()}


def motorcycle() -> tuple[Background, Background, Float[np.ndarray, "h w"]]:
    """Both views with their depth, and the true disparity of the left one [px], NaN or infinite where unknown.

    Columns are cut so that f_px baseline / z is the disparity (within 0.09 px), as of two equal cameras side by side.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        try:
            unpack(MOTORCYCLE, folder)
        except FileNotFoundError as error:
            raise InputError(
                f"stereo must have scikit-image's Motorcycle pair, got no {Path(str(error.filename)).name}. "
                "pip install 'scikit-image>=0.25' brings it."
            ) from None
        left, right = (read_photo(folder / f"{photo.name}.png") for photo in MOTORCYCLE)
        depth_m = np.load(folder / "left.npy")
    shift_px = int(MOTORCYCLE_PRINCIPAL_SHIFT_PX)
    left, depth_m, right = left[:, :-shift_px], depth_m[:, :-shift_px], right[:, shift_px:]
    true_px = true_disparity_px()[:, :-shift_px] + shift_px
    views = [np.ascontiguousarray(view) for view in (left, right)]
    return Background(views[0], depth_m=depth_m), Background(views[1], depth_m=seen_from_right_m(depth_m)), true_px


def true_disparity_px() -> Float[np.ndarray, "h w"]:
    """The Motorcycle pair's own disparity [px]."""
    from skimage.data import stereo_motorcycle

    return stereo_motorcycle()[2]


def seen_from_right_m(depth_m: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Depth as the right camera sees it [m]: the nearest of what falls on a pixel; the median where nothing does."""
    disparity_px = np.rint(MOTORCYCLE_FOCAL_PX * MOTORCYCLE_BASELINE_M / depth_m).astype(int)
    rows, columns = np.mgrid[: depth_m.shape[0], : depth_m.shape[1]]
    inside = columns >= disparity_px
    seen = np.full(depth_m.shape, np.inf, dtype=depth_m.dtype)
    np.minimum.at(seen, (rows[inside], (columns - disparity_px)[inside]), depth_m[inside])
    return np.where(np.isinf(seen), np.median(depth_m), seen)


def bad_fraction(left: Picture, right: Picture, true_px: Float[np.ndarray, "h w"]) -> float:
    """Part of the pixels of known disparity at which the matched one is over 2 px off, or there is none."""
    matcher = cv2.StereoSGBM_create(  # type: ignore[attr-defined]
        minDisparity=LEAST_DISPARITY_PX,
        numDisparities=DISPARITIES_PX,
        blockSize=BLOCK_PX,
        P1=8 * 3 * BLOCK_PX**2,  # OpenCV's own advice for three channels
        P2=32 * 3 * BLOCK_PX**2,
        disp12MaxDiff=1,
        uniquenessRatio=10,
        speckleWindowSize=100,
        speckleRange=2,
    )
    found_px = matcher.compute(left, right).astype(np.float32) / SGBM_STEPS  # below the least where none was found
    known = np.isfinite(true_px)
    return float(np.mean(np.abs(found_px - true_px)[known] > BAD_PX))


def matches(states: dict[str, Restored]) -> dict[str, dict[str, float]]:
    """Right matches between a photograph and a view of it from elsewhere, each in rain of its own; mean over two."""
    counts: dict[str, list[dict[str, float]]] = {name: [] for name in (CLEAN, *states)}
    with tempfile.TemporaryDirectory() as folder:
        unpack(HELD_OUT_PHOTOS, Path(folder))
        photos = [read_photo(path) for path in sorted(Path(folder).iterdir())]
    for number, photo in enumerate(photos):
        views, homography = two_views(photo)
        rainy = [
            add_rain(view, preset="violent", seed=SEED, index=2 * number + eye).rainy_srgb8
            for eye, view in enumerate(views)
        ]
        counts[CLEAN].append(inliers(*views, homography))
        for name, restored in states.items():
            counts[name].append(inliers(restored(rainy[0]), restored(rainy[1]), homography))
    return {
        name: {key: float(np.mean([one[key] for one in found])) for key in found[0]} for name, found in counts.items()
    }


def two_views(photo: Picture) -> tuple[tuple[Picture, Picture], Float[np.ndarray, "3 3"]]:
    """A photograph, the same from elsewhere, and the homography from one to the other."""
    height_px, width_px = photo.shape[:2]
    size = np.array([width_px, height_px], dtype=np.float32)
    homography = cv2.getPerspectiveTransform(CORNERS * size, MOVED * size)
    warped = cv2.warpPerspective(photo, homography, (width_px, height_px), borderMode=cv2.BORDER_REFLECT)
    return (photo, warped), homography


def inliers(one: Picture, other: Picture, homography: Float[np.ndarray, "3 3"]) -> dict[str, float]:
    """Mutually best matches of ORB and of SIFT features that lie within 3 px of where the homography puts them."""
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (one, other)]
    found = {}
    for kind, (create, norm) in DETECTORS.items():
        detector = create(nfeatures=FEATURES)
        (points_a, features_a), (points_b, features_b) = (detector.detectAndCompute(picture, None) for picture in grey)
        right = 0
        if features_a is not None and features_b is not None:
            pairs = cv2.BFMatcher(norm, crossCheck=True).match(features_a, features_b)
            a = np.array([points_a[pair.queryIdx].pt for pair in pairs], dtype=np.float32)
            b = np.array([points_b[pair.trainIdx].pt for pair in pairs], dtype=np.float32)
            if len(pairs):
                away = cv2.perspectiveTransform(a[None], homography)[0] - b
                right = int(np.count_nonzero(np.hypot(*away.T) <= INLIER_PX))
        found[f"{kind}_inliers"] = float(right)
    return found


def can_read() -> bool:
    """Whether pytesseract is installed, and the program that it runs."""
    return find_spec("pytesseract") is not None and shutil.which("tesseract") is not None


def reading(states: dict[str, Restored]) -> dict[str, dict[str, float]]:
    """Likeness of what pytesseract reads on a page in rain to what it reads on the clean page (Ratcliff-Obershelp)."""
    import pytesseract  # type: ignore[import-not-found,import-untyped,unused-ignore]

    with tempfile.TemporaryDirectory() as folder:
        unpack((PAGE,), Path(folder))
        page = read_photo(Path(folder) / "page.png")
    page = cv2.resize(page, None, fx=PAGE_ENLARGED, fy=PAGE_ENLARGED, interpolation=cv2.INTER_CUBIC)
    rainy = add_rain(page, preset="violent", seed=SEED).rainy_srgb8
    pictures = {CLEAN: page} | {name: restored(rainy) for name, restored in states.items()}
    texts = {name: str(pytesseract.image_to_string(picture)) for name, picture in pictures.items()}
    return {
        name: {"reading": difflib.SequenceMatcher(None, texts[CLEAN], text, autojunk=False).ratio()}
        for name, text in texts.items()
    }
