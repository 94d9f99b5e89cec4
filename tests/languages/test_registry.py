"""Entries of languages: what a file says, what maintained sources say, and what is refused."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mella_hf import languages
from mella_hf.errors import MellaError, UnknownLanguageError
from mella_hf.languages import all_codes, get_language, language_codes, register
from mella_hf.languages.drafting import check_entry, draft_entry
from mella_hf.languages.entries import SHIPPED, read_entry
from mella_hf.languages.naming import Naming
from mella_hf.languages.sources import canonical_code, join_list, table, translation_codes
from mella_hf.languages.standing import standing
from mella_hf.metrics import extract_keywords

EIGHT = ["ar", "cs", "hu", "ko", "ru", "sr", "th", "vi"]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder of languages that MELLA_LANGUAGES names."""
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv("MELLA_LANGUAGES", str(folder))
    return folder


@pytest.fixture
def registered() -> Iterator[list[str]]:
    """Codes to take back after the test."""
    codes: list[str] = []
    yield codes
    for code in codes:
        languages.unregister(code)


def write(folder: Path, code: str, text: str = "") -> Path:
    prompts = '[prompts]\nknow = ["Zer da hau?"]\nling = ["Deskribatu argazki hau."]\n'
    (folder / f"{code}.toml").write_text(f"{text}\n{prompts}", "utf-8")
    return folder / f"{code}.toml"


def test_over_a_hundred_languages_are_known_and_every_entry_is_sound() -> None:
    assert len(all_codes()) > 100 and {"yo", "qu", "fa", "sw", "ka", "hi", "am", "ja", "km", "my", "lo"} <= {
        *all_codes()
    }
    for code in all_codes():
        language = get_language(code)
        assert language.native_name and language.prompts("know") and standing(language).sentence
    assert language_codes() == EIGHT
    assert [c for c in all_codes() if get_language(c).prompts_by != "english"] == sorted([*EIGHT, "en"])


# Names, scripts and directions as Ethnologue and ISO 15924 have them.
@pytest.mark.parametrize(
    ("code", "name", "script", "rtl", "tokenizer"),
    [
        ("ka", "ქართული", "Geor", False, "words"),
        ("ja", "日本語", "Jpan", False, "icu"),
        ("km", "ខ្មែរ", "Khmr", False, "icu"),
        ("fa", "فارسی", "Arab", True, "words"),
        ("yo", "Èdè Yorùbá", "Latn", False, "words"),
        ("am", "አማርኛ", "Ethi", False, "words"),
        ("he", "עברית", "Hebr", True, "words"),
        ("zh", "中文", "Hans", False, "icu"),
        ("my", "မြန်မာ", "Mymr", False, "icu"),
    ],
)
def test_what_cldr_says_of_unlike_languages(code: str, name: str, script: str, rtl: bool, tokenizer: str) -> None:
    language = get_language(code)
    assert (language.native_name, language.scripts, language.rtl) == (name, (script,), rtl)
    assert language.tokenizer == tokenizer


def test_codes_of_services() -> None:
    assert dict(translation_codes("th"))["deepl"] == "TH" and dict(translation_codes("vi"))["deepl"] == "VI"
    assert dict(translation_codes("he"))["google"] == "iw" and dict(translation_codes("mn"))["nllb"] == "khk_Cyrl"
    assert "deepl" not in dict(translation_codes("yo"))


def test_tables_agree_with_the_packages_they_are_of() -> None:
    import Stemmer
    from deep_translator.constants import GOOGLE_LANGUAGES_TO_CODES
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

    from mella_hf.text.identifiers import Py3langid

    assert {*table("py3langid")} == Py3langid().labels
    assert {*table("snowball").values()} <= {*Stemmer.algorithms()}
    assert {*table("google").values()} <= {*GOOGLE_LANGUAGES_TO_CODES.values()}
    assert {*table("nllb").values()} <= {*FAIRSEQ_LANGUAGE_CODES}


def test_lists_are_joined_as_the_language_does() -> None:
    assert join_list(["a", "b", "c"], "yo") == "a, b, c" and join_list(["a", "b"], "ar") == "a وb"
    assert [canonical_code(tag) for tag in ("iw", "ara", "pt-BR", "sr")] == ["he", "ar", "pt", "sr"]


def test_an_unknown_code_says_what_there_is() -> None:
    with pytest.raises(UnknownLanguageError, match="'yoo'.*mella languages.*near: .*yo.*mella languages new yoo"):
        get_language("yoo")


def test_a_users_folder_is_known_and_its_faults_stop_nobody_else(own: Path) -> None:
    write(own, "eu", 'name = "Basque of Bizkaia"\nboilerplate = ["argazkia"]')
    (own / "ast.toml").write_text("name = [", "utf-8")
    languages.registry._folder_entries.cache_clear()
    assert get_language("eu").name == "Basque of Bizkaia" and get_language("eu").native_name == "euskara"
    assert {"eu", "ast"} <= {*language_codes()} and get_language("ar").name == "Arabic"
    with pytest.raises(MellaError, match="ast.toml cannot be read as TOML"):
        get_language("ast")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('scripts = ["Latin"]', "Unknown script 'Latin'"),
        ('scripts = ["Qaax"]', "Unknown script 'Qaax'"),
        ('scripts = ["Tibt"]\ntokenizer = "words"', "without spaces between words; take 'none'"),
        ('normalizer = "klingon"', "asks for the normalizer 'klingon'; choose one of arabic"),
        ('identified_as = ["ar"]', "the label 'ar'.*Arabic"),
        ("identified_as = 3", "identified_as is 3"),
        ('promts = "x"', "unknown key 'promts'"),
        ('advertising = ["("]', "not a regular expression"),
        ("names = true", "names is True; it must be a text"),
        ("naming = 3", "naming is 3; it must be a table"),
        ("[naming]\nplace_noun = []", "unknown key 'place_noun' in .naming.*place_nouns"),
        ("[naming]\nplace_nouns = [3]", "place_nouns is .3.; it must be a list of texts"),
        ("[naming]\nnouns_last = 'x'", "nouns_last is 'x'; it must be true or false"),
        ("[naming]\nadjectives = '('", "adjectives is '.', which is not a regular expression"),
    ],
)
def test_faults_of_a_file_are_named(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(MellaError, match=fault):
        check_entry(write(tmp_path, "eu", text))


def test_a_users_file_says_how_names_are_written(own: Path) -> None:
    text = "Личаківський цвинтар восени"
    assert extract_keywords(text, "uk") == []
    write(own, "uk", "[naming]\nplace_nouns = ['цвинтар']\nplace_adjectives = 'ський$'\nparts_agree = false")
    languages.registry._folder_entries.cache_clear()
    assert extract_keywords(text, "uk") == ["Личаківський цвинтар"]
    assert not get_language("uk").naming.parts_agree


def test_what_a_users_file_does_not_say_of_names_is_as_shipped(own: Path) -> None:
    write(own, "sk", "[naming]\nparts_agree = false")
    languages.registry._folder_entries.cache_clear()
    assert get_language("sk").naming == Naming(rivers=frozenset({"nad", "pod"}))


def test_how_names_are_written_travels_to_other_processes(registered: list[str]) -> None:
    naming = Naming(place_nouns=frozenset({"zubi"}), saints=("san",), adjectives="ko$", nouns_last=True)
    register(replace(get_language("eu"), naming=naming))
    registered.append("eu")
    code = "from mella_hf.languages import get_language; print(get_language('eu').naming.said())"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.strip() == str({"place_nouns": ["zubi"], "nouns_last": True, "adjectives": "ko$", "saints": ["san"]})


@pytest.mark.parametrize("prompts", ['know = []\nling = ["x"]', 'know = ["x"]\nling = [" "]', 'know = ["x"]'])
def test_empty_prompts_are_refused(tmp_path: Path, prompts: str) -> None:
    path = tmp_path / "eu.toml"
    path.write_text(f"[prompts]\n{prompts}\n", "utf-8")
    with pytest.raises(MellaError, match="eu.toml: .*empty prompt for (know|ling)"):
        read_entry(path)


def test_registering_the_same_twice_is_fine_and_another_is_not(registered: list[str]) -> None:
    entry = replace(get_language("yo"), know_prompts=("Kí ni èyí?",), prompts_by="speaker")
    assert languages.register(entry) is entry
    registered.append("yo")
    assert languages.register(replace(entry)) == entry
    with pytest.raises(MellaError, match="'yo' is registered already, with another entry"):
        languages.register(replace(entry, name="Yoruba of Benin"))
    with pytest.raises(MellaError, match="'ar' is registered already"):
        languages.register(replace(get_language("ar"), name="Modern Arabic"))
    assert "yo" in language_codes()


def test_what_is_registered_reaches_processes_that_are_started_from_here(registered: list[str], tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text("def normalize_loudly(text):\n    return text.upper()\n", "utf-8")
    sys.path.insert(0, str(tmp_path))
    try:
        from loud import normalize_loudly as loudly  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(tmp_path))
    languages.register(replace(get_language("wo"), name="Loud Wolof", normalizer=loudly))
    registered.append("wo")
    program = "from mella_hf import get_language as g; print(g('wo').name, g('wo').normalizer('x'))"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.stdout.split() == ["Loud", "Wolof", "X"], done.stderr


def test_languages_travel_as_text_and_are_adopted(registered: list[str]) -> None:
    languages.register(replace(get_language("rw"), name="Rwanda's"))
    text = languages.travelling()
    languages.unregister("rw")
    assert get_language("rw").name == "Kinyarwanda"
    try:
        languages.adopt(text)  # as a worker on another machine
        assert get_language("rw").name == "Rwanda's" and get_language("ar").name == "Arabic"
    finally:
        languages.adopt("")
    assert get_language("rw").name == "Kinyarwanda"


def test_a_script_that_registers_can_be_imported_again_by_spawned_workers(tmp_path: Path) -> None:
    """docs/new_language.md's script, without the usual guard in front of the registration."""
    script = tmp_path / "yoruba.py"
    script.write_text(
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from dataclasses import replace\n"
        "from multiprocessing import get_context\n"
        "from mella_hf import get_language, register_language\n"
        "def lower(text):\n    return text.lower()\n"
        "register_language(replace(get_language('yo'), know_prompts=('Kí ni èyí?',), normalizer=lower))\n"
        "def ask(_):\n    entry = get_language('yo')\n    return entry.test_prompt('know') + entry.normalizer('X')\n"
        "if __name__ == '__main__':\n"
        "    with ProcessPoolExecutor(1, get_context('spawn')) as pool:\n"
        "        print(*pool.map(ask, [0, 1]))\n",
        "utf-8",
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.stdout.strip() == "Kí ni èyí?x Kí ni èyí?x", done.stderr


def test_a_draft_is_a_file_that_passes_its_own_check(tmp_path: Path) -> None:
    path = tmp_path / "ast.toml"
    path.write_text(draft_entry("ast", translate=lambda texts: [f"«{text}»" for text in texts]), "utf-8")
    entry = check_entry(path)
    assert (entry.name, entry.prompts_by, len(entry.know_prompts)) == ("Asturian", "draft", 10)
    assert entry.test_prompt("know") == "«What is this?»"
    with pytest.raises(MellaError, match="does not know 'qqq'; add --name and --script"):
        draft_entry("qqq")
    with pytest.raises(MellaError, match="'ar' has an entry already"):
        draft_entry("ar")
    path = tmp_path / "qqq.toml"
    path.write_text(draft_entry("qqq", name='Of the "Moon"\\', script="Geor"), "utf-8")
    assert check_entry(path).name == 'Of the "Moon"\\' and check_entry(path).prompts_by == "english"


def test_a_draft_of_a_language_with_a_shipped_file_keeps_what_that_says(tmp_path: Path) -> None:
    path = tmp_path / "fa.toml"
    path.write_text(draft_entry("fa"), "utf-8")
    entry, shipped = check_entry(path), get_language("fa")
    assert (SHIPPED / "fa.toml").exists() and replace(entry, advertising=shipped.advertising) == shipped
