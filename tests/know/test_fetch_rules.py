"""The rules of fetching without a server: addresses, turns, robots.txt, reservations, dates, first bytes."""

import gzip
import heapq
import io
import random
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mella_hf.know.fetching.addresses import Allowed, BlockedAddress, is_public
from mella_hf.know.fetching.download import Response, is_retryable, origin_of, redirect_target
from mella_hf.know.fetching.robots import (
    Policy,
    Rules,
    Unreadable,
    covers,
    parse_tdmrep,
    rules_text,
)
from mella_hf.know.fetching.schedule import Job, Schedule
from mella_hf.know.fetching.sniff import sniff

# Addresses of the blocks in IANA's special-purpose registries
# (https://www.iana.org/assignments/iana-ipv4-special-registry, iana-ipv6-special-registry) that are not globally
# reachable, of cloud metadata services, and of all of these in the dress of another protocol.
PRIVATE = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 100.100.100.200 127.0.0.1 127.255.255.254
169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.254 192.0.0.1 192.0.0.192 192.0.2.1 192.168.0.1
198.18.0.1 198.19.255.254 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255 168.63.129.16
:: ::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe
64:ff9b:1::1 100::1 2001:2::1 2001:db8::1 2002:7f00:1:: 2002:a00:1:: fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0
fec0::1 ff02::1
""".split()
PUBLIC = (
    "1.1.1.1 8.8.8.8 93.184.216.34 100.128.0.1 172.32.0.1 192.169.0.1 2606:4700:4700::1111 2a00:1450:4001::8a"
    " 64:ff9b::101:101 64:ff9b::5db8:d822".split()
)


@pytest.mark.parametrize("address", PRIVATE)
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(BlockedAddress, match="not a public address"):
        Allowed().socket((2, 1, 6, "", (address, 80)))


@pytest.mark.parametrize("address", PUBLIC)
def test_the_others_are(address: str) -> None:
    assert is_public(address)


NEVER = ("169.254.169.254", "fe80::1", "168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254")


@pytest.mark.parametrize("private", [True, ("127.0.0.1",), ("0.0.0.0/0", "::/0")])
def test_link_local_and_metadata_addresses_are_opened_by_nothing(private) -> None:
    assert not any(Allowed(private).permits(address) for address in (*NEVER, "::ffff:169.254.169.254"))


def test_one_named_network_or_host_is_opened_and_no_other() -> None:
    network = Allowed(("10.1.0.0/16",))
    assert network.permits("10.1.2.3") and network.permits("8.8.8.8") and not network.permits("10.2.0.1")
    host = Allowed(("files.lan",))
    host.note("elsewhere.lan", ["10.9.9.8"])
    host.note("Files.LAN", ["10.9.9.9"])
    assert host.permits("10.9.9.9") and not host.permits("10.9.9.8") and not host.permits("127.0.0.1")


def take_all(schedule: Schedule, step: float = 0.1, until: float = 20.0) -> list[tuple[float, str]]:
    """(time, URL) of every job, on a clock of our own; each job takes no time."""
    taken, now = [], 0.0
    while now < until:
        job = schedule.take(now)
        if isinstance(job, Job):
            host = schedule.host_of(job.target)
            assert schedule.start(host, now) == 0
            taken.append((round(now, 3), job.url))
            schedule.finish(host)
        else:
            now += step
    return taken


def test_turns_of_hosts_are_apart_and_hosts_do_not_wait_for_each_other() -> None:
    schedule = Schedule(per_host=1, delay=1.0)
    for number in range(3):
        for host in "ab":
            schedule.add(Job(f"http://{host}/{number}", f"http://{host}/{number}"))
    taken = take_all(schedule)
    for host in "ab":
        times = [at for at, url in taken if f"//{host}/" in url]
        assert len(times) == 3 and times[0] == 0
        assert all(0.99 <= b - a <= 1.11 for a, b in pairwise(times))


def test_a_job_waits_for_its_time_and_others_of_its_host_go_first() -> None:
    schedule = Schedule(per_host=1, delay=0.0)
    schedule.add(Job("http://a/late", "http://a/late"), ready_at=2.0)
    schedule.add(Job("http://a/now", "http://a/now"))
    assert [url for _, url in take_all(schedule)] == ["http://a/now", "http://a/late"]


def test_no_more_at_a_time_than_allowed_and_exact_waits() -> None:
    schedule = Schedule(per_host=2, delay=0.0)
    for number in range(3):
        schedule.add(Job(f"http://a/{number}", f"http://a/{number}"))
    assert [isinstance(schedule.take(0.0), Job) for _ in range(3)] == [True, True, False]
    assert schedule.take(0.0) is None  # nothing to wait for: only a finished job makes room
    host = schedule.host("a")
    schedule.finish(host)
    host.next_start = 5.0  # Retry-After
    assert schedule.take(1.0) == 4.0
    assert isinstance(schedule.take(5.0), Job)
    schedule.add(Job("http://a/3", "http://a/3"))
    assert [job.url for job in schedule.drain(host)] == ["http://a/3"]
    assert schedule.take(9.0) is None


def test_every_turn_of_a_host_is_used_whatever_its_answers_take() -> None:
    hosts, per_host, draw = 8, 2, random.Random(1)
    schedule = Schedule(per_host=per_host, delay=0.0)
    for number in range(100 * hosts):
        url = f"http://h{number % hosts}/{number}"
        schedule.add(Job(url, url))
    now, ends, spent, last = 0.0, [], dict.fromkeys(range(hosts), 0.0), {}
    while True:  # a clock of its own: what takes time is drawn, and the next thing to happen is next
        found = schedule.take(now)
        if isinstance(found, Job):
            host, seconds = schedule.host_of(found.url), draw.uniform(0.01, 0.2)
            spent[int(host.name[1:])] += seconds
            heapq.heappush(ends, (now + seconds, found.url))
        elif ends:
            now, url = heapq.heappop(ends)
            last[int(url[8:].partition("/")[0])] = now
            schedule.finish(schedule.host_of(url))
        else:
            break
    for host, seconds in spent.items():
        assert seconds / per_host > 0.98 * last[host]  # 100 answers: the last may be alone for one


def test_a_redirected_job_belongs_to_the_host_that_it_leads_to() -> None:
    schedule = Schedule(per_host=1, delay=0.0)
    schedule.add(Job("http://a/x", "http://WWW.b:8080/x", hops=1))
    assert schedule.host("www.b").waiting and not schedule.host("a").waiting


# The file of section 6.1's form, by hand: the first rule that matches decides.
TDMREP = """[
 {"location": "/press/*.jpg$", "tdm-reservation": 0},
 {"location": "/press", "tdm-reservation": 1, "tdm-policy": "https://provider.example/policy.json"},
 {"location": "/a+b(c", "tdm-reservation": "1"},
 {"location": 7}, "nonsense"
]"""


@pytest.mark.parametrize(
    ("path", "reserved"),
    [
        ("/press/x.jpg", False),
        ("/press/x.jpg?large", True),
        ("/press/deep/x.png", True),
        ("/other/press", False),
        ("/a+b(c/x", True),
        ("", False),
    ],
)
def test_tdmrep(path: str, reserved: bool) -> None:
    assert Rules(Policy("", TDMREP)).is_reserved(f"https://a.example{path}") is reserved


@pytest.mark.parametrize("text", ["", "<html>", "{}", "[", "null", "[" * 100_000])
def test_what_is_no_tdmrep_reserves_nothing(text: str) -> None:
    assert parse_tdmrep(text) == []


@settings(max_examples=300, deadline=None)
@given(st.text("ab*$/", max_size=8), st.text("ab$/", max_size=12))
def test_locations_cover_what_the_same_regular_expression_would(location: str, path: str) -> None:
    pieces = ".*".join(map(re.escape, location.removesuffix("$").split("*")))
    assert covers(location, path) is bool(re.match(pieces + (r"\Z" if location.endswith("$") else ""), path, re.DOTALL))


def test_a_hostile_rule_file_does_not_hold_the_crawler_up() -> None:
    """As regular expressions these took time exponential in their length, and the crawler never came back."""
    pattern, url = "/" + "*a" * 40 + "*b$", "http://a.example/" + "a" * 400
    assert not Rules(Policy("", f'[{{"location": "{pattern}", "tdm-reservation": 1}}]')).is_reserved(url)
    assert Rules(Policy(f"User-agent: *\nDisallow: {pattern}", "")).refusal(url) is None


def test_rules_for_us_and_for_everyone() -> None:
    rules = Rules(Policy("User-agent: *\nDisallow: /\n\nUser-agent: mella_hf\nDisallow: /x/\nCrawl-delay: 2.5", ""))
    assert rules.refusal("https://a.example/x/1.jpg") == "robots_disallow"
    assert rules.refusal("https://a.example/y/1.jpg") is None
    assert rules.crawl_delay() == 2.5
    assert Rules(Unreadable("dns_error")).refusal("https://a.example/") == "dns_error"


def test_rule_files_by_status() -> None:
    assert rules_text(Response(status=200, body=b"\xef\xbb\xbfUser-agent: *")) == "User-agent: *"
    assert [rules_text(Response(f"http_{status}", status)) for status in (400, 401, 403, 404, 410)] == [""] * 5
    for response in (
        Response("http_500", 500),
        Response("http_429", 429),
        Response("timeout_read"),
        Response("too_large", 200),
    ):
        with pytest.raises(Unreadable, match="robots_unavailable"):
            rules_text(response)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/b.jpg", "http://a.example:8080/b.jpg"),
        ("b.jpg#x", "http://a.example:8080/x/b.jpg"),
        ("//c.example/d", "http://c.example/d"),
        ("https://c.example/", "https://c.example/"),
        ("file:///etc/passwd", None),
        ("javascript:alert(1)", None),
        ("http://[::1/", None),
        ("http:///x", "http://x/"),
        ("", None),
        (None, None),
    ],
)
def test_redirect_targets(location: str | None, expected: str | None) -> None:
    assert redirect_target("http://a.example:8080/x/a.jpg", location) == expected


def test_origins() -> None:
    assert origin_of("https://A.example/x?y#z") == "https://a.example"
    assert origin_of("http://a.example:8080/") == "http://a.example:8080"
    assert origin_of("http://u:p@a.example/") == "http://a.example"
    assert [origin_of(url) for url in ("ftp://a/x", "data:image/png;base64,x", "x", "", "http://[x")] == [None] * 5


def test_what_may_work_later() -> None:
    later = ["http_429", "http_500", "http_503", "http_522", "timeout_read", "dns_error", "incomplete", "host_gave_up"]
    never = ["http_404", "http_403", "too_large", "robots_disallow", "reserved_noai", "blocked_address", None]
    assert [is_retryable(reason) for reason in (*later, *never)] == [True] * len(later) + [False] * len(never)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "ICO"])
def test_first_bytes_of_images(kind: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(out, kind)
    assert sniff(out.getvalue()[:512]) == kind.lower()


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xef\xbb\xbf\n<!DOCTYPE HTML><html>", "html"),
        (b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">', "html"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg">', "svg"),
        (
            b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN">' + b"<!-- -->" * 60,
            "html",
        ),
        ("\ufeff<!DOCTYPE html><html>".encode("utf-16-le"), "html"),
        ("\ufeff<html>".encode("utf-16-be"), "html"),
        (b"<section><p>", "html"),
        (b"<rss>", "unknown"),
        (b"%PDF-1.7", "pdf"),
        (gzip.compress(b"x", mtime=0), "gzip"),
        (b"", "unknown"),
    ],
)
def test_first_bytes_of_others(head: bytes, kind: str) -> None:
    assert sniff(head) == kind
