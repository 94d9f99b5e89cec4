"""References in another language are refused, on enough evidence only, and before anything is scored."""

import pytest

from mella_hf.errors import MellaError
from mella_hf.languages import get_language
from mella_hf.metrics import MellaMetric
from mella_hf.metrics.checks import check_references
from mella_hf.text.lid import is_names_alone

CZECH = [
    "Na náměstí stojí stará radnice s vysokou věží.", "Děti si hrají na zahradě za domem s míčem.",
    "Rybář sedí u řeky a čeká na velkou rybu.", "Žena v červených šatech kupuje na trhu jablka.",
    "Kočka spí na okně vedle květináče s kytkou.", "Starý muž čte noviny na lavičce v parku.",
    "Vlak přijíždí do nádraží za hustého deště.", "Horolezci odpočívají pod skalou u potoka.",
    "Hudebníci hrají na housle před divadlem.", "Pekař vytahuje z pece čerstvý chléb.",
]  # fmt: skip
POLISH = [
    "Na rynku stoi stary ratusz z wysoką wieżą.", "Dzieci bawią się piłką w ogrodzie za domem.",
    "Rybak siedzi nad rzeką i czeka na rybę.", "Kobieta w czerwonej sukience kupuje jabłka.",
    "Kot śpi na oknie obok doniczki z kwiatem.", "Starszy mężczyzna czyta gazetę na ławce.",
]  # fmt: skip
SHORT = ["kůň", "most", "hrad", "vlk", "sýr", "dům"]


def refused(references, language="cs", keywords=None) -> bool:
    try:
        check_references(references, get_language(language), keywords)
    except MellaError as error:
        assert "--no-check-references" in str(error)
        return True
    return False


@pytest.mark.parametrize(
    ("czech", "polish", "short", "is_refused"),
    [
        (0, 3, 0, True), (0, 2, 0, False), (2, 1, 37, False), (1, 2, 37, False),  # two odd texts of forty say nothing
        (9, 1, 0, False), (8, 3, 0, False), (5, 6, 0, True), (10, 0, 6, False),
    ],
)  # fmt: skip
def test_a_share_is_refused_only_if_it_is_surely_too_large(czech, polish, short, is_refused) -> None:
    texts = CZECH[:czech] + POLISH[:polish] + [SHORT[at % len(SHORT)] for at in range(short)]
    assert refused(texts) == is_refused


NAMES = [
    ("cs", "Ludwig van Beethoven a Wolfgang Amadeus Mozart"), ("vi", "Angela Merkel và Emmanuel Macron, Paris"),
    ("hu", "Friedrich Wilhelm von Humboldt, Alexander von Humboldt"), ("ru", "Майкл Джексон и Пол Маккартни, Лондон"),
    ("sr", "Арнолд Шварценегер и Силвестер Сталоне"), ("cs", "Real Madrid – Manchester United, Santiago Bernabéu"),
]  # fmt: skip


@pytest.mark.parametrize(("language", "text"), NAMES)
def test_names_alone_are_no_evidence(language: str, text: str) -> None:
    assert is_names_alone(text)
    assert not refused([text] * 12, language)
    row = MellaMetric(language).compute(predictions=[text], references=[text], return_items=True)["items"][0]
    assert not row["wrong_language"]


@pytest.mark.parametrize(
    "text",
    ["Der alte Mann sitzt auf der Bank", "THE CHARLES BRIDGE AND THE CASTLE", "The Charles Bridge and the Castle", ""],
)
def test_a_sentence_is_not_names_alone(text: str) -> None:
    assert not is_names_alone(text)


def test_keywords_tell_the_names_of_a_script_without_capitals() -> None:
    text = "اصفهان، شیراز، تبریز، کرمانشاه، گیلان، چالوس، گچساران"  # cities, in Persian spelling
    names = text.split("، ")
    assert refused([text] * 4, "ar") and not refused([text] * 4, "ar", [names] * 4)


def test_what_collecting_keeps_is_kept() -> None:
    from mella_hf.know.alt_text import Kept, check_alt_text

    kept = ["Rybář u řeky loví pstruhy", "Zámecký park v Lednici na podzim", "Kostel svatého Jakuba", "Hrad v mlze"]
    assert all(isinstance(check_alt_text(text, "cs"), Kept) for text in kept)
    assert not refused(kept * 5)


def test_wordless_references_are_refused_beforehand() -> None:
    metric = MellaMetric("cs")
    for text in ("…", "\u200b", " "):
        with pytest.raises(MellaError, match="reference of item 1 is"):
            metric.check_references([CZECH[0], text], languages=False)
    metric.check_references(POLISH, languages=False)
    with pytest.raises(MellaError, match="6 of 6 references are not in Czech"):
        metric.check_references(POLISH)
