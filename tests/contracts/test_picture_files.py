"""Picture files come back as they went in: depth, grey, transparency, the way round, profile and notes."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from pipelines.picture_encoding import encode_picture, png_notes
from pipelines.picture_files import PictureFile, luma, read_picture_file, write_picture_file
from rainsynth.checks import InputError

DEPTHS = {8: np.uint8, 16: np.uint16}
EIGHT_BIT = ["L.png", "LA.png", "RGB.png", "RGBA.png", "L.tif", "LA.tif", "RGB.tif", "RGBA.tif", "L.bmp", "RGB.bmp"]
SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(*shape: int, bits: int = 8) -> np.ndarray:
    return np.random.default_rng(bits).integers(0, 1 << bits, shape, dtype=DEPTHS[bits])


def camera_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    exif.get_ifd(0x8769)[0x829A] = 0.004  # exposure time
    exif.get_ifd(0x8825)[1] = "N"
    return exif


def written_again(path: Path, name: str = "again") -> Path:
    """A file that is read and written with nothing done to it."""
    again = path.with_name(f"{name}{path.suffix}")
    write_picture_file(again, read_picture_file(path))
    return again


@pytest.mark.parametrize("name", EIGHT_BIT)
def test_a_picture_of_8_bits_comes_back_to_the_byte_in_its_mode(tmp_path, name):
    mode = Path(name).stem
    channels = noise(7, 9, len(mode))
    Image.fromarray(channels[..., 0] if mode == "L" else channels).save(tmp_path / name)
    with Image.open(written_again(tmp_path / name)) as again:
        assert again.mode == mode
        np.testing.assert_array_equal(np.array(again).reshape(channels.shape), channels)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_of_16_bits_comes_back_to_the_bit(tmp_path, suffix, channels):
    # cv2 is the independent writer and reader; its order is blue, green, red.
    stored = noise(7, 9, channels, bits=16)
    (tmp_path / f"a.{suffix}").write_bytes(cv2.imencode(f".{suffix}", stored)[1].tobytes())
    read = read_picture_file(tmp_path / f"a.{suffix}")
    assert read.deep and read.grey == (channels == 1)
    if channels > 1:
        np.testing.assert_array_equal(read.pixels, stored[..., 2::-1])
    again = written_again(tmp_path / f"a.{suffix}").read_bytes()
    found = cv2.imdecode(np.frombuffer(again, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found.reshape(stored.shape), stored)


def test_a_palette_becomes_rgb_and_a_see_through_colour_becomes_alpha(tmp_path):
    picture = Image.fromarray(noise(8, 8, 3) // 64 * 64).convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    picture.save(tmp_path / "a.png", transparency=0)
    read = read_picture_file(tmp_path / "a.png")
    np.testing.assert_array_equal(read.pixels, np.array(picture.convert("RGB")))
    np.testing.assert_array_equal(read.alpha == 0, np.array(picture) == 0)
    with Image.open(written_again(tmp_path / "a.png")) as again:
        assert again.mode == "RGBA"


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_read_upright_and_written_the_way_round_they_were(tmp_path, suffix, orientation):
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :12] = (255, 60, 60)
    to_stored = {6: 8, 8: 6}.get(orientation, orientation)  # Pillow turns by the inverse
    plain = Image.fromarray(upright)
    plain.getexif()[0x0112] = to_stored
    stored = ImageOps.exif_transpose(plain)
    stored.save(tmp_path / f"a.{suffix}", exif=camera_exif(orientation), quality=98)
    read = read_picture_file(tmp_path / f"a.{suffix}")
    assert np.abs(read.pixels.astype(int) - upright).mean() < 12  # JPEG and WebP blur the corner's edge
    with Image.open(written_again(tmp_path / f"a.{suffix}")) as again:
        assert again.getexif()[0x0112] == orientation
        assert np.abs(np.array(ImageOps.exif_transpose(again)).astype(int) - upright).mean() < 12
        assert np.array(again).shape == (np.array(stored).shape if suffix != "tif" else upright.shape)


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_16_bit_picture_keeps_the_way_round_too(tmp_path, orientation):
    stored, exif = noise(6, 9, 3, bits=16), camera_exif(orientation).tobytes().removeprefix(b"Exif\0\0")
    for suffix, kind in (("png", "PNG"), ("tif", "TIFF")):
        path = tmp_path / f"{kind}.{suffix}"
        path.write_bytes(encode_picture(stored, kind, exif=exif))
        turned = {1: stored, 3: stored[::-1, ::-1], 6: np.rot90(stored, -1)}[orientation]
        np.testing.assert_array_equal(read_picture_file(path).pixels, turned)
        again = read_picture_file(written_again(path))
        np.testing.assert_array_equal(again.pixels, turned)
        assert again.orientation == orientation


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_exif_profile_and_xmp_stay_in_place(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    beside = {"exif": camera_exif(1), "icc_profile": SRGB_PROFILE} | ({"xmp": b"<x/>"} if suffix != "png" else {})
    if suffix == "tif":  # Pillow drops the sub-directories of an Exif that was not read from a file
        write_picture_file(path, PictureFile(pixels=noise(8, 9, 3), exif=exif_block(camera_exif(1)), icc=SRGB_PROFILE))
    else:
        Image.fromarray(noise(8, 9, 3)).save(path, **beside)
    with Image.open(path) as before, Image.open(written_again(path)) as after:
        assert after.info["icc_profile"] == SRGB_PROFILE
        assert after.info.get("exif") == before.info.get("exif")
        assert after.info.get("xmp") == before.info.get("xmp")
        assert after.getexif().get_ifd(0x8769)[0x829A] == pytest.approx(0.004)
        assert after.getexif().get_ifd(0x8825)[1] == "N"
        assert after.getexif()[0x010F] == "Maker"


def exif_block(exif: Image.Exif) -> bytes:
    return exif.tobytes().removeprefix(b"Exif\0\0")


def test_exif_and_profile_go_from_one_format_to_another(tmp_path):
    Image.fromarray(noise(8, 9, 3)).save(tmp_path / "a.jpg", exif=camera_exif(6), icc_profile=SRGB_PROFILE)
    picture = read_picture_file(tmp_path / "a.jpg")
    for suffix in ("png", "tif", "webp"):
        write_picture_file(tmp_path / f"b.{suffix}", picture)
        with Image.open(tmp_path / f"b.{suffix}") as other:
            assert other.info["icc_profile"] == SRGB_PROFILE
            assert other.getexif()[0x0112] == 6
            assert other.getexif().get_ifd(0x8769)[0x829A] == pytest.approx(0.004)
        np.testing.assert_allclose(read_picture_file(tmp_path / f"b.{suffix}").pixels, picture.pixels, atol=40)


def test_the_notes_of_a_png_are_kept_as_they_stand(tmp_path):
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    plain = encode_picture(noise(5, 6, 3, bits=16), "PNG")
    notes = [
        (b"gAMA", struct.pack(">I", 45455)),
        (b"pHYs", struct.pack(">IIB", 2835, 2835, 1)),
        (b"tEXt", b"Author\0A"),
    ]
    gone = chunk(b"tIME", struct.pack(">HBBBBB", 2020, 1, 1, 0, 0, 0))  # when it was last changed: not then
    path = tmp_path / "a.png"
    path.write_bytes(plain[:33] + b"".join(chunk(*note) for note in notes) + gone + plain[33:])
    again = written_again(path).read_bytes()
    assert list(png_notes(again)) == notes
    assert b"tIME" not in again


def test_jpegs_keep_colours_in_full_resolution(tmp_path):
    Image.fromarray(noise(16, 16, 3)).save(tmp_path / "a.jpg", quality=50)
    with Image.open(written_again(tmp_path / "a.jpg")) as again:
        assert [layer[1:3] for layer in again.layer] == [(1, 1)] * 3  # sampling factors of Y, Cb, Cr: 4:4:4


def test_a_phones_jpeg_with_a_second_picture_is_read(tmp_path):
    first, second = noise(16, 16, 3), noise(16, 16, 3)
    Image.fromarray(first).save(
        tmp_path / "a.jpg", "MPO", save_all=True, append_images=[Image.fromarray(second)], quality=95, subsampling=0
    )
    assert np.abs(read_picture_file(tmp_path / "a.jpg").pixels.astype(int) - first).mean() < 8


def test_luma_of_grey_is_that_grey():
    for bits in (8, 16):
        grey = np.arange(1 << bits).astype(DEPTHS[bits])
        np.testing.assert_array_equal(luma(np.repeat(grey[:, None, None], 3, axis=2))[:, 0], grey)
    assert luma(np.array([[[200, 100, 50]]], np.uint8))[0, 0] == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)


def cut(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def encoded(mode: str, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (40, 30)).save(stream, kind, **options)
    return stream.getvalue()


REFUSED = {
    "nothing.png": (None, "nothing there"),
    "empty.png": (b"", "readable picture"),
    "words.jpg": (b"rain", "readable picture"),
    "print.jpg": (encoded("CMYK", "JPEG"), "got mode CMYK"),
    "float.tif": (encoded("F", "TIFF"), "got mode F"),
    "cut.png": (cut(encode_picture(noise(30, 40, 3), "PNG")), "readable picture"),
    "cut16.png": (cut(encode_picture(noise(30, 40, 3, bits=16), "PNG")), "readable picture"),
    "cut16.tif": (cut(encode_picture(noise(30, 40, 3, bits=16), "TIFF")), "readable picture"),
    "moving.png": (
        encoded("RGB", "PNG", save_all=True, append_images=[Image.new("RGB", (40, 30), "red")]),
        "must hold one picture, got 2",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_derained_faithfully_is_refused_in_one_line(tmp_path, name, capfd):
    content, expected = REFUSED[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=expected) as caught:
        read_picture_file(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)
    assert capfd.readouterr().err == "" or name.endswith(".tif")  # libtiff says a word of its own


def test_a_folder_is_no_picture(tmp_path):
    with pytest.raises(InputError, match="readable picture"):
        read_picture_file(tmp_path)


@pytest.mark.parametrize("picture", ["deep", "clear"])
def test_a_format_that_would_lose_something_is_refused(tmp_path, picture):
    bits = 16 if picture == "deep" else 8
    alpha = noise(4, 5) if picture == "clear" else None
    with pytest.raises(InputError, match="must end in"):
        write_picture_file(tmp_path / "a.jpg", PictureFile(pixels=noise(4, 5, 3, bits=bits), alpha=alpha))
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_picture_file(path, PictureFile(pixels=noise(4, 5, 3)))
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.picture_files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_picture_file(path, PictureFile(pixels=noise(6, 5, 3)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
