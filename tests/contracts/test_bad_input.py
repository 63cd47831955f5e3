"""Every mistake of a user is refused with one line that names what is wrong."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import jaxtyping
import numpy as np
import pytest
from PIL import Image

import rainsynth
from rainsynth import Background, Camera, InputError, RainEvent, add_rain, render_rain
from rainsynth.pictures import list_photos, photo_size_px, read_photo, write_picture


@pytest.fixture(autouse=True)
def as_users_run_it():
    """Without the run-time types of the tests, which would refuse a wrong type before the package can."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


PHOTO = np.full((12, 16, 3), 100, dtype=np.uint8)


def render(**options):  # type: ignore[no-untyped-def]
    """A picture with one thing about it replaced."""
    camera = options.pop("camera", None) or Camera.from_fov(16, 12)
    arguments = {"seed": 0} | {
        k: options.pop(k) for k in ("seed", "index", "window", "min_streak_width_px", "threads") if k in options
    }
    background = Background(options.pop("photo", PHOTO), options.pop("depth_m", None))
    return render_rain(background, RainEvent(**({"rain_rate_mm_h": 5.0} | options)), camera, **arguments)


def camera(**options):  # type: ignore[no-untyped-def]
    given = {"width_px": 16, "height_px": 12, "focal_px": 20.0, "principal_x_px": 8.0, "principal_y_px": 6.0}
    return Camera(**(given | options))


def holed_depth() -> np.ndarray:
    depth_m = np.full((12, 16), 5.0)
    depth_m[3, 4] = np.nan
    return depth_m


MISTAKES = {
    # what: (what is done, the name that the message must hold)
    "negative rate": (lambda: add_rain(PHOTO, -1.0), "rain_rate_mm_h"),
    "rate of NaN": (lambda: add_rain(PHOTO, float("nan")), "rain_rate_mm_h"),
    "infinite rate": (lambda: add_rain(PHOTO, float("inf")), "rain_rate_mm_h"),
    "rate in drops": (lambda: add_rain(PHOTO, 1e9), "rain_rate_mm_h"),
    "no rate and no preset": (lambda: add_rain(PHOTO), "rain_rate_mm_h"),
    "rate of None": (lambda: RainEvent(rain_rate_mm_h=None), "rain_rate_mm_h"),
    "rate as words": (lambda: add_rain(PHOTO, "heavy"), "rain_rate_mm_h"),
    "rate as text": (lambda: add_rain(PHOTO, "25"), "rain_rate_mm_h"),
    "two rates": (lambda: add_rain(PHOTO, [5.0, 6.0]), "rain_rate_mm_h"),
    "unknown spectrum": (lambda: render(spectrum="marshall_palmer"), "spectrum"),
    "unknown preset": (lambda: add_rain(PHOTO, preset="monsoon"), "preset"),
    "wind in km/h": (lambda: render(wind_m_s=(60.0, 0.0)), "wind_m_s"),
    "wind of NaN": (lambda: add_rain(PHOTO, 5.0, wind_m_s=float("nan")), "wind_m_s"),
    "wind of three numbers": (lambda: add_rain(PHOTO, 5.0, wind_m_s=(1.0, 2.0, 3.0)), "wind_m_s"),
    "wind of one number in an event": (lambda: render(wind_m_s=3.0), "wind_m_s"),
    "negative turbulence": (lambda: render(turbulence_m_s=-0.1), "turbulence_m_s"),
    "efficiency under 1": (lambda: render(q_ext=0.5), "q_ext"),
    "negative mist": (lambda: render(mist_per_km=-1.0), "mist_per_km"),
    "negative sky": (lambda: render(sky_linear=-1.0), "sky_linear"),
    "airlight in codes": (lambda: render(airlight_linear=(128.0, 128.0, 128.0)), "airlight_linear"),
    "airlight of two numbers": (lambda: render(airlight_linear=(0.5, 0.5)), "airlight_linear"),
    "airlight of one number": (lambda: render(airlight_linear=0.5), "airlight_linear"),
    "exposure in ms": (lambda: camera(exposure_s=4.0), "exposure_s"),
    "no exposure": (lambda: camera(exposure_s=0.0), "exposure_s"),
    "focal length in mm": (lambda: camera(width_px=1920, height_px=1080, focal_px=35.0), "focal_px"),
    "near limit in mm": (lambda: camera(near_m=5000.0), "near_m"),
    "aperture in um": (lambda: camera(aperture_mm=2000.0), "aperture_mm"),
    "focus at the lens": (lambda: camera(focus_m=0.0), "focus_m"),
    "JPEG quality of 200": (lambda: camera(jpeg_quality=200), "jpeg_quality"),
    "JPEG quality of a half": (lambda: camera(jpeg_quality=0.5), "jpeg_quality"),
    "lens of no length": (lambda: Camera.from_lens(16, 12, focal_length_mm=0.0), "focal_length_mm"),
    "lens in metres": (lambda: Camera.from_lens(16, 12, focal_length_mm=0.05), "focal_length_mm"),
    "sensor in um": (lambda: Camera.from_lens(16, 12, focal_length_mm=50, sensor_width_mm=6200), "sensor_width_mm"),
    "f-number of zero": (lambda: Camera.from_lens(16, 12, focal_length_mm=50, f_number=0.0), "f_number"),
    "no threads": (lambda: render(threads=0), "threads"),
    "axis nowhere": (lambda: camera(principal_x_px=float("nan")), "principal_x_px"),
    "half a pixel": (lambda: Camera.from_fov(16.5, 12), "width_px"),
    "no pixels": (lambda: camera(width_px=0), "width_px"),
    "read noise without electrons": (lambda: camera(read_noise_e=3.0), "full_well_e"),
    "field of view of a half turn": (lambda: Camera.from_fov(16, 12, 180.0), "field_of_view_deg"),
    "field of view in radians": (lambda: Camera.from_fov(16, 12, 0.0), "field_of_view_deg"),
    "window over the edge": (lambda: camera().window(4, 0, 9, 16), "top"),
    "window before the edge": (lambda: camera().window(0, -1, 4, 4), "left"),
    "rendered window over the edge": (lambda: render(window=(0, 4, 12, 13)), "left"),
    "rendered window of three numbers": (lambda: render(window=(0, 0, 12)), "window"),
    "rendered window of halves": (lambda: render(window=(0, 0.5, 4, 4)), "left"),
    "camera of another size": (lambda: render(camera=Camera.from_fov(12, 16)), "camera"),
    "depth of another shape": (lambda: render(depth_m=np.full((16, 12), 5.0)), "depth_m"),
    "depth of three axes": (lambda: render(depth_m=np.full((12, 16, 1), 5.0)), "depth_m"),
    "depth model of another shape": (lambda: render(depth_m=lambda photo: np.ones((3, 4))), "depth_m"),
    "depth with a hole": (lambda: render(depth_m=holed_depth()), "depth_m"),
    "depth of zero": (lambda: render(depth_m=0.0), "depth_m"),
    "depth of infinity": (lambda: render(depth_m=float("inf")), "depth_m"),
    "depth in mm": (lambda: render(depth_m=np.full((12, 16), 70_000.0)), "depth_m"),
    "grey photo": (lambda: add_rain(PHOTO[..., 0], 5.0), "photo_srgb8"),
    "photo with alpha": (lambda: add_rain(np.zeros((4, 4, 4), np.uint8), 5.0), "photo_srgb8"),
    "float photo": (lambda: add_rain(PHOTO / np.float32(255), 5.0), "photo_srgb8"),
    "16-bit photo": (lambda: add_rain(PHOTO.astype(np.uint16), 5.0), "photo_srgb8"),
    "empty photo": (lambda: add_rain(np.zeros((0, 5, 3), np.uint8), 5.0), "photo_srgb8"),
    "float background": (lambda: Background(PHOTO / np.float32(255)), "photo_srgb8"),
    "negative seed": (lambda: add_rain(PHOTO, 5.0, seed=-1), "seed"),
    "seed of 1.5": (lambda: add_rain(PHOTO, 5.0, seed=1.5), "seed"),
    "negative index": (lambda: add_rain(PHOTO, 5.0, index=-1), "index"),
    "threshold of NaN": (lambda: render(min_streak_width_px=float("nan")), "min_streak_width_px"),
    "threshold of zero": (lambda: render(min_streak_width_px=0.0), "min_streak_width_px"),
}


def check_refused(act, name: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    assert name in message
    assert "must" in message or "Is" in message
    assert len(message) < 400


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_in_one_line_that_names_it(mistake):
    check_refused(*MISTAKES[mistake])


def test_the_refusal_of_a_likely_mistake_names_the_remedy():
    for act, remedy in [
        (lambda: camera(exposure_s=4.0), "1000"),
        (lambda: camera(width_px=1920, height_px=1080, focal_px=35.0), "pixel pitch"),
        (lambda: render(wind_m_s=(60.0, 0.0)), "3.6"),
        (lambda: render(spectrum="marshall_palmer"), "marshall-palmer"),
        (lambda: add_rain(PHOTO, preset="monsoon"), "thunderstorm"),
    ]:
        with pytest.raises(InputError, match=remedy):
            act()


def test_an_input_error_is_a_value_error():
    assert issubclass(rainsynth.InputError, ValueError)


# ------------------------------ files


def encoded(kind: str, **options) -> bytes:  # type: ignore[no-untyped-def]
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, kind, **options)
    return stream.getvalue()


def refused_file(path: Path) -> None:
    check_refused(lambda: read_photo(path), path.name)


def test_a_missing_file_is_refused(tmp_path):
    refused_file(tmp_path / "absent.jpg")
    check_refused(lambda: photo_size_px(tmp_path / "absent.jpg"), "absent.jpg")


def test_a_folder_is_no_picture(tmp_path):
    refused_file(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\xff\xd8\xff\xe0 broken"])
def test_what_is_no_picture_is_refused(tmp_path, content):
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    refused_file(path)
    check_refused(lambda: photo_size_px(path), "broken.jpg")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("part", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_cut_picture_is_refused(tmp_path, kind, part):
    whole = encoded(kind)
    path = tmp_path / f"cut.{kind.lower()}"
    path.write_bytes(whole[: int(part * len(whole))])
    refused_file(path)


def test_a_picture_with_a_flipped_bit_is_refused_or_read(tmp_path):
    # A broken file may still be a picture; it must never be another kind of error.
    rng = np.random.default_rng(1)
    for kind in ("JPEG", "PNG", "BMP", "WEBP"):
        whole = encoded(kind)
        for _ in range(40):
            broken = bytearray(whole)
            broken[rng.integers(min(len(whole), 400))] ^= 1 << rng.integers(8)
            path = tmp_path / f"flipped.{kind.lower()}"
            path.write_bytes(bytes(broken))
            try:
                assert read_photo(path).dtype == np.uint8
            except InputError as error:
                assert "\n" not in str(error)


def test_a_picture_that_claims_gigapixels_is_refused(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")))
    refused_file(path)
    check_refused(lambda: photo_size_px(path), "bomb.png")


def test_a_cmyk_picture_is_refused(tmp_path):
    path = tmp_path / "print.jpg"
    Image.new("CMYK", (8, 8)).save(path)
    refused_file(path)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 3)], ids=["grey", "colour"])
def test_a_16_bit_picture_is_refused(tmp_path, suffix, shape):
    # Its lower eight bits would be lost, and 16-bit pictures are often linear.
    path = tmp_path / f"deep.{suffix}"
    assert cv2.imwrite(str(path), np.full(shape, 30_000, dtype=np.uint16))
    refused_file(path)


def test_a_floating_point_picture_is_refused(tmp_path):
    path = tmp_path / "float.tif"
    Image.fromarray(np.full((8, 9), 0.5, dtype=np.float32)).save(path)
    refused_file(path)


def test_a_folder_without_pictures_is_refused(tmp_path):
    check_refused(lambda: list_photos(tmp_path / "absent"), "absent")
    check_refused(lambda: list_photos(tmp_path), tmp_path.name)


def test_a_picture_is_not_written_under_an_unknown_suffix(tmp_path):
    check_refused(lambda: write_picture(tmp_path / "out.xyz", PHOTO), "out.xyz")
    assert list(tmp_path.iterdir()) == []


# ------------------------------ what is read as it should


def test_grey_palette_and_transparent_pictures_become_rgb(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 3
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_photo(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, axis=2))
    Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).convert("P").save(tmp_path / "palette.png")
    assert read_photo(tmp_path / "palette.png").shape == (8, 8, 3)
    clear = np.zeros((8, 8, 4), dtype=np.uint8)
    clear[:4, :, 3] = 255  # the upper half is opaque black, the lower shows what is under it
    Image.fromarray(clear).save(tmp_path / "clear.png")
    read = read_photo(tmp_path / "clear.png")
    assert np.all(read[:4] == 0) and np.all(read[4:] == 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path, orientation):
    upright = np.zeros((8, 12, 3), dtype=np.uint8)
    upright[:4, :6] = 255  # white in its upper left corner
    # How a camera stores it: the inverse of the turn that the tag asks for (EXIF 2.3, Orientation).
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
    np.testing.assert_array_equal(read_photo(path), upright)
    assert photo_size_px(path) == (8, 12)


def test_a_png_survives_writing_and_reading(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    write_picture(tmp_path / "new" / "a.png", picture)
    np.testing.assert_array_equal(read_photo(tmp_path / "new" / "a.png"), picture)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.png"]  # nothing is left beside it


def test_photos_are_listed_in_the_order_of_their_paths_with_those_in_folders(tmp_path):
    for name in ("b.PNG", "a.jpg", "sub/c.webp", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [path.relative_to(tmp_path).as_posix() for path in list_photos(tmp_path)] == ["a.jpg", "b.PNG", "sub/c.webp"]
