"""Which candidates become alt-texts: the page's word on the language, what sites repeat, what pages forbid."""

import json
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mella_hf.errors import MellaError
from mella_hf.know import filter as filter_module
from mella_hf.know.alt_text import Dropped, Kept
from mella_hf.know.filter import FilterSettings, filter_bucket, filter_rows, judge
from mella_hf.know.records import ALT_TEXTS, BUCKETS, CANDIDATES, file_mark
from mella_hf.languages import language_codes
from mella_hf.stage import Shard, ShardOutput


def candidate(alt: str, **columns) -> dict:
    row = dict.fromkeys(CANDIDATES.names) | {"robots": [], "position": 0, "bucket": 1, "alt": alt}
    row |= {"page_url": "http://site.example/1", "image_url": "http://site.example/a.jpg", "site": "site.example"}
    return row | columns


# alt, what the page says, the language that it is kept in, or None
SAID = [
    ("Karlův most", {"page_language": "cs"}, "cs"),
    ("Karlův most", {"page_language": "cs-cz"}, "cs"),
    ("Karlův most", {"page_language": "en"}, None),  # a short text on a page in another language
    ("Karlův most v Praze při východu slunce, pohled od věže", {"page_language": "en"}, "cs"),
    ("Karlův most", {"page_title": "Procházka po mostech a věžích Starého Města pražského"}, "cs"),
    ("경복궁", {"page_language": "en"}, "ko"),  # no other language is written so
    ("วัดพระแก้ว", {}, "th"),
    ("القاهرة", {"page_language": "fa"}, None),  # Persian pages name the city alike
    ("القاهرة", {"page_language": "ar"}, "ar"),
    ("Казань", {"page_language": "ru"}, "ru"),
    ("Казань", {"page_language": "uk"}, None),
    ("Hồ Gươm", {"page_language": "vi"}, "vi"),
    # Serbian in Latin script: the page's language or the .rs domain decides.
    ("Kalemegdanska tvrđava", {"page_language": "sr-latn"}, "sr"),
    ("Kalemegdanska tvrđava", {"page_language": "sh"}, "sr"),
    ("Kalemegdanska tvrđava", {"page_language": "hr"}, None),
    ("Kalemegdanska tvrđava", {}, None),
    ("Kalemegdanska tvrđava", {"site": "beograd.rs"}, "sr"),
    ("Kalemegdanska tvrđava", {"site": "beograd.rs", "page_language": "hr"}, None),
    ("Pogled na Kalemegdansku tvrđavu sa ušća Save u Dunav u sumrak", {"page_language": "hr"}, None),
    ("Калемегданска тврђава", {"page_language": "sr"}, "sr"),
    # English on half-translated pages.
    ("Master Layout Dialog", {"page_language": "hu"}, None),
    ("Const syntax", {"page_language": "vi"}, None),
    ("The Plasma desktop", {"page_language": "cs"}, None),
    ("Plasma", {"heading": "13.3. Рабочие столы"}, None),  # a page that says nothing, in another script
    ("Con voi.", {"page_language": "vi"}, "vi"),
    # A template says Czech, the page is English: what could be Czech stays, what is likelier English goes.
    (
        "Albert",
        {"page_language": "cs", "page_title": "The life and times of a famous physicist in his own words"},
        "cs",
    ),
    ("Thanksgiving", {"page_language": "cs", "page_title": "How we celebrated the holidays with the family"}, None),
]


@pytest.mark.parametrize("alt, said, language", SAID)
def test_the_text_and_its_page_decide_the_language(alt, said, language):
    code, verdict = judge(candidate(alt, **said), language_codes())
    assert (code if isinstance(verdict, Kept) else None) == language, verdict


def test_only_the_languages_asked_for():
    assert judge(candidate("경복궁", page_language="ko"), ("th",)) == (None, Dropped("wrong_script"))
    assert judge(candidate("Icon", page_language="ko"), ("ko",)) == ("ko", Dropped("boilerplate"))


def run(rows: list[dict], tmp_path, **changes) -> tuple[list[dict], ShardOutput]:
    output = ShardOutput(tmp_path)
    chosen = FilterSettings(**{"languages": ("cs",), **changes})
    return list(filter_rows([row | {"page_language": "cs"} for row in rows], output, chosen)), output


def test_what_a_site_repeats_is_navigation(tmp_path):
    pages = [f"http://site.example/{n}" for n in range(11)]
    rows = [candidate("Naše nabídka", page_url=p, image_url=f"{p}.jpg") for p in pages]
    rows += [candidate(" naše  nabídka ", page_url="http://other.example/", site="other.example")]
    kept, output = run(rows, tmp_path)
    assert [row["site"] for row in kept] == ["other.example"] and output.counts["dropped_repeated_on_site"] == 11
    kept, _ = run(rows[:10], tmp_path)
    assert len(kept) == 10  # a person's name on ten pictures stays


def test_icons_and_pairs_seen_before(tmp_path):
    rows = [
        candidate("Kůň na pastvě", declared_width=32, declared_height=32),
        candidate("Kůň na pastvě", declared_width=32),  # one side says too little
        candidate("Kůň na pastvě", page_url="http://site.example/2"),
        candidate("Bílý kůň", image_url="http://site.example/icons/horse.png"),
        candidate("Bílý kůň", image_url="http://site.example/lexicon/horse.png"),
        candidate("Bílý kůň", image_url="http://site.example/Logo_2.png"),
    ]
    kept, output = run(rows, tmp_path)
    assert [row["image_url"][-9:] for row in kept] == ["ple/a.jpg", "horse.png"]
    assert output.counts["dropped_icon"] == 3
    assert output.counts["dropped_seen_before"] == 1
    assert output.rejects[0] == {
        "reason": "icon", "language": "cs", "alt": "Kůň na pastvě",
        "page_url": "http://site.example/1", "image_url": "http://site.example/a.jpg",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sides", "least", "icon"), [((74, 40), 75, True), ((75, 75), 75, False), ((32, 32), 20, False)]
)
def test_an_icon_is_small_on_both_sides(sides, least, icon, tmp_path):
    row = candidate("Kůň na pastvě", declared_width=sides[0], declared_height=sides[1])
    kept, _ = run([row], tmp_path, min_declared_side=least)
    assert (kept == []) is icon


def test_a_kept_row_has_its_language_and_the_bucket_of_its_images_host(tmp_path):
    (row,), _ = run([candidate("Kůň na pastvě", image_url="http://img.example:8080/a.jpg")], tmp_path)
    assert (row["text"], row["language"]) == ("Kůň na pastvě", "cs")
    assert row["bucket"] == zlib.crc32(b"img.example") % BUCKETS


def test_a_fault_of_ours_costs_one_row(tmp_path, monkeypatch):
    right = filter_module.judge

    def wrong(row, languages):
        return right(row, languages) if row["alt"] != "Liška" else 1 / 0

    monkeypatch.setattr(filter_module, "judge", wrong)
    kept, output = run([candidate("Kůň"), candidate("Liška"), candidate("Sova")], tmp_path)
    assert [row["text"] for row in kept] == ["Kůň", "Sova"]
    assert output.rejects == [
        {
            "reason": "alt_text_error_ZeroDivisionError", "language": None, "alt": "Liška",
            "page_url": "http://site.example/1", "image_url": "http://site.example/a.jpg",
        }
    ]  # fmt: skip


def test_without_a_language_there_is_nothing_to_keep():
    with pytest.raises(MellaError, match=r"^No language is named; give some of \w+, \w+, "):
        FilterSettings(())


def test_a_page_that_opts_out_is_left_alone(tmp_path):
    rows = [candidate("Kůň na pastvě", robots=["nofollow", word]) for word in ("noai", "noindex", "tdm-reservation")]
    kept, output = run(rows, tmp_path)
    assert kept == [] and output.counts == {
        "dropped_page_opt_out": 3, "opt_out_noai": 1, "opt_out_noindex": 1, "opt_out_tdm": 1,
    }  # fmt: skip
    rows = [row | {"alt": f"Kůň na pastvě {n}"} for n, row in enumerate(rows)]
    kept, output = run(rows, tmp_path, honour_opt_outs=False)
    assert len(kept) == 3 and output.counts["overridden_opt_out"] == 3


def test_a_bucket_is_whole_whatever_files_it_comes_from(tmp_path):
    paths = []
    for number, rows in enumerate([[candidate("Kůň"), candidate("Liška", bucket=2)], [candidate("Sova", position=1)]]):
        rows = [row | {"page_language": "cs"} for row in rows]
        paths.append(tmp_path / f"{number}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, schema=CANDIDATES), paths[-1])
    output = ShardOutput(tmp_path / "out")
    output.folder.mkdir()
    shard = Shard("001", {"bucket": 1, "inputs": [file_mark(path) for path in paths]})
    filter_bucket(shard, output, settings=FilterSettings(("cs",)))
    table = pq.read_table(output.folder / "rows.parquet")
    assert table.schema == ALT_TEXTS and sorted(table["text"].to_pylist()) == ["Kůň", "Sova"]
    assert json.loads(json.dumps(shard.payload)) == shard.payload  # it goes into a fingerprint
