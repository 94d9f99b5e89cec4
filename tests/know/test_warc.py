"""WARC files as the web leaves them: records made by hand, each file with one fault."""

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import brotli
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mella_hf.errors import MellaError
from mella_hf.know.pages.bodies import decode_body
from mella_hf.know.pages.sources import extract_shard, warc_shards
from mella_hf.know.pages.warc import LostPage, Page, read_warc
from mella_hf.stage import ShardOutput

HTML = b"<html><img src=a.jpg alt=x>" * 50


def record(
    number: int, body: bytes = HTML, headers: bytes = b"", status: bytes = b"200 OK", kind: str = "response"
) -> bytes:
    """One WARC record by the letter of ISO 28500."""
    http = b"HTTP/1.1 " + status + b"\r\nContent-Type: text/html\r\n" + headers + b"\r\n" + body
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://e.example/{number}\r\n"
        f"WARC-Date: 2026-01-01T00:00:00Z\r\nWARC-Record-ID: <urn:uuid:{number:032d}>\r\n"
        f"Content-Type: application/http; msgtype={kind}\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"


def gz(number: int, *args: bytes, **more: bytes) -> bytes:
    return gzip.compress(record(number, *args, **more))


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data).to_pybytes()


def damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes(byte ^ 0x5A for byte in data[middle : middle + 4]) + data[middle + 4 :]


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], list[str]]:
    """The numbers of the pages, and the reasons of the lost, in order."""

    def run(data: bytes) -> list[str]:
        path = tmp_path / "x.warc.gz"
        path.write_bytes(data)
        return [p.url.rsplit("/", 1)[1] if isinstance(p, Page) else p.reason for p in read_warc(path)]

    return run


FILES = {
    "gzip members": (gz(1) + gz(2), ["1", "2"]),
    "plain": (record(1) + record(2), ["1", "2"]),
    "zstd frames": (zstd(record(1)) + zstd(record(2)), ["1", "2"]),
    "requests and metadata beside": (gz(1) + gz(2, kind="request") + gz(3, kind="metadata") + gz(4), ["1", "4"]),
    "a damaged member": (gz(1) + damaged(gz(2)) + gz(3) + gz(4), ["1", "warc_damaged", "3", "4"]),
    "a damaged first member": (damaged(gz(1)) + gz(2), ["warc_damaged", "2"]),
    "two damaged members": (
        damaged(gz(1)) + gz(2) + damaged(gz(3)) + gz(4),
        ["warc_damaged", "2", "warc_damaged", "4"],
    ),
    "a damaged first byte": (b"\0" + gz(1)[1:] + gz(2), ["warc_damaged", "2"]),
    # Found by fuzzing: with this flag the first member swallows itself, and reading ends without an error.
    "a member whose flags are damaged": (gz(1)[:3] + b"\4" + gz(1)[4:] + gz(2), ["warc_damaged", "2"]),
    "zeros between members": (gz(1) + bytes(3000) + gz(2), ["1", "warc_damaged", "2"]),
    "a plain record without its beginning": (record(1) + record(2)[30:] + record(3), ["1", "warc_damaged", "3"]),
    "a tail that is cut off": (gz(1) + gz(2)[:-40], ["1", "page_truncated"]),
    "a plain tail that is cut off": (record(1) + record(2)[:-90], ["1", "page_truncated"]),
    "a zstd tail that is cut off": (zstd(record(1)) + zstd(record(2))[:-20], ["1", "warc_damaged"]),
    "errors and redirects": (
        gz(1, status=b"404 Not Found") + gz(2, status=b"301 Moved") + gz(3),
        ["page_status"] * 2 + ["3"],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_what_can_be_read_is_read_and_the_rest_is_said(read, name):
    data, expected = FILES[name]
    assert read(data) == expected


# Content-Length of the record, and the reasons that it ends in; the next record is read all the same.
LENGTHS = {
    b"": ["page_length_unknown"], b"Content-Length:\r\n": ["page_length_unknown"],
    b"Content-Length: abc\r\n": ["page_length_unknown"], b"Content-Length: -5\r\n": ["page_length_unknown"],
    b"Content-Length: 99999999999999999999999\r\n": ["page_length_unknown"],
    b"Content-Length: 1,900\r\n": ["page_length_unknown"], b"Content-Length: 0x76c\r\n": ["page_length_unknown"],
    b"Content-Length: 0\r\n": ["page_empty", "warc_damaged"],  # what stands there all the same begins no record
    b"Content-Length: 4\r\n": ["page_not_http", "warc_damaged"],
}  # fmt: skip


@pytest.mark.parametrize("line", LENGTHS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_record_without_a_usable_length_is_named_so(read, line, pack):
    head, _, rest = record(1).partition(b"Content-Length: ")
    bare = head + line + rest.partition(b"\r\n")[2]
    assert read(pack(bare) + pack(record(2))) == [*LENGTHS[line], "2"]


def test_a_record_that_is_empty_or_no_http_is_named_so(read):
    empty = record(1).partition(b"Content-Length: ")[0] + b"Content-Length: 0\r\n\r\n\r\n\r\n"
    gibberish = record(2).replace(b"HTTP/1.1 200 OK", b"HTTP/1.1 2x0 OK")
    assert read(empty + gibberish + record(3)) == ["page_empty", "page_not_http", "3"]


def with_dictionary(is_packed: bool) -> tuple[bytes, list[bytes]]:
    """(dictionary frame, four records packed with it), as the Archive Team's files have them."""
    from fastwarc.stream_io import ZstdWriter, zstd_train_dictionary_from_samples

    pages = [record(n, HTML[n % 9 :] + b"<p>page %d of the archive" % (n * 37)) for n in range(400)]
    dictionary = zstd_train_dictionary_from_samples(pages, 4000)
    content = zstd(dictionary) if is_packed else dictionary
    packed = []
    for page in pages[:4]:
        out = io.BytesIO()
        with ZstdWriter(out, dictionary=dictionary) as writer:
            writer.write(page)
        packed.append(out.getvalue()[8 + len(dictionary) :])  # it writes the dictionary first
    return skippable(content), packed


@pytest.mark.parametrize("is_packed", [False, True])
def test_zstd_with_a_dictionary_is_read_also_behind_damage(read, is_packed):
    head, (a, b, c, d) = with_dictionary(is_packed)
    extension = b"\x50\x2a\x4d\x18\x05\0\0\0WARC/"
    assert read(head + a + b + extension + c + d) == ["0", "1", "2", "3"]
    assert read(head + a + damaged(b) + c + d) == ["0", "warc_damaged", "2", "3"]
    assert read(head + damaged(a) + b + c[:-9] + d) == ["warc_damaged", "1", "warc_damaged", "3"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda head: b"", "is not in the file.*zstd -d -D DICTIONARY"),
        (lambda head: head[:4] + b"\0\0\x70\0" + head[8:], "is cut off"),
        (lambda head: head[:8] + b"x" * (len(head) - 8), "is no dictionary"),
        (lambda head: skippable(bytes(9 << 20)), "has 9,437,184 bytes, more than"),
        (lambda head: skippable(zstd(bytes(9 << 20))), "unpacks to more than 8,388,608 bytes"),
        (lambda head: skippable(zstd(b"x" * 900)), "is no dictionary"),
        (lambda head: skippable(zstd(head)[:-5]), "cannot be unpacked"),
    ],
)
def test_a_dictionary_that_cannot_be_used_is_an_error(read, change, says):
    head, packed = with_dictionary(False)
    with pytest.raises(MellaError, match=f"x.warc.gz (begins|is packed) with a Zstandard dictionary that {says}"):
        read(change(head) + b"".join(packed))


def skippable(content: bytes) -> bytes:
    return b"\x5d\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content


CHUNKED = (
    b"".join(b"%x;x=1\r\n%s\r\n" % (len(part), part) for part in (HTML[:70], HTML[70:71], HTML[71:])) + b"0\r\n\r\n"
)
GZIPPED = gzip.compress(HTML)
CHUNKED_GZIP = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (GZIPPED[:20], GZIPPED[20:])) + b"0\r\n\r\n"
BODIES = {
    "chunked": (CHUNKED, b"Transfer-Encoding: chunked\r\n"),
    "chunked and cut off": (CHUNKED[:-7], b"Transfer-Encoding: chunked\r\n"),
    "said to be chunked": (HTML, b"Transfer-Encoding: chunked\r\n"),
    "gzip": (GZIPPED, b"Content-Encoding: gzip\r\n"),
    "chunked gzip": (CHUNKED_GZIP, b"Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n"),
    "said to be gzip": (HTML, b"Content-Encoding: gzip\r\n"),
    "deflate": (zlib.compress(HTML), b"Content-Encoding: deflate\r\n"),
    "bare deflate": (zlib.compress(HTML)[2:-4], b"Content-Encoding: deflate\r\n"),
    "br": (brotli.compress(HTML), b"Content-Encoding: br\r\n"),
    "zstd": (zstd(HTML), b"Content-Encoding: zstd\r\n"),
    "gzip in gzip": (gzip.compress(GZIPPED), b"Content-Encoding: gzip, gzip\r\n"),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_come_out_decoded_and_the_next_record_after_them(tmp_path, name):
    body, headers = BODIES[name]
    (tmp_path / "x.warc.gz").write_bytes(gz(1, body, headers) + gz(2))
    first, second = read_warc(tmp_path / "x.warc.gz")
    assert (first.body, second.url) == (HTML, "http://e.example/2")


@pytest.mark.parametrize(
    "body, headers, reason",
    [
        (gzip.compress(bytes(20 << 20)), b"Content-Encoding: gzip\r\n", "page_too_large"),
        (brotli.compress(bytes(20 << 20), quality=1), b"Content-Encoding: br\r\n", "page_too_large"),
        (GZIPPED[:10] + bytes([255]) * 20, b"Content-Encoding: gzip\r\n", "page_encoding"),
        (b"garbage garbage", b"Content-Encoding: br\r\n", "page_encoding"),
        (HTML, b"Content-Encoding: compress\r\n", "page_encoding"),
        (b"%PDF-1.7", b"Content-Type: application/pdf\r\n", None),
    ],
)
def test_bodies_that_cannot_be_read_have_a_reason(read, body, headers, reason):
    assert read(gz(1, body, headers) + gz(2)) == [reason or "1", "2"]


def test_headers_travel_with_the_page(tmp_path):
    headers = b"Content-Language: cs\r\nX-Robots-Tag: noai\r\nX-Robots-Tag: noindex\r\nTDM-Reservation: 1\r\n"
    (tmp_path / "x.warc").write_bytes(record(1, HTML, headers))
    (page,) = read_warc(tmp_path / "x.warc")
    assert page == Page("http://e.example/1", HTML, "text/html", "cs", ("noai", "noindex", "tdm-reservation"))


def test_files_that_are_no_warc_are_errors(tmp_path):
    path = tmp_path / "x.warc"
    for data, message in [
        (b"", "no WARC record"),
        (b"hello" * 99, "no WARC record"),
        (record(1, kind="conversion"), "WET"),
    ]:
        path.write_bytes(data)
        with pytest.raises(MellaError, match=message):
            list(read_warc(path))
    with pytest.raises(MellaError, match="Cannot read the WARC file .*: No such file"):
        list(read_warc(tmp_path / "none.warc"))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_leaves_the_other_records(tmp_path_factory, data):
    members = [gz(number) for number in range(5)]
    victim = data.draw(st.integers(0, 4))
    at = data.draw(st.integers(0, len(members[victim]) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=40))
    members[victim] = members[victim][:at] + junk + members[victim][at + len(junk) :]
    path = tmp_path_factory.getbasetemp() / "damage.warc.gz"
    path.write_bytes(b"".join(members))
    found = {page.url for page in read_warc(path) if isinstance(page, Page)}
    assert found >= {f"http://e.example/{number}" for number in range(5) if number != victim}


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300), st.sampled_from(["", "chunked"]), st.sampled_from(["", "gzip", "deflate", "br", "zstd"])
)
def test_decoding_ends_for_any_bytes(body, transfer, content):
    from mella_hf.know.pages.bodies import UnreadableBody

    try:
        assert len(decode_body(body, transfer, content, max_bytes=1 << 20)) <= 1 << 20
    except UnreadableBody as error:
        assert str(error) in ("page_encoding", "page_too_large")


def wacz() -> bytes:
    """A WACZ file as Browsertrix leaves it: two archives, an index, and what else it names."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as members:
        members.writestr("datapackage.json", "{}")
        members.writestr("archive/a.warc.gz", gz(1) + damaged(gz(2)) + gz(3))
        members.writestr("archive/b.warc", record(4))
        members.writestr("indexes/index.cdx.gz", gz(5))
        members.writestr("archive/c.warc.gz", gz(6), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def test_wacz_files_are_read(read):
    data = wacz()
    assert read(data) == ["1", "warc_damaged", "3", "4", "warc_damaged"]
    at = data.index(record(4)) + 600
    assert read(data[:at] + b"?" + data[at + 1 :]) == ["1", "warc_damaged", "3", "4", "warc_damaged"]
    assert {"1", "3"} <= set(read(data[:-30]))  # without its table of contents


# What writers and transfers do to lengths, versions and members, and what can be read all the same.
SHAPES = {
    "a length too small": (record(1).replace(b"Content-Length: ", b"Content-Length: 1\r\nX: ") + record(2), "2"),
    "a length too large": (
        record(1).replace(b"Content-Length: ", b"Content-Length: 1") + record(2) * 12 + record(3),
        "3",
    ),
    "a length beyond 64 bits": (
        record(1).replace(b"Content-Length: ", b"Content-Length: 9" + b"9" * 30) + record(2),
        "2",
    ),
    "a negative length": (record(1).replace(b"Content-Length: ", b"Content-Length: -") + record(2), "2"),
    "no address": (record(1).replace(b"WARC-Target-URI", b"X") + record(2), "2"),
    "WARC/0.17 and 1.1": (record(1).replace(b"C/1.0", b"C/0.17") + record(2).replace(b"C/1.0", b"C/1.1"), "1 2"),
    "wget's <address>": (record(1).replace(b"http://e.example/1", b"<http://e.example/1>"), "1"),
    "one member for all": (gzip.compress(record(1) + record(2)), "1 2"),
    "empty members": (gzip.compress(b"") + gz(1) + gzip.compress(b"") + gz(2), "1 2"),
    "a record in two members": (gzip.compress(record(1)[:700]) + gzip.compress(record(1)[700:]) + gz(2), "1 2"),
    "a wrong checksum": (gz(1) + gz(2)[:-8] + b"abcdefgh" + gz(3), "1 3"),
    "a mark of UTF-8": (b"\xef\xbb\xbf" + record(1) + record(2), "1 2"),
    "no lines between": (record(1)[:-4] + record(2)[:-4] + record(3), "1 2 3"),
    "HTTP/2": (record(1).replace(b"HTTP/1.1 200 OK\r\n", b"HTTP/2 200     \r\n"), "1"),
    "an archive in a page": (record(1, HTML + record(8)) + record(2), "1 2"),
    "a header of a megabyte": (record(1) + record(2).replace(b"WARC-Date", b"X" * 1_000_000) + record(3), "1 3"),
    "revisits": (record(1) + record(2, kind="revisit") + record(3), "1 3"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_pages_are_read_from_files_of_any_shape(read, name):
    data, expected = SHAPES[name]
    assert set(expected.split()) <= set(read(data))


def test_lost_pages_say_where(tmp_path):
    (tmp_path / "x.warc.gz").write_bytes(gz(1) + damaged(gz(2)))
    lost = [page for page in read_warc(tmp_path / "x.warc.gz") if isinstance(page, LostPage)]
    assert [page.where.startswith("x.warc.gz, after @") for page in lost] == [True]


@pytest.mark.parametrize("megabytes", [0, 1])
def test_a_shard_of_pages_is_extracted_in_order_however_far_reading_is_ahead(tmp_path, monkeypatch, megabytes):
    pages = [record(n, f"<img src={n}.jpg alt=x{n}>".encode()) for n in range(5)]
    (tmp_path / "pages.warc").write_bytes(b"".join([*pages[:2], record(9, status=b"404 No"), *pages[2:]]))
    monkeypatch.setattr("mella_hf.know.pages.sources._AHEAD_BYTES", megabytes << 20)
    output = ShardOutput(tmp_path)
    extract_shard(warc_shards([tmp_path / "pages.warc"])[0], output)
    assert pq.read_table(tmp_path / "rows.parquet")["alt"].to_pylist() == [f"x{n}" for n in range(5)]
    assert output.counts == {"pages": 5, "images": 5, "kept": 5, "dropped_page_status": 1}
