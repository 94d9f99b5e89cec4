"""The Debian package itself, where the user's cache has it: nothing is fetched here."""

import pytest

from mella_hf.demo.stamps.stamps import PACKAGE, STAMPS, native_line, read_stamps
from mella_hf.files import cache_dir
from mella_hf.know.alt_text import Kept, check_alt_text, clean_alt_text
from mella_hf.languages import language_codes

ROOT = cache_dir() / "stamps" / PACKAGE / STAMPS


@pytest.fixture(scope="module")
def stamps():
    if not ROOT.is_dir():
        pytest.skip(f"{PACKAGE} is not in the cache; `make demo` fetches it")
    return read_stamps(ROOT)


def test_what_a_shell_counts_is_there(stamps):
    # `find . -name '*.png' | grep -v ^./symbols`, those with a .txt beside them; `grep -l ^th.utf8= …`
    assert len(stamps) == 950
    assert sum(stamp.has_image for stamp in stamps) == 538
    assert sum("th" in stamp.texts for stamp in stamps) == 767


def test_the_stray_articles_are_gone_and_nothing_else(stamps):
    arabic = [native_line(stamp, "ar") for stamp in stamps if "ar" in stamp.texts]
    stray = [line for line in arabic if line.startswith("A ") and not line.isascii()]
    assert len(stray) > 90
    assert not any(clean_alt_text(line).startswith("A ") for line in stray)
    russian = [native_line(stamp, "ru") for stamp in stamps if "ru" in stamp.texts]
    changed = [line for line in russian if clean_alt_text(line).rstrip(".!?") != line.strip("—-–. !?")]
    assert len(changed) <= 0.03 * len(russian), changed


@pytest.mark.parametrize("language", language_codes())
def test_native_lines_stay_and_english_copies_go(stamps, language):
    native = [native_line(stamp, language) for stamp in stamps if language in stamp.texts]
    kept = sum(isinstance(check_alt_text(line, language), Kept) for line in native)
    assert kept >= 0.99 * len(native)
    sentences = [stamp.english for stamp in stamps if sum(map(str.isalpha, stamp.english)) >= 25]
    assert len(sentences) > 100
    assert not any(isinstance(check_alt_text(line, language), Kept) for line in sentences)
