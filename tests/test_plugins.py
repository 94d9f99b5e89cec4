"""A metric, translator and captioner of another package: from the command line, in worker processes, on a cluster."""

import json
import operator
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from local_cluster import cluster_process
from PIL import Image

HERE = Path(__file__).parent
PACKAGE = '''
"""An invented package with an invented metric, translator and captioner."""

from mella_hf.ling.caption import CaptionAnswer
from mella_hf.metrics import Metric, Score

CAPTION = "A brown dog stands on a green meadow. A small white house can be seen behind it. The sky is grey and wide."
CZECH = "Hnědý pes stojí na zelené louce. Za ním je vidět malý bílý dům. Nebe je šedé a široké, nikde nikdo není."


class Endings(Metric):
    """The share of answers that end with a full stop."""

    name = "endings"
    width = 1
    scores = (Score("endings", "Endings", "answers that end with a full stop"),)

    def signature(self, settings):
        return "end:stop"

    def count(self, prediction, reference, keywords, settings):
        return [float(prediction.raw.endswith("."))]

    def score(self, sums, items):
        return {"endings": 100.0 * sums[..., 0] / items}


class Parrot:
    """Says one Czech text whatever the caption, and its address if it has one."""

    version, max_chars, batch_size = "1", 1000, 8

    def __init__(self, url=""):
        self.name = f"parrot{url}"

    def translate(self, texts, source, target):
        return [CZECH for _ in texts]


class Watcher:
    """Describes every image alike."""

    name, version = "watcher", "1"

    def caption(self, images, prompt, on_answer):
        for index in range(len(images)):
            on_answer(index, CaptionAnswer(CAPTION))
        return {}
'''
ENTRY_POINTS = """
[mella_hf.metrics]
endings = invented:Endings

[mella_hf.translators]
parrot = invented:Parrot

[mella_hf.captioners]
watcher = invented:Watcher
"""
ANSWERS = ["Na mostě stojí muž.", "V noci svítí hrad", "Pes běží u řeky."]
REFERENCES = ["Na starém mostě stojí muž.", "Hrad svítí v noci.", "U řeky běží pes."]


def install(folder: Path, entry_points: str, name: str = "invented", code: str = PACKAGE) -> Path:
    """Install a package as pip does: its module and what it registers."""
    facts = folder / f"{name}-1.0.dist-info"
    facts.mkdir(parents=True)
    (folder / f"{name}.py").write_text(code, "utf-8")
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
    (facts / "entry_points.txt").write_text(entry_points, "utf-8")
    (facts / "RECORD").write_text(f"{name}.py,,\n", "utf-8")
    return folder


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return install(tmp_path / "site", ENTRY_POINTS)


def environment(site: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(map(str, (site, HERE.parent, HERE)))}


def run(site: Path, *command: str, fails: bool = False) -> str:
    """The output of a Python process that has the package."""
    done = subprocess.run(
        [sys.executable, *command], env={**os.environ, **environment(site)}, capture_output=True, text=True
    )
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


def test_a_metric_is_in_tables_tests_and_signatures_of_the_command(site: Path, tmp_path: Path) -> None:
    for name, answers in (("first", ANSWERS), ("second", [answer.rstrip(".") for answer in ANSWERS])):
        rows = [{"id": i, "prediction": answers[i], "reference": REFERENCES[i]} for i in range(3)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    files = [str(tmp_path / "first.jsonl"), "--against", str(tmp_path / "second.jsonl")]
    shown = run(site, "-m", "mella_hf", "score", *files, "--language", "cs", "--items")
    assert "endings" in shown
    result = json.loads((tmp_path / "first.scores.json").read_text("utf-8"))
    scores, compared = result["scores"], result["comparison"]
    assert scores["endings"] == round(200 / 3, 4) and scores["endings_low"] < scores["endings"] < scores["endings_high"]
    assert "|end:stop|" in scores["signature"] + "|"
    assert [item["endings"] for item in scores["items"]] == [100.0, 0.0, 100.0]
    assert compared["endings_delta"] == -scores["endings"] and compared["endings_p_randomization_holm"] is not None


def test_a_metric_is_on_the_pages(site: Path) -> None:
    code = """
from mella_hf.evaluation.titles import metric_titles
from mella_hf.evaluation.reports.report import facts_schema
from mella_hf.hub.card import _shown
from mella_hf.evaluation.gate import Limit
print(metric_titles()["endings"], _shown([{"endings": 1.0, "keyword_micro": 1.0, "meteor": 1.0}])["endings"])
print("endings" in str(facts_schema("report")["$defs"]["scores"]), Limit("endings", min=1.0).metric)
"""
    assert run(site, "-c", code).splitlines() == [
        "('Endings', 'answers that end with a full stop') ('endings', 'Endings')",
        "True endings",
    ]


def test_a_metric_is_in_worker_processes(site: Path) -> None:
    code = f"""
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from mella_hf.metrics import MellaMetric

columns = {{"predictions": {ANSWERS!r} * 50, "references": {REFERENCES!r} * 50}}

if __name__ == "__main__":
    print(MellaMetric("cs", workers=2, progress=False).compute(**columns)["endings"])
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        print(pool.submit(MellaMetric("cs", progress=False).compute, **columns).result()["endings"])
"""
    script = site / "workers.py"
    script.write_text(code, "utf-8")
    assert run(site, str(script)).split() == [str(round(200 / 3, 4))] * 2


def test_a_captioner_and_a_translator_make_a_dataset(site: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    random = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(random.integers(0, 256, (240, 320, 3), dtype=np.uint8)).save(images / name)
    out = tmp_path / "out"
    command = ["-m", "mella_hf", "describe", str(images), "--out", str(out), "--languages", "cs", "--no-qe"]
    chosen = ["--captioner", "watcher", "--translator", "parrot", "--translator-url", "@tree", "--test-size", "0"]
    run(site, *command, *chosen)
    from datasets import load_dataset

    rows = load_dataset(str(out), "cs", split="ling")
    assert len(rows) == 3
    assert {row["translator"] for row in rows} == {"parrot@tree"}
    assert {row["captioner"].split()[0] for row in rows} == {"watcher"}
    assert {row["text"] for row in rows} == {run(site, "-c", "import invented; print(invented.CZECH)").strip()}


def test_both_are_on_a_cluster(site: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="needs mella_hf[cluster]")
    from mella_hf.ling.translate import open_translator
    from mella_hf.metrics import MellaMetric

    folder = {"DASK_TEMPORARY_DIRECTORY": str(tmp_path / "dask")}
    with cluster_process({**environment(site), **folder}, workers=1) as (address, _):
        with distributed.Client(address) as client:
            compute = MellaMetric("cs", progress=False, workers=1).compute
            scores = client.submit(compute, predictions=ANSWERS, references=REFERENCES).result()
            translator = client.submit(open_translator, "parrot", "cs")  # stays there: this process lacks the package
            said = client.submit(operator.methodcaller("translate", ["A dog."], "en", "cs"), translator).result()
    assert scores["endings"] == round(200 / 3, 4)
    assert said[0].startswith("Hnědý pes")


BROKEN = [
    ("[mella_hf.metrics]\nx = invented:Missing", "x = invented:Missing of the package 'invented' does not load"),
    (
        "[mella_hf.metrics]\nx = nowhere:Missing",
        "(ModuleNotFoundError: No module named 'nowhere'). Mend or",
    ),
    ("[mella_hf.metrics]\nx = invented:Parrot", "must be a subclass of mella_hf.metrics.Metric"),
    ("[mella_hf.metrics]\nx = invented:Endings\ny = invented:Endings", "'endings', which exists already"),
]


@pytest.mark.parametrize(("entry_points", "message"), BROKEN)
def test_a_broken_package_is_named(tmp_path: Path, entry_points: str, message: str) -> None:
    site = install(tmp_path / "site", entry_points)
    code = "from mella_hf.metrics.installed import all_metrics; all_metrics()"
    assert message in run(site, "-c", code, fails=True)


WRONG = [
    ("    def signature", "    def sign", "lacks signature; add that to the class"),
    ("    width = 1\n", "", "lacks width; add that to the class"),
    ('full stop"),)', 'full stop"))', "write a tuple, as in (Score(...),)"),
    (
        "class Endings(",
        "nothing.here\nclass Endings(",
        "of the package 'invented' does not load (NameError: name 'nothing'",
    ),
    (
        'prediction.raw.endswith(".")',
        "1 / 0",
        "The metric 'endings' of the package 'invented' failed (ZeroDivisionError",
    ),
    ('{"endings":', '{"ending":', "gives the score 'ending' and does not list it"),
]


@pytest.mark.parametrize(("right", "wrong", "message"), WRONG)
def test_a_faulty_metric_is_one_line_that_names_it(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    assert right in PACKAGE
    site = install(
        tmp_path / "site", "[mella_hf.metrics]\nendings = invented:Endings", code=PACKAGE.replace(right, wrong)
    )
    code = "from mella_hf.metrics import MellaMetric; MellaMetric('cs').compute(predictions=['a'], references=['a'])"
    error = run(site, "-c", code, fails=True).strip().splitlines()[-1]
    assert error.startswith("mella_hf.errors.MellaError: ") and message in error


FAULTY = """
from mella_hf.ling.caption import CaptionAnswer

class Few:
    name, version, max_chars, batch_size = "few", "1", 1000, 8
    def translate(self, texts, source, target):
        return []

class Nothing(Few):
    def translate(self, texts, source, target):
        return [None for _ in texts]

class Failing(Few):
    def translate(self, texts, source, target):
        raise KeyError("token")
    def caption(self, images, prompt, on_answer):
        raise KeyError("token")

class Bare:
    pass

class Strict(Few):
    def __init__(self, model):
        pass

class Texts(Few):
    def caption(self, images, prompt, on_answer):
        on_answer(0, "a dog")

class Silent(Few):
    def caption(self, images, prompt, on_answer):
        pass
"""
TRY = """
from pathlib import Path
from mella_hf.answers.request_cache import RequestCache
from mella_hf.errors import MellaError
from mella_hf.ling.caption import caption_images
from mella_hf.ling.translate import CachedTranslator, open_translator
import invented

with RequestCache(Path("cache.sqlite")) as cache:
    for name in ("few", "nothing", "failing", "bare", "strict"):
        try:
            CachedTranslator(open_translator(name, "cs"), cache).translate(["A dog."], "en", "cs")
        except MellaError as error:
            print(error)
    for kind in (invented.Failing, invented.Texts, invented.Silent):
        try:
            caption_images(kind(), [("id", None)], cache)
        except MellaError as error:
            print(error)
"""


def test_faulty_translators_and_captioners_are_one_line_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("Few", "Nothing", "Failing", "Bare", "Strict")
    points = "[mella_hf.translators]\n" + "".join(f"{name.lower()} = invented:{name}\n" for name in names)
    site = install(tmp_path / "site", points, code=FAULTY)
    monkeypatch.chdir(tmp_path)
    assert run(site, "-c", TRY).splitlines() == [
        "The translator 'few' was given 1 texts and gave back 0; it must give a list of as many, with \"\" where there "
        "is no translation.",
        "The translator 'few' gave None for a text; it must give a text, or \"\" where there is no translation.",
        "The translator 'few' of the package 'invented' failed (KeyError: 'token'). Mend or uninstall it.",
        "The entry point bare = invented:Bare of the package 'invented' gives 'Bare' without name, version, max_chars, "
        "batch_size, translate. Add that in the package.",
        "The entry point strict = invented:Strict of the package 'invented' cannot be called as Strict(): TypeError: "
        "Strict.__init__() missing 1 required positional argument: 'model'. Mend that package.",
        "The captioner 'few' of the package 'invented' failed (KeyError: 'token'). Mend or uninstall it.",
        "The captioner 'few' gave 'a dog'; it must give a mella_hf.ling.caption.CaptionAnswer.",
        "The captioner 'few' gave neither an answer nor a reason for 1 of 1 images; it must call on_answer for each, "
        "or return its index with a reason.",
    ]


LANGUAGES = """
from dataclasses import replace
from mella_hf import get_language
ours = replace(get_language("yo"), code="qvi", name="Quillish", lid=frozenset())
written = replace(get_language("yo"), code="ar", lid=frozenset())
"""


def test_languages_that_two_packages_give_or_that_speakers_wrote_are_refused(tmp_path: Path) -> None:
    site = install(tmp_path / "site", "[mella_hf.languages]\nq = invented:ours\nar = invented:written", code=LANGUAGES)
    code = """
from mella_hf import MellaError, get_language
for code in ("qvi", "ar"):
    try:
        print(get_language(code).name)
    except MellaError as error:
        print(error)
"""
    alone = run(site, "-c", code).splitlines()
    assert alone == ["Quillish", "The package 'invented': 'ar' has an entry that speakers wrote; choose another code."]
    install(site, "[mella_hf.languages]\nq = other:ours", name="other", code=LANGUAGES)
    both = run(site, "-c", code).splitlines()
    assert both[0] == (
        "The package 'invented' has an entry of language 'qvi', and the package 'other' too; uninstall one of them."
    )


def test_two_packages_with_one_name_are_both_named(site: Path) -> None:
    install(site, "[mella_hf.translators]\nparrot = other:Parrot", name="other")
    error = run(
        site, "-c", "from mella_hf.plugins import find_plugins; find_plugins('mella_hf.translators')", fails=True
    )
    assert "'invented' and the package 'other'" in error


def test_a_wrong_width_is_said(tmp_path: Path) -> None:
    site = install(tmp_path / "site", "[mella_hf.metrics]\nendings = invented:Endings", code=PACKAGE.replace(
        "    width = 1", "    width = 2"
    ))  # fmt: skip
    code = "from mella_hf.metrics import MellaMetric; MellaMetric('cs').compute(predictions=['a'], references=['a'])"
    assert "'endings' counted 1 statistics of an item, but its `width` is 2" in run(site, "-c", code, fails=True)
