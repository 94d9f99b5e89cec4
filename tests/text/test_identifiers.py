"""Identification by a fastText model: a tiny one with GlotLID's labels, trained here."""

import os
from pathlib import Path

import pytest

from mella_hf.errors import MellaError
from mella_hf.languages import get_language
from mella_hf.metrics import MellaMetric
from mella_hf.text import lid
from mella_hf.text.identifiers import Py3langid, using_identifier

# Sentences of the Universal Declaration of Human Rights, article 1, cut into lines.
LINES = {
    "wol_Latn": ["Doomi aadama yépp danuy juddu", "yam ci tawfeex ci sag ak sañ-sañ", "Nekk na it ku xam dëgg"],
    "eng_Latn": ["All human beings are born free", "and equal in dignity and rights", "They are endowed with reason"],
    "quy_Latn": ["Llapa runam paqarimun libre kaspa", "allin kawsakuyninpipas iguallataq", "yuyayniyuq kasqankurayku"],
}


@pytest.fixture(scope="module")
def tiny_glotlid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fastText model of three labels, as GlotLID has two thousand."""
    fasttext = pytest.importorskip("fasttext")
    folder = tmp_path_factory.mktemp("fasttext")
    texts = [f"__label__{label} {line}" for label, lines in LINES.items() for line in lines * 20]
    (folder / "train.txt").write_text("\n".join(texts), "utf-8")
    model = fasttext.train_supervised(
        str(folder / "train.txt"), dim=16, minn=2, maxn=4, epoch=40, bucket=5000, thread=1, verbose=0
    )
    model.save_model(str(folder / "model.bin"))
    return folder / "model.bin"


def test_another_identifier_knows_other_languages(tiny_glotlid: Path) -> None:
    wolof = get_language("wo")
    assert not lid.is_identifiable(wolof)
    with using_identifier(str(tiny_glotlid)):
        assert lid.is_identifiable(wolof) and lid.is_identifiable(get_language("qu"))  # quy is Quechua's
        assert lid.identify("Doomi aadama yépp danuy juddu")[0] == "wo"
        assert lid.is_language("Doomi aadama yépp danuy juddu yam ci tawfeex", "wo")
        assert not lid.is_language("All human beings are born free and equal in dignity", "wo")
        assert lid.is_language("Llapa runam paqarimun libre kaspa allin kawsakuyninpipas", "qu")
        assert MellaMetric("ar").signature.endswith("|lid:none")  # this model has no label for it
        assert "|lid:model.bin" in MellaMetric("wo").signature
    assert "lid:" not in MellaMetric("ar").signature and os.environ.get("MELLA_LID") is None


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "no.bin").write_bytes(b"not a model")
    with pytest.raises(MellaError, match="no.bin' is not a fastText model"), using_identifier(str(tmp_path / "no.bin")):
        pass


def test_a_language_without_a_label_is_told_from_english_alone() -> None:
    assert "wo" not in Py3langid().labels
    assert lid.is_language("Doomi aadama yépp danuy juddu", "wo", declared="wo")
    assert not lid.is_language("Doomi aadama yépp danuy juddu", "wo", declared="fr")
    assert not lid.is_language("The children are playing in the garden behind the house", "wo")


# Short Persian captions, each with a letter that Arabic does not write.
@pytest.mark.parametrize("text", ["پل خواجو", "چشمه علی", "گنبد سلطانیه", "ژاله و پدرش"])
def test_persian_is_not_arabic(text: str) -> None:
    assert not lid.is_language(text, "ar") and not lid.is_language(text, "ar", declared="ar")
