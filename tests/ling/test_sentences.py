"""Sentences against cuts made by hand, and splitting against its own promise: joined, the pieces are the text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mella_hf.ling.translators.sentences import reassemble, split_sentences, split_text


@pytest.mark.parametrize(
    "sentences",
    [
        ["A dog runs. ", "It is 3.5 m long! ", "Is it? ", "Yes."],
        ["Dr. J. Novak waters a tree, e.g. an oak. ", "It grows."],
        ["He said “Stop.” ", "Then he left... ", "Nobody saw it."],
        ["First line\n", "Second line\n\n", "Third."],
        ["هذا بيت. ", "هل هو كبير؟ ", "نعم!"],
        ["これは家です。", "赤い屋根。", "終わり"],
        ["The bus No. 5 stops. ", "U.S. flags hang there."],
        ["A café costs 2.50 Euro vs. 3 in town."],
    ],
)
def test_sentences_end_where_a_reader_ends_them(sentences: list[str]) -> None:
    assert split_sentences("".join(sentences)) == sentences


def test_pieces_are_whole_sentences_while_they_fit() -> None:
    text = "One two three. Four five six. Seven, eight; nine ten eleven twelve."
    assert split_text(text, 30) == ["One two three. Four five six. ", "Seven, eight; ", "nine ten eleven twelve."]
    assert split_text(text, 1000) == [text]
    assert split_text("", 10) == []
    assert split_text("abcdefghij", 4) == ["abcd", "efgh", "ij"]


@given(st.text(alphabet="ab .!?,\n\u00e1\u0301\u0e01\u0e31\u3002", max_size=120), st.integers(1, 40))
def test_nothing_is_lost_and_nothing_too_long(text: str, limit: int) -> None:
    pieces = split_text(text, limit)
    assert "".join(pieces) == text
    for piece in pieces:
        marks = sum(unicodedata.category(c) in ("Mn", "Mc", "Me") for c in piece)
        assert len(piece.strip()) <= limit + marks  # a mark is never parted from its letter
    assert reassemble(pieces, [piece.strip() for piece in pieces]) == text
    assert reassemble(pieces, [f" {piece.strip()}\n" for piece in pieces]) == text
