"""A model and test rows go in; one answer per image leaves, as JSON lines in the order of the rows.

Greedy answers depend on the batch they are computed in: padding changes the last bits of the logits,
and now and then a token. So the batches are laid out once, from all rows, before finished work is
looked at, and unfinished batches are computed whole. A run that was killed and resumed gives the same
bytes as one that was not.
"""

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.errors import MellaError
from mella_hf.languages import get_language
from mella_hf.stage import fingerprint, write_atomic

if TYPE_CHECKING:
    from datasets import Dataset

# Answers are about 14 (know) and 258 (ling) tokens long (paper, dataset table); four and two times that.
MAX_NEW_TOKENS = {"know": 64, "ling": 512}
ROW_COLUMNS = ("id", "text", "keywords", "category", "entity")


def generate(
    model: Any,
    processor: Any,
    rows: "Dataset",
    *,
    language: str,
    source: str,
    out: Path | str,
    identity: Mapping[str, Any],
    prompt: str | None = None,
    seen_entities: Collection[str] | None = None,
    batch_size: int = 16,
    max_new_tokens: int | None = None,
    progress: bool = True,
) -> Path:
    """Answer the test prompt of `source` for every row, greedily, and write the predictions.

    Args:
        model, processor: as `mella_hf.evaluation.models.load_model` gives them.
        rows: a test split with the columns of `mella_hf.sample`; images decode as PIL.
        language: code of the language asked and answered in.
        source: "know" or "ling"; chooses the prompt.
        out: the predictions file (.jsonl); `<out>.meta.json` beside it says what it was made from.
        identity: what the model is (`model_identity`); predictions of another identity are not reused.
        prompt: another user turn than the language's test prompt.
        seen_entities: entities in training; sets `seen` of each prediction, null where not given.
        batch_size: answers computed together.
        max_new_tokens: tokens per answer at most; `MAX_NEW_TOKENS` of the source by default. An answer
            that was cut off there has `truncated: true`.

    Returns:
        The path of the finished predictions file: id, language, source, prompt, prediction, reference,
        keywords, category, entity, seen, truncated.

    Raises:
        MellaError: when there are no rows, an image stands in them twice, or one does not decode.
    """
    out = Path(out)
    limit = max_new_tokens or MAX_NEW_TOKENS[source]
    prompt = prompt or get_language(language).test_prompt(source)
    records = rows.select_columns(list(ROW_COLUMNS)).to_list()
    _check_rows(records, f"{language}/{source}_test")
    settings = {"batch_size": batch_size, "max_new_tokens": limit, "prompt": prompt, "decoding": "greedy"}
    meta = _meta(identity, settings, records, model)
    if is_current(out, meta["fingerprint"]):
        return out
    done = _read_partial(_partial(out), meta["fingerprint"])
    from tqdm import tqdm

    name = f"answers {language}/{source}"
    with tqdm(total=len(records), desc=name, unit="image", disable=not progress) as bar:
        for batch in plan_batches(records, batch_size):
            ids = [records[i]["id"] for i in batch]
            if not all(i in done for i in ids):
                answers = answer_batch(model, processor, _open_images(rows, batch), prompt, limit)
                done.update(zip(ids, answers, strict=True))
                _append(_partial(out), meta["fingerprint"], {i: done[i] for i in ids})
            bar.update(len(batch))
    seen = frozenset(seen_entities) if seen_entities is not None else None
    lines = [
        json.dumps(_prediction(record, done[record["id"]], language, source, prompt, seen), ensure_ascii=False)
        for record in records
    ]
    _publish(out, "".join(line + "\n" for line in lines), meta)
    return out


def answer_batch(
    model: Any, processor: Any, images: Sequence[Any], prompt: str, max_new_tokens: int
) -> list[dict[str, Any]]:
    """Greedy answers to one prompt about several RGB images: {"prediction", "truncated"} of each."""
    import torch
    from transformers import GenerationConfig

    turns = [
        [
            {
                "role": "user",
                "content": [{"type": "image", "image": image}, {"type": "text", "text": prompt}],
            }
        ]
        for image in images
    ]
    inputs = processor.apply_chat_template(
        turns,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True, "padding_side": "left"},  # answers start at the same position
    ).to(model.device, dtype=model.dtype)  # casts the pixels, leaves the token ids
    stops = stop_token_ids(model, processor)
    pad = processor.tokenizer.pad_token_id
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=stops,
        pad_token_id=stops[0] if pad is None else pad,
        # What is left unset comes from the checkpoint, and chat checkpoints ship penalties.
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        temperature=1.0,
        top_p=1.0,
        top_k=50,
    )
    with torch.inference_mode():
        tokens = model.generate(**inputs, generation_config=config)
    answers = tokens[:, inputs["input_ids"].shape[1] :]  # [B, T]
    finished = torch.isin(answers, torch.tensor(stops, device=answers.device)).any(dim=1)  # [B]
    texts = processor.tokenizer.batch_decode(answers, skip_special_tokens=True)
    return [{"prediction": t.strip(), "truncated": not f} for t, f in zip(texts, finished.tolist(), strict=True)]


def stop_token_ids(model: Any, processor: Any) -> list[int]:
    """The tokens that end an answer: the checkpoint's and the tokenizer's. Raises MellaError where there are none."""
    listed = model.generation_config.eos_token_id
    stops = list(listed) if isinstance(listed, list) else [listed]
    stops.append(processor.tokenizer.eos_token_id)
    known = list(dict.fromkeys(token for token in stops if token is not None))
    if not known:
        raise MellaError(
            f"The model {model.config._name_or_path!r} has no end-of-sequence token, so no answer would ever end; "
            "set eos_token in its tokenizer_config.json."
        )
    return known


def plan_batches(records: Sequence[Mapping[str, Any]], batch_size: int) -> list[list[int]]:
    """Row numbers in batches of like length, so that few answers wait for the longest of their batch.

    The length of the reference stands for that of the answer; it decides the company an image is
    answered in, and the model sees nothing of it. Longest first, so that memory runs out early or never.
    """
    order = sorted(range(len(records)), key=lambda i: (-len(records[i]["text"]), records[i]["id"]))
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def read_predictions(path: Path | str) -> list[dict[str, Any]]:
    """The finished predictions of a file that `generate` wrote. Raises MellaError when it is not there."""
    path = Path(path)
    if not path.is_file():
        raise MellaError(f"No predictions at {str(path)!r}; make them with `mella evaluate`.")
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def read_meta(path: Path | str) -> dict[str, Any]:
    """What a predictions file was made from: identity, settings, versions, device, parameters."""
    return json.loads(_meta_path(Path(path)).read_text("utf-8"))


def is_current(out: Path, mark: str) -> bool:
    """Whether finished predictions with this fingerprint are there, whole."""
    if not (out.is_file() and _meta_path(out).is_file()):
        return False
    meta = read_meta(out)
    return meta["fingerprint"] == mark and meta["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()


def _meta(
    identity: Mapping[str, Any], settings: Mapping[str, Any], records: Sequence[Mapping[str, Any]], model: Any
) -> dict[str, Any]:
    import torch
    import transformers

    made_with = {"torch": torch.__version__, "transformers": transformers.__version__}
    made_on = {"device": model.device.type, "dtype": str(model.dtype)}
    content = {key: identity[key] for key in ("base_hash", "adapter_hash")}  # names may move
    rows = [[record["id"], record["text"]] for record in records]  # they decide the batches
    mark = fingerprint(content, settings, made_with, made_on, rows)
    size = {"parameters": model.num_parameters(), "rows": len(rows)}
    return {**identity, **settings, **made_with, **made_on, **size, "fingerprint": mark}


def _check_rows(records: Sequence[Mapping[str, Any]], split: str) -> None:
    if not records:
        raise MellaError(f"The split {split} is empty; build the dataset with test samples, or choose another split.")
    seen: set[str] = set()
    for record in records:
        if record["id"] in seen:
            raise MellaError(
                f"The split {split} holds the image {record['id']} twice; predictions are kept by image. "
                "Build the dataset again without duplicates."
            )
        seen.add(record["id"])


def _open_images(rows: "Dataset", batch: Sequence[int]) -> list[Any]:
    """The decoded images of a batch. Raises MellaError, naming the image, when one does not decode."""
    images = []
    for i in batch:
        try:
            images.append(rows[i]["image"].convert("RGB"))
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises on broken files
            broken = rows.select_columns(["id"])[i]["id"]
            raise MellaError(
                f"The image {broken} of the test split does not decode ({error}); build the dataset again, "
                "which drops such images and counts them."
            ) from error
    return images


def _prediction(
    record: Mapping[str, Any],
    answer: Mapping[str, Any],
    language: str,
    source: str,
    prompt: str,
    seen: frozenset[str] | None,
) -> dict[str, Any]:
    entity = record["entity"]
    return {
        "id": record["id"],
        "language": language,
        "source": source,
        "prompt": prompt,
        "prediction": answer["prediction"],
        "reference": record["text"],
        "keywords": record["keywords"],
        "category": record["category"],
        "entity": entity,
        "seen": None if entity is None or seen is None else entity in seen,
        "truncated": answer["truncated"],
    }


def _meta_path(out: Path) -> Path:
    return out.with_name(out.name + ".meta.json")


def _partial(out: Path) -> Path:
    return out.with_name(out.name + ".partial")


def _append(path: Path, mark: str, answers: Mapping[str, Mapping[str, Any]]) -> None:
    """Add a finished batch to the unfinished file. Every line carries the fingerprint that it holds for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"fingerprint": mark, "id": i, **answer}, ensure_ascii=False) for i, answer in answers.items()]
    with open(path, "a", encoding="utf-8") as file:
        # A leading newline closes a line that a kill left open.
        file.write("\n" + "\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _read_partial(path: Path, mark: str) -> dict[str, dict[str, Any]]:
    """Answers of an interrupted run by id; lines cut short or of another fingerprint are not answers."""
    if not path.is_file():
        return {}
    answers = {}
    for line in path.read_bytes().split(b"\n"):
        try:
            record = json.loads(line)
        except ValueError:  # blank, or cut short by a kill, perhaps within a character
            continue
        if record["fingerprint"] == mark:
            answers[record["id"]] = {"prediction": record["prediction"], "truncated": record["truncated"]}
    return answers


def _publish(out: Path, text: str, meta: Mapping[str, Any]) -> None:
    """Predictions first, then the meta file that vouches for their bytes; the partial file goes last."""
    write_atomic(out, text)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    write_atomic(_meta_path(out), json.dumps({**meta, "sha256": digest}, ensure_ascii=False, indent=2) + "\n")
    _partial(out).unlink(missing_ok=True)
