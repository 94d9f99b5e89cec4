"""The stages of describing enter; report.html and report.json leave, in the form of the know line's report.

Captions and translations come from models and may hold anything: every text is escaped, and the page forbids itself
any outside request.
"""

import base64
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mella_hf.dataset.build import BuildReport
from mella_hf.dataset.images import open_image
from mella_hf.evaluation.page import environment, text_attributes
from mella_hf.know.collect import CollectReport
from mella_hf.know.funnel import Step
from mella_hf.know.report import TEMPLATES as COLLECT
from mella_hf.know.report import dropped_examples
from mella_hf.languages import get_language
from mella_hf.ling.described import read_rows
from mella_hf.stage import StageReport, write_atomic

TEMPLATES = Path(__file__).parent / "templates"
KEPT_EXAMPLES = 8  # a language
SEED = 12345
_THUMBNAIL = (320, 320)  # px


def write_describe_report(
    images: Path,
    out: Path,
    captions: StageReport,
    translations: dict[str, StageReport],
    verdicts: dict[str, StageReport],
    build: BuildReport,
) -> Path:
    """Write report.html and report.json into the dataset's folder; returns the path of the page."""
    languages = [get_language(code) for code in verdicts]
    steps = [_step("Captions", "images", captions)]
    for language in languages:
        steps.append(_step(f"Translations, {language.name}", "captions", translations[language.code]))
        steps.append(_step(f"Good translations, {language.name}", "translations", verdicts[language.code]))
    stages = {stage.name: stage for stage in (captions, *translations.values(), *verdicts.values())}
    view = {
        "languages": languages,
        "steps": steps,
        "images": steps[0].entered,
        "pairs": sum(sources["ling"]["kept"] for sources in build.funnel.values()),
        "kept": [example for code, stage in verdicts.items() for example in kept_examples(images, code, stage)],
        "dropped": dropped_examples(CollectReport(out, stages, build)),
    }
    facts = {"steps": [step.to_json() for step in steps], "pairs": view["pairs"]}
    write_atomic(out / "report.json", json.dumps(facts, ensure_ascii=False, indent=1) + "\n")
    write_atomic(out / "report.html", environment(TEMPLATES, COLLECT).get_template("describe.html.j2").render(view))
    return out / "report.html"


def kept_examples(images: Path, code: str, verdicts: StageReport) -> list[dict[str, Any]]:
    """Random kept descriptions of a language, each with a thumbnail of its image."""
    language = get_language(code)
    rows = [row for folder in verdicts.outputs for row in read_rows(folder)]
    chosen = random.Random(SEED).sample(rows, min(KEPT_EXAMPLES, len(rows)))
    return [
        {
            **{name: row[name] for name in ("text", "caption_en", "captioner", "translator")},
            "language": language,
            "attributes": text_attributes(row["text"], language),
            "score": "not scored" if row["qe_score"] is None else f"{row['qe_score']:.2f}",
            "changed": row.get("names_changed", []),
            "thumbnail": _thumbnail((images / row["path"]).read_bytes()),
        }
        for row in chosen
    ]


def _step(name: str, unit: str, stage: StageReport) -> Step:
    lost: Sequence[tuple[str, int]] = sorted(stage.dropped.items(), key=lambda pair: (-pair[1], pair[0]))
    notes = {key: n for key, n in stage.counts.items() if n and key != "kept" and not key.startswith("dropped_")}
    return Step(name, unit, stage.counts["kept"], dict(lost), notes=notes)


def _thumbnail(data: bytes) -> str:
    image = open_image(data)
    image.thumbnail(_THUMBNAIL)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
