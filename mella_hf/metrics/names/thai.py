"""Find names in Thai alt-texts. Thai marks names neither by capitals nor by spaces.

A sight is found by the word for what it is (temple, island), a person by the given name.

The lists of people's names are PyThaiNLP's; the others are written for this, from everyday use.
"""

from collections.abc import Iterator, Sequence
from functools import cache

# What a sight is, which is part of its name: วัดอรุณ, เกาะสมุย.
_SIGHTS = frozenset(
    """
    วัด เกาะ ดอย ภู เขา แม่น้ำ ถนน น้ำตก เขื่อน หอ ปราสาท พระราชวัง วัง สะพาน อุทยาน อุทยานแห่งชาติ อ่าว
    ทะเลสาบ ถ้ำ แหลม คลอง ศาลเจ้า มหาวิทยาลัย โรงเรียน สนามบิน มัสยิด โบสถ์ พระธาตุ ป้อม กำแพง แยก ซอย
    สนามหลวง พิพิธภัณฑ์ อนุสาวรีย์
    """.split()
)
# What is not part of the name of what follows: หาดป่าตอง is ป่าตอง.
_KINDS = frozenset("หาด ชายหาด ตลาด ตลาดน้ำ ตลาดนัด จังหวัด อำเภอ ตำบล เมือง ภูเขา ภูเขาไฟ ประเทศ หมู่บ้าน ทะเล".split())
_TITLES = frozenset("นาย นาง นางสาว พลเอก พลโท พลตรี พันเอก ดร. คุณ นายกรัฐมนตรี ประธานาธิบดี นักร้อง นักแสดง".split())
# Words that a name does not go on with.
_ORDINARY = frozenset(
    """
    ที่ ใน บน ใต้ ริม กับ และ หรือ ของ จาก ถึง ไป มา อยู่ เป็น คือ มี ยาม ตอน เวลา ช่วง หน้า หลัง ข้าง กลาง
    ใกล้ ตาม โดย เพื่อ ให้ ได้ แล้ว เก่า ใหม่ ใหญ่ เล็ก สูง ยาว สวย สวยงาม ร้าง โบราณ ไม้ ไทย จีน น้ำ สาย สี
    ขาว ดำ แดง เขียว กว้าง แคบ ข้าม ลอย แขวน หลวง สาธารณะ เดียว สอง สาม แห่ง นี้ นั้น หนึ่ง ทาง รถ คน วัน คืน
    เช้า เย็น กลางคืน กลางวัน แห่งชาติ ร้อน เงียบ ลูกรัง คอนกรีต ทราย หิน
    """.split()
)
_INSIDE = frozenset("หิน แดง ขาว ทราย แห่งชาติ ใหญ่".split())  # but that may begin one, before another word
_LONGEST = 4  # tokens of a sight's name after what it is
_VERBS = ("ยืน", "นั่ง", "เดิน", "วิ่ง", "กิน", "ยิง", "ถ่าย", "เล่น", "ตอน", "ยาม", "ชก", "แถลง", "ร้อง", "เต้น", "ขาย", "ซื้อ")


@cache
def _people() -> tuple[frozenset[str], frozenset[str]]:
    """Given and family names."""
    from pythainlp.corpus import thai_family_names, thai_female_names, thai_male_names

    return frozenset(thai_male_names()) | frozenset(thai_female_names()), frozenset(thai_family_names())


def thai_names(tokens: Sequence[str], known: frozenset[str]) -> Iterator[tuple[int, int]]:
    """The places [first, end) of names among the tokens of a text, spaces among them.

    Args:
        known: the words of the dictionary.
    """
    for at, token in enumerate(tokens):
        if token in _SIGHTS or token in _KINDS:
            end = _sight_end(tokens, at)
            if end is not None:
                yield (at if token in _SIGHTS else at + 1), end
    yield from _people_in(tokens, known)


def is_kind(token: str) -> bool:
    """Whether a token says what a thing is, and is no name by itself."""
    return token in _SIGHTS or token in _KINDS or token in _TITLES or token in ("เจดีย์", "พระ")


def _sight_end(tokens: Sequence[str], at: int) -> int | None:
    end = at + 1
    while end < len(tokens) and end - at <= _LONGEST and _goes_on(tokens, end, end == at + 1):
        end += 1
    return end if end > at + 1 else None


def _goes_on(tokens: Sequence[str], at: int, first: bool) -> bool:
    token = tokens[at]
    if not token.strip() or not token[0].isalpha() or token.startswith(_VERBS) or token in _KINDS:
        return False
    if token in _INSIDE:
        return first and at + 1 < len(tokens) and _goes_on(tokens, at + 1, False)
    return token not in _ORDINARY


def _people_in(tokens: Sequence[str], known: frozenset[str]) -> Iterator[tuple[int, int]]:
    """A given name between spaces, with the family name after it."""
    given, family = _people()
    chunks = _chunks(tokens)
    for number, (first, end) in enumerate(chunks):
        titled = tokens[first] in _TITLES
        first += titled
        name = "".join(tokens[first:end])
        if name not in given and not (titled and name):
            continue
        after = chunks[number + 1] if number + 1 < len(chunks) else None
        last = "".join(tokens[slice(*after)]) if after else ""
        is_last = last in family or (last in given and last not in known)
        if after is not None and after[1] - after[0] > 1:
            is_last = is_last or _is_unusual(tokens[slice(*after)])
        if after is not None and is_last and last not in known:
            yield first, after[1]
        elif titled or name not in known:
            yield first, end


def _is_unusual(tokens: Sequence[str]) -> bool:
    """Whether tokens that stand together are no phrase: no function word or verb is among them."""
    return not any(t in _ORDINARY or t in _KINDS or t in _SIGHTS or t.startswith(_VERBS) for t in tokens)


def _chunks(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """What stands between spaces."""
    found, start = [], 0
    for at, token in enumerate([*tokens, " "]):
        if not token.strip():
            if at > start:
                found.append((start, at))
            start = at + 1
    return found
