"""Reading and writing files: nothing is lost, nothing half-written, everything wrong is said."""

import io
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from upres.errors import ImageError
from upres.images import FORMATS, Metadata, Picture, read, read_rows, read_size, write, write_bands
from upres.images.exif import parse
from upres.images.write import notices_of

LOSSLESS = {"png": None, "tiff": None, "webp": 100, "avif": 100}


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def some_exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F] = "Acme"
    exif[0x8298] = "Somebody"
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    exif.get_ifd(0x8769)[0xA002] = 9999
    exif.get_ifd(0x8825)[1] = "N"
    return exif


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("form", ["png", "tiff"])
def test_png_and_tiff_keep_every_kind_bit_for_bit(
    tmp_path: Path, of_kind: Any, form: str, dtype: Any, channels: int
) -> None:
    pixels = of_kind(channels, dtype)
    write(tmp_path / f"a.{form}", Picture(pixels))
    made = read(tmp_path / f"a.{form}").pixels
    assert made.dtype == dtype
    assert np.array_equal(made, pixels)


@pytest.mark.parametrize("form", ["webp", "avif", "bmp"])
def test_the_other_lossless_ways_keep_rgb(tmp_path: Path, of_kind: Any, form: str) -> None:
    pixels = of_kind(3, np.uint8)
    write(tmp_path / f"a.{form}", Picture(pixels), quality=LOSSLESS.get(form))
    assert np.array_equal(read(tmp_path / f"a.{form}").pixels, pixels)
    assert read_size(tmp_path / f"a.{form}") == pixels.shape[:2]


@pytest.mark.parametrize("form", ["webp", "avif"])
def test_alpha_survives_where_the_format_has_it(tmp_path: Path, of_kind: Any, form: str) -> None:
    pixels = of_kind(4, np.uint8)
    write(tmp_path / f"a.{form}", Picture(pixels), quality=100)
    assert np.array_equal(read(tmp_path / f"a.{form}").pixels[..., 3], pixels[..., 3])


def test_jpeg_and_gif_come_close(tmp_path: Path, of_kind: Any) -> None:
    pixels = of_kind(3, np.uint8)
    for form in ("jpeg", "gif"):
        write(tmp_path / f"a.{form}", Picture(pixels))
        made = read(tmp_path / f"a.{form}").pixels.astype(int)
        assert np.abs(made - pixels).mean() < 6, form


def test_only_integers_are_written(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="uint8 or uint16"):
        write(tmp_path / "a.png", Picture(np.zeros((2, 2, 3), np.float32)))


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "avif", "tiff"])
def test_metadata_goes_along_and_other_programs_read_it(tmp_path: Path, of_kind: Any, form: str) -> None:
    metadata = Metadata(srgb(), some_exif().tobytes()[6:], b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", (300.0, 200.0))
    pixels = of_kind(3, np.uint8)
    path = tmp_path / f"a.{form}"
    write(path, Picture(pixels, metadata))
    made = read(path)
    assert made.format == form
    assert made.metadata.icc == metadata.icc
    assert made.metadata.xmp == metadata.xmp
    assert made.metadata.dpi == pytest.approx((300, 200), abs=0.1)
    with Image.open(path) as image:
        theirs = image.getexif()
        for exif in (theirs, parse(made.metadata.exif)):
            assert exif[0x010F] == "Acme"
            assert exif[0x8298] == "Somebody"
            assert exif.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"
            assert exif.get_ifd(0x8769)[0xA002] == pixels.shape[1]
            assert exif.get_ifd(0x8825)[1] == "N"
        assert image.info["icc_profile"] == metadata.icc


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_reset(tmp_path: Path, photograph: Any, form: str, orientation: int) -> None:
    path = tmp_path / f"a.{form}"
    Image.fromarray(photograph[:40, :64]).save(path, exif=some_exif(orientation), lossless=True)
    with Image.open(path) as image:
        from PIL import ImageOps

        upright = np.asarray(ImageOps.exif_transpose(image))
    made = read(path)
    assert made.pixels.shape == upright.shape
    assert read_size(path) == upright.shape[:2]
    assert np.abs(made.pixels.astype(int) - upright).mean() < 3
    assert parse(made.metadata.exif)[0x0112] == 1


@pytest.mark.parametrize("form", ["jpeg", "png", "tiff", "webp"])
def test_large_pictures_are_turned_too(tmp_path: Path, photograph: Any, form: str) -> None:
    large = np.tile(photograph, (12, 8, 1))
    path = tmp_path / f"a.{form}"
    Image.fromarray(large).save(path, exif=some_exif(6), lossless=True, quality=95)
    made = read(path).pixels
    assert made.shape == (large.shape[1], large.shape[0], 3)
    assert np.abs(made.astype(int) - np.rot90(large, -1)).mean() < 4


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_tiff_with_premultiplied_colour_is_made_straight(tmp_path: Path, dtype: Any) -> None:
    peak = np.iinfo(dtype).max
    straight = np.full((6, 6, 4), peak, dtype)
    straight[..., 1] = peak // 4
    straight[..., 3] = peak // 2
    premultiplied = straight.copy()
    premultiplied[..., :3] = np.rint(straight[..., :3].astype(float) * (peak // 2) / peak)
    tifffile.imwrite(tmp_path / "a.tif", premultiplied, photometric="rgb", extrasamples=["assocalpha"])
    assert np.abs(read(tmp_path / "a.tif").pixels.astype(int) - straight).max() <= 1


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "tiff"])
@pytest.mark.parametrize("source", ["jpeg", "tiff"])
def test_texts_that_are_not_ascii_survive(tmp_path: Path, of_kind: Any, source: str, form: str) -> None:
    artist = "Jürgen Straße".encode()
    entry = struct.pack("<HHII", 0x13B, 2, len(artist) + 1, 26)
    block = b"II*\0\x08\0\0\0\x01\0" + entry + bytes(4) + artist + b"\0"
    write(tmp_path / f"a.{source}", Picture(of_kind(3, np.uint8), Metadata(exif=block)))
    write(tmp_path / f"b.{form}", read(tmp_path / f"a.{source}"))
    assert artist in (tmp_path / f"b.{form}").read_bytes()


def test_jpeg_exif_stays_as_it_is_but_for_orientation_and_size(tmp_path: Path, of_kind: Any) -> None:
    exif = some_exif(6)
    exif.get_ifd(0x8769)[0x927C] = bytes(range(256)) * 2  # a maker's note
    Image.fromarray(of_kind(3, np.uint8)).save(tmp_path / "a.jpg", exif=exif)
    for form in ("jpeg", "webp", "png"):
        write(tmp_path / f"b.{form}", read(tmp_path / "a.jpg"))
        with Image.open(tmp_path / f"b.{form}") as image:
            theirs = image.getexif()
            assert theirs.get_ifd(0x8769)[0x927C] == bytes(range(256)) * 2
            assert theirs[0x0112] == 1
            assert theirs.get_ifd(0x8769)[0xA002] == 37


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiff_that_lost_its_last_tiles_is_refused(tmp_path: Path, photograph: Any, compression: Any) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, photograph, tile=(64, 64), photometric="rgb", compression=compression)
    assert np.array_equal(read(path).pixels, photograph)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ImageError, match="cut short"):
        read(path)


def test_a_tiff_of_raw_ycbcr_is_refused_not_shown_in_false_colours(tmp_path: Path, photograph: Any) -> None:
    Image.fromarray(photograph).convert("YCbCr").save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="YCbCr"):
        read(tmp_path / "a.tif")
    Image.fromarray(photograph).save(tmp_path / "b.tif", compression="jpeg")
    assert np.abs(read(tmp_path / "b.tif").pixels.astype(int) - photograph).mean() < 8


def test_palette_and_one_bit_are_expanded(tmp_path: Path, photograph: NDArray[np.uint8]) -> None:
    image = Image.fromarray(photograph[:20, :30])
    palette = image.quantize(16)
    palette.save(tmp_path / "p.png")
    assert np.array_equal(read(tmp_path / "p.png").pixels, np.asarray(palette.convert("RGB")))
    palette.save(tmp_path / "t.png", transparency=3)
    assert read(tmp_path / "t.png").pixels.shape == (20, 30, 4)
    image.convert("1").save(tmp_path / "1.png")
    assert set(np.unique(read(tmp_path / "1.png").pixels)) == {0, 255}


def test_cmyk_becomes_srgb_through_a_profile(tmp_path: Path) -> None:
    cmyk = np.zeros((8, 8, 4), np.uint8)
    cmyk[:4, :, 0] = 255  # cyan above, white below
    Image.fromarray(cmyk, "CMYK").save(tmp_path / "a.tif")
    picture = read(tmp_path / "a.tif")
    assert picture.pixels.shape == (8, 8, 3)
    assert picture.metadata.icc is not None
    assert b"RGB " in picture.metadata.icc[:32]
    red, green, blue = picture.pixels[1, 1].astype(int)
    assert red < green < blue
    assert picture.pixels[6, 6].min() > 250


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_goes_through_its_own_profile(tmp_path: Path, photograph: NDArray[np.uint8], suffix: str) -> None:
    rgb = pyvips.Image.new_from_array(photograph).copy(interpretation="srgb")
    cmyk = rgb.icc_transform("cmyk", input_profile="srgb")
    cmyk.write_to_file(str(tmp_path / f"a.{suffix}"), **({"Q": 98} if suffix == "jpg" else {}))
    made = read(tmp_path / f"a.{suffix}").pixels
    assert made.shape == photograph.shape
    # Print colours cannot show all of a screen's; without the profile the difference is 17.
    assert np.abs(made.astype(int) - photograph).mean() < 10


def test_of_several_frames_the_first_is_read_with_a_notice(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    picture = read(tmp_path / "a.gif")
    assert tuple(picture.pixels[0, 0, :3]) == (255, 0, 0)
    assert "2 frames" in picture.notices[0]


@pytest.mark.parametrize("form", ["png", "webp", "avif"])
def test_animations_of_other_formats_too(tmp_path: Path, photograph: Any, form: str) -> None:
    frames = [Image.fromarray(photograph[:20, :30]), Image.fromarray(photograph[20:40, :30])]
    frames[0].save(tmp_path / f"a.{form}", save_all=True, append_images=frames[1:], quality=95)
    picture = read(tmp_path / f"a.{form}")
    assert np.abs(picture.pixels[..., :3].astype(int) - photograph[:20, :30]).mean() < 8
    assert "2 frames" in picture.notices[0]


def test_further_pictures_and_gain_maps_of_jpegs_too(tmp_path: Path, photograph: Any) -> None:
    view = Image.fromarray(photograph)
    view.save(tmp_path / "a.mpo", save_all=True, append_images=[view, view])
    assert read(tmp_path / "a.mpo").notices == ("has 3 frames; only the first is upscaled",)
    image = pyvips.Image.new_from_array(photograph).copy(interpretation="srgb")
    image.colourspace("scrgb").uhdrsave(str(tmp_path / "hdr.jpg"))
    assert read(tmp_path / "hdr.jpg").notices == ("has 2 frames; only the first is upscaled",)
    assert np.array_equal(read(tmp_path / "hdr.jpg").pixels, pyvips.Image.jpegload(str(tmp_path / "hdr.jpg")).numpy())


@pytest.mark.parametrize(
    ("name", "data", "is_said"),
    [
        (b"gAMA", struct.pack(">I", 45455), False),
        (b"gAMA", struct.pack(">I", 100000), True),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000), False),
        (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000), True),  # Display P3
        (b"cICP", bytes([1, 13, 0, 1]), False),
        (b"cICP", bytes([9, 16, 0, 1]), True),  # BT.2100 PQ
    ],
)
def test_a_png_with_a_gamma_or_primaries_of_its_own_says_that_they_go(
    tmp_path: Path, of_kind: Any, name: bytes, data: bytes, is_said: bool
) -> None:
    write(tmp_path / "a.png", Picture(of_kind(3, np.uint8)))
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:33] + png_chunk(name, data) + content[33:])
    assert [notice[:33] for notice in read(tmp_path / "a.png").notices] == [
        "states a gamma or primaries of it"
    ] * is_said
    profiled = content[:33] + png_chunk(b"sRGB", b"\0") + png_chunk(b"gAMA", bytes(4)) + content[33:]
    (tmp_path / "a.png").write_bytes(profiled)
    assert read(tmp_path / "a.png").notices == ()


def test_texts_of_a_png_are_said_to_go_but_not_xmp_which_stays(tmp_path: Path, of_kind: Any) -> None:
    write(tmp_path / "a.png", Picture(of_kind(3, np.uint8), Metadata(xmp=b"<x:xmpmeta/>")))
    assert read(tmp_path / "a.png").notices == ()
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "Cat")
    Image.fromarray(of_kind(3, np.uint8)).save(tmp_path / "a.png", pnginfo=texts)
    assert read(tmp_path / "a.png").notices == ("holds texts; they are left out",)


def test_xmp_states_the_size_of_the_result_and_that_it_is_upright(tmp_path: Path, of_kind: Any) -> None:
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d exif:PixelXDimension="9" tiff:Orientation="6" exif:ISO="9"/>'
        b"<exif:PixelYDimension>9</exif:PixelYDimension><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>"
    )
    Image.fromarray(of_kind(3, np.uint8)).save(tmp_path / "a.jpg", xmp=xmp)
    write(tmp_path / "b.png", read(tmp_path / "a.jpg"))
    made = read(tmp_path / "b.png").metadata.xmp or b""
    for stated in (b'XDimension="51"', b"YDimension>37<", b'Orientation="1"', b"Orientation>1<", b'ISO="9"'):
        assert stated in made


def test_the_content_decides_not_the_name(tmp_path: Path, of_kind: Any) -> None:
    write(tmp_path / "a.png", Picture(of_kind(3, np.uint8)))
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert read(tmp_path / "a.jpg").format == "png"


def test_names_that_libraries_would_interpret(tmp_path: Path, of_kind: Any) -> None:
    for name in ("a[shrink=2].png", "ü 图.png", "-x.png", "%d.png", "b\udcff.png"):
        write(tmp_path / name, Picture(of_kind(3, np.uint8)))
        assert read(tmp_path / name).pixels.shape == (37, 51, 3)


@pytest.mark.parametrize("form", list(FORMATS))
def test_a_file_cut_short_is_refused(tmp_path: Path, photograph: Any, form: str) -> None:
    path = tmp_path / f"a.{form}"
    write(path, Picture(photograph))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(ImageError, match="damaged or cut short"):
        read(path)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_that_lacks_data_in_the_middle_is_refused(
    tmp_path: Path, photograph: Any, options: dict[str, Any], orientation: int
) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(photograph).save(path, exif=some_exif(orientation), **options)
    content = path.read_bytes()
    start = content.index(b"\xff\xda") + 14
    length = len(content) - start
    path.write_bytes(content[: start + length // 4] + content[start + length // 2 :])
    with pytest.raises(ImageError, match="damaged or cut short"):
        read(path)
    with pytest.raises(ImageError, match="damaged or cut short"):
        read_rows(path).rows.window(0, 240 if orientation == 6 else 176)


@pytest.mark.parametrize("orientation", [1, 6])
def test_bytes_too_many_in_a_jpeg_are_no_damage(tmp_path: Path, photograph: Any, orientation: int) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(photograph).save(path, exif=some_exif(orientation), restart_marker_rows=1)
    whole, content = read(path).pixels, path.read_bytes()
    for marker in (b"\xff\xc4", b"\xff\xd5", b"\xff\xd9"):  # in the header, in the middle, at the end
        place = content.rindex(marker)
        path.write_bytes(content[:place] + bytes(5) + content[place:])
        assert np.array_equal(read(path).pixels, whole)
        assert np.array_equal(read_rows(path).rows.window(0, len(whole)), whole)


def test_jpegs_that_are_decoded_at_the_same_time_are_judged_each_alone(tmp_path: Path, photograph: Any) -> None:
    path = tmp_path / "whole.jpg"
    Image.fromarray(photograph).save(path, restart_marker_rows=1)
    content = path.read_bytes()
    place = content.index(b"\xff\xd5")
    (tmp_path / "more.jpg").write_bytes(content[:place] + bytes(5) + content[place:])
    (tmp_path / "less.jpg").write_bytes(content[: place - 99] + content[place:])

    def is_read(name: str) -> bool:
        try:
            return len(read(tmp_path / name).pixels) == 176
        except ImageError:
            return False

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(is_read, ["more.jpg", "less.jpg", "whole.jpg"] * 40)) == [True, False, True] * 40


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"hello, I am a text", "not a picture"),
        (b"BM", "damaged"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for reads in (read, read_size):
        with pytest.raises(ImageError, match=says):
            reads(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for reads in (read, read_size):
        with pytest.raises(ImageError, match="no such file"):
            reads(tmp_path / "none.png")
        with pytest.raises(ImageError, match="not a file"):
            reads(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="pipes with names are of POSIX")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ImageError, match="not a file"):
        read(tmp_path / "a.png")


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + png_chunk(b"IEND", b"")
    )
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(ImageError, match=r"3600 megapixels.*--max-megapixels"):
        read(tmp_path / "bomb.png")


def test_the_limit_can_be_set(tmp_path: Path, of_kind: Any) -> None:
    write(tmp_path / "a.png", Picture(of_kind(1, np.uint8)))
    with pytest.raises(ImageError, match="limit"):
        read(tmp_path / "a.png", max_megapixels=0.001)
    assert read(tmp_path / "a.png", max_megapixels=0.002).pixels.shape == (37, 51, 1)


@pytest.mark.parametrize(("form", "frames"), [("bmp", 1), ("avif", 2)])
def test_no_library_has_a_limit_of_its_own(
    tmp_path: Path, of_kind: Any, monkeypatch: pytest.MonkeyPatch, form: str, frames: int
) -> None:
    image = Image.fromarray(of_kind(3, np.uint8))
    image.save(tmp_path / f"a.{form}", save_all=frames > 1, append_images=[image] * (frames - 1))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read(tmp_path / f"a.{form}").pixels.shape == (37, 51, 3)


def test_lab_of_16_bits_is_read_and_of_8_bits_refused(tmp_path: Path, photograph: Any) -> None:
    image = pyvips.Image.new_from_array(photograph).copy(interpretation="srgb")
    image.colourspace("labs").write_to_file(str(tmp_path / "16.tif"))
    assert np.abs(read(tmp_path / "16.tif").pixels / 257 - photograph).max() < 1
    Image.new("LAB", (4, 4)).save(tmp_path / "8.tif")
    with pytest.raises(ImageError, match="Lab of 8 bits; convert it"):
        read(tmp_path / "8.tif")


def test_float_samples_are_refused_not_reduced(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="float samples"):
        read(tmp_path / "a.tif")


def test_damaged_exif_does_not_cost_the_picture(tmp_path: Path, of_kind: Any) -> None:
    image = Image.fromarray(of_kind(3, np.uint8))
    image.save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff garbage")
    assert read(tmp_path / "a.jpg").pixels.shape == (37, 51, 3)


def test_bands_of_any_height_give_the_same_file(tmp_path: Path, of_kind: Any) -> None:
    pixels = of_kind(3, np.uint16)
    for form in ("png", "tiff", "webp"):
        for height in (1, 10, 37):
            bands = [pixels[top : top + height] for top in range(0, 37, height)]
            write_bands(tmp_path / f"{height}.{form}", pixels.shape, pixels.dtype, bands, Metadata())
        assert np.array_equal(read(tmp_path / f"1.{form}").pixels, read(tmp_path / f"10.{form}").pixels)
        assert np.array_equal(read(tmp_path / f"1.{form}").pixels, read(tmp_path / f"37.{form}").pixels)


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path, of_kind: Any) -> None:
    pixels = of_kind(3, np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def failing() -> Any:
        yield pixels[:10]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bands(path, pixels.shape, pixels.dtype, failing(), Metadata())
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"old"


def test_what_cannot_be_written_says_why(tmp_path: Path, of_kind: Any) -> None:
    rgb, rgba = Picture(of_kind(3, np.uint8)), Picture(of_kind(4, np.uint8))
    with pytest.raises(ImageError, match="does not exist"):
        write(tmp_path / "none" / "a.png", rgb)
    with pytest.raises(ImageError, match="cannot tell the format"):
        write(tmp_path / "a.xyz", rgb)
    with pytest.raises(ImageError, match="cannot hold transparency"):
        write(tmp_path / "a.jpg", rgba)
    with pytest.raises(ImageError, match="format jpg: upres writes png, jpeg, webp"):
        write(tmp_path / "a.jpg", rgb, format="jpg")
    with pytest.raises(ImageError, match="quality 0: is from 1 to 100"):
        write(tmp_path / "a.jpg", rgb, quality=0)
    with pytest.raises(ImageError, match="too large for WEBP"):
        write(tmp_path / "a.webp", Picture(np.zeros((1, 20000, 3), np.uint8)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="/dev/full is a device of Linux")
def test_a_full_disk_is_said(tmp_path: Path, of_kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ImageError, match="No space left"):
        write(tmp_path / "a.png", Picture(of_kind(3, np.uint8)))
    assert list(tmp_path.iterdir()) == []


def test_what_a_format_drops_is_said() -> None:
    assert "16 bits become 8" in notices_of("jpeg", np.dtype(np.uint16), Metadata())[0]
    assert "EXIF" in notices_of("bmp", np.dtype(np.uint8), Metadata(exif=b"II"))[0]
    assert notices_of("png", np.dtype(np.uint16), Metadata(exif=b"II", icc=b"x")) == ()


def test_the_png_is_one_that_pillow_reads(tmp_path: Path, photograph: NDArray[np.uint8]) -> None:
    buffer = tmp_path / "a.png"
    write(buffer, Picture(photograph))
    with Image.open(io.BytesIO(buffer.read_bytes())) as image:
        image.load()
        assert np.array_equal(np.asarray(image), photograph)


@pytest.mark.parametrize("shape", [(0, 4, 3), (4, 4, 5)])
def test_what_is_no_picture_is_not_written(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    with pytest.raises(ImageError, match="pixels of 1 to 4 channels"):
        write(tmp_path / "a.png", Picture(np.zeros(shape, np.uint8)))
    assert not list(tmp_path.iterdir())
