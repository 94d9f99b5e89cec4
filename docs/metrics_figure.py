"""Draws docs/metrics.svg and prints the numbers of docs/metrics.md from real outputs.

    python docs/metrics_figure.py FOLDER

FOLDER holds <language>.base.jsonl and <language>.mella.jsonl for ar, cs and th: predictions of InternVL2-8B on the
MELLA `ling` test images, before and after tuning, from the first author's repository. METEOR's English numbers need
Java and `pip install --no-deps pycocoevalcap==1.2`.
"""

import json
import sys
from pathlib import Path
from typing import Any

LANGUAGES = {"ar": "Arabic", "cs": "Czech", "th": "Thai"}
SYSTEMS = {"base": "untuned", "mella": "tuned"}
Numbers = dict[tuple[str, str, str], dict[str, float]]  # (metric, language, system) -> naive, true, floor


def read(folder: Path, language: str, system: str) -> dict[str, list[str]]:
    """The columns of one file of outputs."""
    rows = [json.loads(line) for line in (folder / f"{language}.{system}.jsonl").read_text("utf-8").split("\n") if line]
    return {"predictions": [r["prediction"] for r in rows], "references": [r["reference"] for r in rows]}


def measure(folder: Path) -> Numbers:
    """What the usual call of each metric says, and what is true."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import BLEU

    from mella_hf.metrics import MellaMetric
    from mella_hf.metrics.paper import paper_scores

    numbers: Numbers = {}
    rouge = RougeScorer(["rougeL"])
    for language in LANGUAGES:
        for system in SYSTEMS:
            columns = read(folder, language, system)
            pairs = list(zip(columns["references"], columns["predictions"], strict=True))
            naive = {
                "bleu": BLEU().corpus_score(columns["predictions"], [columns["references"]]).score,
                "rouge_l": 100 * sum(rouge.score(r, p)["rougeL"].fmeasure for r, p in pairs) / len(pairs),
                "meteor": paper_scores(**columns)["meteor"],
            }
            true = MellaMetric(language, progress=False).compute(**columns)
            for metric, value in naive.items():
                row = {"naive": value, "true": true[metric], "floor": true[f"{metric}_floor"]}
                numbers[metric, language, system] = row
    return numbers


PANELS = [
    ("bleu", "th", "Thai BLEU", "sacrebleu as it comes"),
    ("meteor", "ar", "Arabic METEOR", "METEOR 1.5, English settings"),
    ("rouge_l", "ar", "Arabic ROUGE-L", "rouge_score as it comes"),
]
WIDTH, HEIGHT, PANEL = 860, 330, 270
TOP, BOTTOM = 92, 262
COLOURS = {"base": "#b9bec7", "mella": "#2f6db5"}


def svg(numbers: Numbers) -> str:
    """Three panels of bars: untuned and tuned, naive and true, with the floor as a line."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13" fill="#222"><title>Naive scores and true scores on the same outputs</title>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    ]
    for index, (metric, language, title, naive) in enumerate(PANELS):
        parts += panel(numbers, metric, language, title, naive, 30 + index * (PANEL + 5))
    for x, system, label in ((250, "base", "untuned model"), (380, "mella", "tuned model")):
        parts.append(f'<rect x="{x}" y="306" width="12" height="12" fill="{COLOURS[system]}"/>')
        parts.append(f'<text x="{x + 18}" y="317">{label}</text>')
    parts.append('<line x1="490" x2="514" y1="312" y2="312" stroke="#c0392b" stroke-width="2" stroke-dasharray="4 3"/>')
    parts.append('<text x="520" y="317">floor: another image\'s reference</text></svg>')
    return "\n".join(parts) + "\n"


def panel(numbers: Numbers, metric: str, language: str, title: str, naive: str, left: int) -> list[str]:
    """One metric in one language."""
    rows: dict[str, dict[str, Any]] = {system: numbers[metric, language, system] for system in SYSTEMS}
    top = max(max(row["naive"], row["true"]) for row in rows.values()) * 1.12
    parts = [
        f'<text x="{left}" y="34" font-size="17" font-weight="bold">{title}</text>',
        f'<text x="{left}" y="54" fill="#666">{naive} / mella</text>',
        f'<line x1="{left}" x2="{left + PANEL - 40}" y1="{BOTTOM}" y2="{BOTTOM}" stroke="#222"/>',
    ]
    for group, kind in enumerate(("naive", "true")):
        for place, system in enumerate(SYSTEMS):
            value = rows[system][kind]
            x, height = left + 14 + group * 120 + place * 44, (BOTTOM - TOP) * value / top
            y = BOTTOM - height
            parts.append(f'<rect x="{x}" y="{y:.1f}" width="38" height="{height:.1f}" fill="{COLOURS[system]}"/>')
            parts.append(f'<text x="{x + 19}" y="{y - 6:.1f}" text-anchor="middle">{value:.1f}</text>')
            if kind == "true":
                floor = BOTTOM - (BOTTOM - TOP) * rows[system]["floor"] / top
                parts.append(
                    f'<line x1="{x - 3}" x2="{x + 41}" y1="{floor:.1f}" y2="{floor:.1f}" stroke="#c0392b" '
                    'stroke-width="2" stroke-dasharray="4 3"/>'
                )
        label = "usual call" if kind == "naive" else "this metric"
        parts.append(f'<text x="{left + 55 + group * 120}" y="{BOTTOM + 20}" text-anchor="middle">{label}</text>')
    return parts


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    numbers = measure(Path(sys.argv[1]))
    for (metric, language, system), row in numbers.items():
        print(
            metric,
            LANGUAGES[language],
            SYSTEMS[system],
            {k: None if v is None else round(v, 2) for k, v in row.items()},
        )
    Path(__file__).with_name("metrics.svg").write_text(svg(numbers), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
