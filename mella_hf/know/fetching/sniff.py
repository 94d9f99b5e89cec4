"""Detect the type of a body from its first bytes, whatever its header says."""

SNIFF_BYTES = 512  # enough for every rule here; WHATWG's MIME Sniffing reads at most 1,445

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
# https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type, and what other pages begin with.
_HTML = (
    b"<!doctype html", b"<html", b"<head", b"<script", b"<iframe", b"<h1", b"<div", b"<font", b"<table", b"<a ",
    b"<style", b"<title", b"<b>", b"<body", b"<br", b"<p>", b"<p ", b"<!--", b"<meta", b"<link", b"<base",
    b"<center", b"<section", b"<header", b"<main", b"<article", b"<nav", b"<noscript", b"<form", b"<img", b"<span",
    b"<ul",
)  # fmt: skip


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
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in text:
        return "svg"
    if text.startswith(_HTML) or (text.startswith(b"<?xml") and (b"<html" in text or b"<!doctype html" in text)):
        return "html"
    return "xml" if text.startswith(b"<?xml") else "unknown"
