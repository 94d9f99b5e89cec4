"""Tell what a body is by its first bytes and its Content-Type, as browsers do (WHATWG MIME Sniffing)."""

# Content-Encodings that exist and are not read here. Any other name, such as "none" or "utf-8", says nothing: browsers
# take the body as it is (Chromium's FilterSourceStream knows no other encoding).
NOT_READ = frozenset(("compress", "x-compress", "lzma", "xz", "bzip2", "x-bzip2", "sdch", "dcb", "dcz"))
SNIFF_BYTES = 1445  # what the Standard reads at most
HTML_TYPES = ("text/html", "application/xhtml+xml")

_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"\x00\x00\x01\x00", "ico"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"%PDF-", "pdf"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
)
_SPACE = b"\t\n\f\r "
# https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type, each before a space or ">".
_HTML_TAGS = (
    b"<!doctype html", b"<html", b"<head", b"<script", b"<iframe", b"<h1", b"<div", b"<font", b"<table", b"<a",
    b"<style", b"<title", b"<b", b"<body", b"<br", b"<p",
)  # fmt: skip
# What other pages begin with, ours: where no type is declared, a page is likelier than anything else.
_OTHER_TAGS = (
    b"<meta", b"<link", b"<base", b"<center", b"<section", b"<header", b"<main", b"<article", b"<nav", b"<noscript",
    b"<form", b"<img", b"<span", b"<ul", b"<h2", b"<h3",
)  # fmt: skip
_TAGS = _HTML_TAGS + _OTHER_TAGS
_ENDS = (b" ", b">", b"\t", b"\n", b"\r", b"/")  # the Standard's two, and what ends a tag's name in HTML


def sniff(head: bytes) -> str:
    """The kind of a body by its first SNIFF_BYTES: "jpeg", "png", "webp", "gif", "html", "svg", …, or "unknown"."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return "avif" if head[8:12] in (b"avif", b"avis") else "heic" if head[8:11] in (b"hei", b"mif") else "mp4"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16: of ASCII every other byte is zero
        head = head[2:].replace(b"\0", b"")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(_SPACE).lower()
    if text.startswith(b"<?xml"):
        return "html" if b"<html" in text or b"<!doctype html" in text else "svg" if b"<svg" in text else "xml"
    if text.startswith((b"<svg", b"<!doctype svg")):
        return "svg"
    if text.startswith(b"<!--"):
        return "svg" if b"<svg" in text and b"<html" not in text and b"<!doctype html" not in text else "html"
    return "html" if any(_begins(text, tag) for tag in _TAGS) else "unknown"


def _begins(text: bytes, tag: bytes) -> bool:
    return text.startswith(tag) and text[len(tag) : len(tag) + 1] in _ENDS


def kind_of(head: bytes, content_type: str | None) -> str:
    """The kind of a body: what a server calls a page is one, however it begins, unless it is plainly something else."""
    kind = sniff(head)
    if kind in ("unknown", "xml", "svg") and is_html_type(content_type):
        return "html"
    return kind


def is_html_type(content_type: str | None) -> bool:
    """Whether a Content-Type header says that a body is a page."""
    return (content_type or "").partition(";")[0].strip().lower() in HTML_TYPES
