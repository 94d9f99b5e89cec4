"""A run whose images are real files of a dataset, its answers made up, and a scripted stand-in for a judge."""

import json
from pathlib import Path
from typing import Any


def build_judged_run(folder: Path, build_run: Any, make_rows: Any, count: int = 6) -> tuple[Path, Path]:
    """(run folder, dataset folder): `count` know_test and two ling_test images, answered by a base and an adapter.

    The adapter says the reference of each even image, and of each odd one a made-up thing; the last image of know_test
    has the same answer of both.
    """
    from datasets import Image

    from mella_hf.dataset.write import write_split

    run, data = build_run(folder / "run"), folder / "mella"
    for split, rows in (("know_test", make_rows(count)), ("ling_test", make_rows(2, source="ling", start=50))):
        write_split(rows.cast_column("image", Image(decode=False)), data, "ar", split)
        for model in ("base", "adapter"):
            predictions = [_prediction(row, i, model, split, count) for i, row in enumerate(rows)]
            path = run / "predictions" / model / f"{split}.jsonl"
            path.write_text("".join(json.dumps(p, ensure_ascii=False) + "\n" for p in predictions), "utf-8")
        for row in rows:
            row["image"].convert("RGB").save(run / "thumbnails" / f"{row['id']}.jpg", "JPEG")
    return run, data


def _prediction(row: dict[str, Any], i: int, model: str, split: str, count: int) -> dict[str, Any]:
    answer = f"stand-in base {i}" if model == "base" else row["text"] if i % 2 == 0 else f"Atlantis {i}"
    return {
        "id": row["id"],
        "language": "ar",
        "source": split.removesuffix("_test"),
        "prompt": "ما هذا؟",
        "prediction": "the same" if i == count - 1 else answer,
        "reference": row["text"],
        "keywords": row["keywords"],
        "category": row["category"],
        "entity": row["entity"],
        "domain": row["domain"],
        "seen": None,
        "truncated": False,
    }


def material(prompt: str) -> dict[str, str]:
    """The texts that a prompt shows, read back from its JSON."""
    found: dict[str, str] = json.JSONDecoder().raw_decode(prompt[prompt.index("\n\n{") + 2 :])[0]
    return found


def stand_in_judge(image: Any, prompt: str) -> str:
    """Scripted, no model: an answer that is the reference is all right, any other is made up from end to end."""
    shown = material(prompt)
    right = {name: shown[name] == shown["reference"] for name in ("answer", "A", "B") if name in shown}
    if "answer" in right:
        good = right["answer"]
        verdict = {
            "unsupported": [] if good else [shown["answer"]],
            "adequacy": 5 if good else 1,
            "fluency": 4 if good else 3,
        }
        return json.dumps(verdict)
    better = "tie" if right["A"] == right["B"] else "A" if right["A"] else "B"
    return json.dumps({"reason": "scripted", "better": better})


def biased_judge(image: Any, prompt: str) -> str:
    """Scripted: prefers what stands first unless B is the reference and A is not."""
    shown = material(prompt)
    return json.dumps({"reason": "scripted", "better": "B" if shown["B"] == shown["reference"] else "A"})
