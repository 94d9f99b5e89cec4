"""Two languages answered by a real HTTP server on loopback, through the command; no model is loaded."""

import json

from caption_server import CaptionServer
from typer.testing import CliRunner

from mella_hf.cli import app
from mella_hf.dataset.write import write_split
from mella_hf.evaluation.run import load_run

TEXTS = {
    "ar": [
        "قطة صغيرة تنام على السرير",
        "بيت قديم كبير في القاهرة",
        "سمكة كبيرة تسبح في البحر",
        "شجرة نخيل عالية في الصحراء",
    ],
    "cs": [
        "Malá kočka spí na posteli",
        "Starý velký dům v Praze",
        "Velká ryba plave v moři",
        "Vysoká palma roste v poušti",
    ],
}
RUSSIAN = "На этой картинке нарисована маленькая кошка, которая спит"


def test_served_systems_in_two_languages_are_compared_and_gated(make_rows, tmp_path):
    from datasets import Image

    for language, texts in TEXTS.items():
        rows = make_rows(4, texts=texts, language=language, start=10 if language == "cs" else 0)
        write_split(rows.cast_column("image", Image(decode=False)).to_list(), tmp_path / "data", language, "know_test")

    def command(out, **options):
        given = {
            "base": "org/base", "adapter": "mella", "endpoint": server.url, "data-dir": tmp_path / "data",
            "languages": "ar,cs", "split": "know_test", "out": out, **options,
        }  # fmt: skip
        return ["evaluate", *(str(part) for name, value in given.items() for part in (f"--{name}", value))]

    # The adapter answers in Russian, whatever it is asked: a stand-in for the failure.
    with CaptionServer(lambda image, prompt: "…") as server:
        server.describe = lambda image, prompt: RUSSIAN if server.requests[-1][0]["model"] == "mella" else "Praha"
        gate = tmp_path / "gate.yaml"
        gate.write_text("- {metric: wrong_language_rate, max: 0.1, languages: cs}\n")
        result = CliRunner().invoke(app, command(tmp_path / "run", gate=gate, **{"batch-size": 1}))
        assert result.exit_code == 1, result.exception or result.output
        line = "gate: cs know_test: wrong_language_rate of adapter is 1, above 0.1 over 4 answers; instead in: ru 4"
        assert line in result.output.splitlines()
        asked = len(server.requests)
        assert asked == 16, "two systems, two languages, four images"

        again = CliRunner().invoke(
            app, command(tmp_path / "second", against=tmp_path / "run", languages="cs"), catch_exceptions=False
        )
        assert again.exit_code == 0 and len(server.requests) == asked + 8
    run = load_run(tmp_path / "run" / "cs")
    assert run.models["adapter"]["adapter"] == "mella" and run.models["adapter"]["adapter_kind"] == "served"
    assert [p["prediction"] for p in run.predictions["adapter", "know_test"]] == [RUSSIAN] * 4
    family = json.loads((tmp_path / "run" / "comparisons.json").read_text("utf-8"))
    assert [(c["language"], c["first"], c["second"]) for c in family] == [
        ("ar", "base", "adapter"),
        ("cs", "base", "adapter"),
    ]
    assert {c["tests"] for c in family} == {16}, "eight scores in two languages are one family"
    pairs = json.loads((tmp_path / "second" / "comparisons.json").read_text("utf-8"))
    assert [(c["first"], c["second"]) for c in pairs] == [("base", "adapter"), ("run", "adapter")]
    assert pairs[1]["meteor_delta"] == 0.0 and pairs[1]["meteor_p_randomization_holm"] == 1.0
    assert (tmp_path / "run" / "comparison.html").is_file()
