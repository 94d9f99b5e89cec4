"""One spelling for each host and URL. Expectations: RFC 3492 and 3986, and Python's own `urlsplit` on plain URLs."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mella_hf.text.addresses import canonical_host, host_of, is_within, url_key


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://example.org/a", "example.org"), ("HTTPS://WWW.EXAMPLE.ORG./A", "www.example.org"),
        (" http://u:p@x.org:8080?q ", "x.org"), ("//x.org/a b", "x.org"), ("http://[2001:DB8::1]/", "[2001:db8::1]"),
        ("http://пример.рф/", "xn--e1afmkfd.xn--p1ai"),
        ("http://%D0%BF%D1%80%D0%B8%D0%BC%D0%B5%D1%80.рф", "xn--e1afmkfd.xn--p1ai"),
        ("x.org/a", None), ("ftp://x.org", None), ("", None), (None, None), ("https:///a", None),
    ],
)  # fmt: skip
def test_host_of(url: str | None, host: str | None) -> None:
    assert host_of(url) == host


@given(
    st.from_regex(r"https?://[a-z0-9]{1,8}(\.[a-z0-9]{1,8}){1,3}(:[0-9]{2,4})?(/[a-z0-9/._-]{0,20})?", fullmatch=True)
)
def test_plain_urls_are_read_as_urlsplit_reads_them(url: str) -> None:
    assert host_of(url) == urlsplit(url).hostname
    assert url_key(url) == url_key(url.upper().split("://")[0] + "://" + url.split("://")[1] + "#top")


@pytest.mark.parametrize(
    ("host", "domain", "within"),
    [
        ("x.org", "x.org", True), ("a.b.x.org", "x.org", True), ("notx.org", "x.org", False),
        ("x.org.evil", "x.org", False),
        ("x.org", "*.x.org", False), ("a.x.org", "*.x.org", True), ("notx.org", "*.x.org", False),
    ],
)  # fmt: skip
def test_is_within(host: str, domain: str, within: bool) -> None:
    assert is_within(host, domain) is within


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://x.org/a b.jpg", "http://X.ORG:80/a%20b.jpg#x"), ("https://x.org", "https://x.org/"),
        ("https://x.org/é?q=%c3%a9", "https://x.org:443/%C3%A9?q=é"), ("http://müller.de/", "http://xn--mller-kva.de"),
    ],
)  # fmt: skip
def test_spellings_of_one_address(one: str, other: str) -> None:
    assert url_key(one) == url_key(other)
    assert url_key(one) != url_key(one + "2") and url_key("https://x.org/A") != url_key("https://x.org/a")


@given(st.text(max_size=300))
def test_nothing_raises(text: str) -> None:
    host_of(text), url_key(text), url_key(f"http://{text}"), host_of(f"http://{text}"), canonical_host(text)
