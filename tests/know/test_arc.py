"""ARC files of both versions, written by hand from the description of the format."""

import gzip
from pathlib import Path

import pytest

from mella_hf.errors import MellaError
from mella_hf.know.pages.warc import LostPage, Page, read_warc

# https://archive.org/web/researcher/ArcFileFormat.php
PAGE = "<html><img src=a.jpg alt='Kůň'></html>".encode()
HTTP = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nX-Robots-Tag: noai\r\n\r\n" + PAGE


def header(version: int = 1) -> bytes:
    fields = b"Archive-length" if version == 1 else b"Result-code Checksum Location Offset Filename Archive-length"
    block = b"%d 1 InternetArchive\nURL IP-address Archive-date Content-type %s\n" % (version, fields)
    extra = b"" if version == 1 else b"200 - - 0 a.arc "
    return b"filedesc://a.arc 0.0.0.0 20050101000000 text/plain %s%d\n%s\n" % (extra, len(block), block)


def record(
    number: int, block: bytes = HTTP, version: int = 1, kind: bytes = b"text/html", url: bytes = b"http://e.example/%d"
) -> bytes:
    extra = b"" if version == 1 else b"200 abc - 77 a.arc "
    address = url % number if b"%d" in url else url
    return b"%s 192.0.2.1 20050101000000 %s %s%d\n%s\n" % (address, kind, extra, len(block), block)


def read(tmp_path: Path, data: bytes) -> list[str]:
    (tmp_path / "x.arc.gz").write_bytes(data)
    return [p.url.rsplit("/", 1)[1] if isinstance(p, Page) else p.reason for p in read_warc(tmp_path / "x.arc.gz")]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("pack", ["plain", "a member each", "one member"])
def test_pages_of_both_versions(tmp_path, version, pack):
    parts = [header(version), record(1, version=version), record(2, version=version)]
    data = b"".join(map(gzip.compress, parts) if pack == "a member each" else parts)
    assert read(tmp_path, gzip.compress(data) if pack == "one member" else data) == ["1", "2"]
    first = next(iter(read_warc(tmp_path / "x.arc.gz")))
    assert first == Page("http://e.example/1", PAGE, "text/html", None, ("noai",))


RECORDS = {
    "dns and mail": (record(1, b"x", url=b"dns:e.example") + record(2, b"x", url=b"mailto:a@e.example"), []),
    "an address with spaces": (record(0, url=b"http://e.example/a b c"), ["a b c"]),
    "a type with spaces": (record(1, kind=b"text/html; charset=x"), ["1"]),
    "no type": (record(1, kind=b"no-type"), ["1"]),
    "no HTTP headers": (record(1, PAGE), ["1"]),
    "LF alone": (record(1, HTTP.replace(b"\r\n", b"\n")), ["1"]),
    "an image": (record(1, HTTP.replace(b"text/html", b"image/gif")) + record(2), ["page_not_html", "2"]),
    "an error": (record(1, HTTP.replace(b"200 OK", b"404 No")) + record(2), ["page_status", "2"]),
    "an image of 3 MB": (record(1, b"HTTP/1.0 200 OK\nContent-Type: a/b\n\n" + b"\n" * 3_000_000) + record(2),
                         ["page_not_html", "2"]),
    "no line feed behind the block": (record(1)[:-1] + record(2), ["1", "2"]),
    "blank lines": (b"\n\n" + record(1) + b"\r\n\n\n" + record(2), ["1", "2"]),
    "rubbish between": (record(1) + b"rubbish\nmore: rubbish\n" + record(2), ["1", "warc_damaged", "2"]),
    "a line without end": (record(1) + b"x" * 100_000 + b"\n" + record(2), ["1", "warc_damaged", "2"]),
    "a length that is none": (record(1).replace(b"text/html 1", b"text/html -1") + record(2), ["warc_damaged", "2"]),
    "a length of 400 digits": (b"http://e.example/1 0.0.0.0 20050101000000 text/html " + b"9" * 400 + b"\n" + record(2),
                               ["warc_damaged", "2"]),
    "a length beyond the end": (b"http://e.example/1 0.0.0.0 20050101000000 text/html 9999\n" + HTTP,
                                ["page_truncated"]),
    "a page of 99 GB": (b"http://e.example/1 0.0.0.0 20050101000000 text/html 99000000000\n" + HTTP,
                        ["page_truncated"]),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_records(tmp_path, name, pack):
    data, expected = RECORDS[name]
    if expected != ["page_truncated"]:
        data, expected = data + record(9), [*expected, "9"]
    assert read(tmp_path, pack(header() + data)) == expected


def test_a_damaged_member_costs_itself_alone(tmp_path):
    members = [gzip.compress(part) for part in (header(), record(1), record(2), record(3))]
    hurt = members[2][:30] + bytes(byte ^ 0x5A for byte in members[2][30:34]) + members[2][34:]
    found = read(tmp_path, b"".join([*members[:2], hurt, members[3]]))
    assert (found[0], found[-1]) == ("1", "3") and "warc_damaged" in found
    assert read(tmp_path, b"".join(members)[:-20]) == ["1", "2", "page_truncated"]
    assert read(tmp_path, bytes(1000).join(members)) == ["1", "2", "3"]


def test_an_arc_file_that_begins_with_damage_is_an_error(tmp_path):
    with pytest.raises(MellaError, match="holds no WARC record"):
        read(tmp_path, b"x" + header() + record(1))
    with pytest.raises(MellaError, match="holds no WARC record"):
        read(tmp_path, header())


def test_a_member_that_inflates_without_end(tmp_path):
    long = b"http://e.example/1 0.0.0.0 20050101000000 text/html %d\n" % (100 << 20) + bytes(100 << 20)
    found = read(tmp_path, gzip.compress(header()) + gzip.compress(long, 1) + gzip.compress(record(2)))
    assert found == ["page_too_large", "2"]


def test_what_is_lost_says_where(tmp_path):
    (tmp_path / "x.arc").write_bytes(header() + b"rubbish\n" + record(1))
    lost = [page.where for page in read_warc(tmp_path / "x.arc") if isinstance(page, LostPage)]
    assert lost == [f"x.arc, after @{len(header())}: b'rubbish\\n' begins no record"]
