"""Find the encoding that the first bytes of a page declare: the HTML Standard's prescan, in one pass.

https://html.spec.whatwg.org/multipage/parsing.html#prescan-a-byte-stream-to-determine-its-encoding. As browsers, and
other than the Standard's own few lines, it also passes over the text of scripts, styles and titles.
"""

import re
from collections.abc import Iterator

_SPACE = b"\t\n\f\r "
_TAG = re.compile(rb"/?[A-Za-z]")
_META = re.compile(rb"meta[\t\n\f\r /]", re.IGNORECASE)
_NAME = re.compile(rb"[^\t\n\f\r >]*+")
_ATTRIBUTE = re.compile(rb"[\t\n\f\r /]*+(?:(>)|(=?[^\t\n\f\r />=]*+)[\t\n\f\r ]*+(=?)[\t\n\f\r ]*+)")
_PLAIN_VALUE = re.compile(rb"[^\t\n\f\r >]*+")
_RAW = frozenset((b"script", b"style", b"title", b"textarea", b"xmp", b"noembed", b"noframes"))
_CHARSET = re.compile(rb"charset[\t\n\f\r ]*+(=?)[\t\n\f\r ]*+", re.IGNORECASE)
_BARE_CHARSET = re.compile(rb"[^\t\n\f\r ;,]*+")
_XML = re.compile(rb"<\?xml[^>]*+>")
_XML_ENCODING = re.compile(rb"encoding[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:\"([^\"]*+)\"|'([^']*+)')")


def meta_labels(head: bytes) -> Iterator[bytes]:
    """The labels that the `<meta>`s of a page give, in order; browsers obey the first that they know."""
    lower = head.lower()
    at = head.find(b"<")
    while at >= 0:
        if head.startswith(b"<!--", at):
            end = head.find(b"-->", at + 2)
            at = end + 3 if end >= 0 else len(head)
        elif _META.match(head, at + 1):
            attributes, at, is_whole = _attributes(head, at + 5)
            label = _declared_by(attributes) if is_whole else None
            if label is not None:
                yield label
        elif _TAG.match(head, at + 1):
            name = _NAME.match(lower, at + 1)[0]  # type: ignore[index]
            _, at, _ = _attributes(head, at + 1 + len(name))
            if name in _RAW:
                end = lower.find(b"</" + name, at)
                at = end if end >= 0 else len(head)
        elif head[at + 1 : at + 2] in (b"!", b"/", b"?"):
            end = head.find(b">", at)
            at = end + 1 if end >= 0 else len(head)
        else:
            at += 1
        at = head.find(b"<", at)


def _attributes(head: bytes, at: int) -> tuple[dict[bytes, bytes], int, bool]:
    """(the attributes of a tag from behind its name on, where the tag ends, whether it does)."""
    found: dict[bytes, bytes] = {}
    while (attribute := _ATTRIBUTE.match(head, at)) is not None and at < len(head):
        at = attribute.end()
        if attribute[1]:
            return found, at, True
        value = b""
        if attribute[3]:
            quote = head[at : at + 1]
            if quote in (b'"', b"'"):
                end = head.find(quote, at + 1)
                if end < 0:  # a quote that nothing closes takes all that follows
                    break
                value, at = head[at + 1 : end], end + 1
            else:
                value = _PLAIN_VALUE.match(head, at)[0]  # type: ignore[index]
                at += len(value)
        found.setdefault(attribute[2].lower(), value)
    return found, len(head), False


def _declared_by(attributes: dict[bytes, bytes]) -> bytes | None:
    """The label that a `<meta>` with these attributes gives."""
    charset = attributes.get(b"charset")
    if charset is not None:
        return charset.strip(_SPACE)
    if attributes.get(b"http-equiv", b"").lower() == b"content-type":
        return charset_in(attributes.get(b"content", b""))
    return None


def charset_in(value: bytes) -> bytes | None:
    """The charset that a Content-Type names: "text/html; charset=koi8-r" -> koi8-r.

    https://html.spec.whatwg.org/multipage/urls-and-fetching.html#extracting-character-encodings-from-meta-elements
    """
    found = next((match for match in _CHARSET.finditer(value) if match[1]), None)
    if found is None:
        return None
    at = found.end()
    quote = value[at : at + 1]
    if quote in (b'"', b"'"):
        end = value.find(quote, at + 1)
        return value[at + 1 : end].strip(_SPACE) if end >= 0 else None
    return _BARE_CHARSET.match(value, at)[0] or None  # type: ignore[index]


def xml_label(head: bytes) -> bytes | None:
    """The label of an XML declaration at the very beginning."""
    declaration = _XML.match(head.lstrip(_SPACE))
    found = _XML_ENCODING.search(declaration[0]) if declaration else None
    return None if found is None else (found[1] or found[2] or b"").strip(_SPACE)
