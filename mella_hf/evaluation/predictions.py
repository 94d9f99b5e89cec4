"""Something that answers and test rows go in; one answer per image leaves, as JSON lines in the order of the rows.

Greedy answers depend on the batch they are computed in: padding changes the last bits of the logits,
and now and then a token. So the batches are laid out once, from all rows, before finished work is
looked at, and unfinished batches are computed whole. A run that was killed and resumed, or that several
processes shared, gives the same bytes as one that was not.
"""

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mella_hf.errors import MellaError
from mella_hf.languages import get_language
from mella_hf.stage import fingerprint, write_atomic

if TYPE_CHECKING:
    from accelerate import PartialState
    from datasets import Dataset

# Answers are about 14 (know) and 258 (ling) tokens long (paper, dataset table); four and two times that.
MAX_NEW_TOKENS = {"know": 64, "ling": 512}
ROW_COLUMNS = ("id", "text", "keywords", "category", "entity", "domain")
LONGEST_WAIT = timedelta(days=2)  # of a process for the others, which may have much longer answers to give

Keep = Callable[[int, dict[str, Any]], None]


class Answerer(Protocol):
    """A model in this process, or behind an endpoint.

    Attributes:
        facts: what it is besides its identity (versions, device, precision); answers depend on it.
        parameters: how many it has; None where nobody says.
        batched: whether an answer depends on the images that it is computed together with.
    """

    facts: Mapping[str, str]
    parameters: int | None
    batched: bool

    def answer(self, images: Sequence[Any], prompt: str, max_new_tokens: int, keep: Keep) -> None:
        """Answer about each image: `keep(i, {"prediction", "truncated"})` as soon as image i has its answer."""


def process_state(device: str | None = None) -> "PartialState":
    """This process among those that `accelerate launch` or `torchrun` started, or alone; on `device` where given."""
    import torch
    from accelerate import PartialState

    cpu = device == "cpu" or not torch.accelerator.is_available()
    return PartialState(cpu=cpu, timeout=LONGEST_WAIT)


def answer_rows(
    answerer: Answerer,
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
    """Answer the test prompt of `source` for every row and write the predictions.

    Under a launcher, every process calls this with the same arguments and answers its share of the batches.

    Args:
        answerer: `mella_hf.evaluation.generate.LocalModel` or `mella_hf.evaluation.endpoint.Endpoint`.
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
        keywords, category, entity, domain, seen, truncated.

    Raises:
        MellaError: when there are no rows, an image stands in them twice, or one does not decode.
    """
    out = Path(out)
    limit = max_new_tokens or MAX_NEW_TOKENS[source]
    prompt = prompt or get_language(language).test_prompt(source)
    records = rows.select_columns(list(ROW_COLUMNS)).to_list()
    _check_rows(records, f"{language}/{source}_test")
    settings = {"batch_size": batch_size, "max_new_tokens": limit, "prompt": prompt, "decoding": "greedy"}
    meta = _meta(identity, settings, records, answerer)
    mark = meta["fingerprint"]
    state = process_state()
    done = _finished(out, mark) or _unfinished(out, mark)
    state.wait_for_everyone()  # all have read, so all see the same batches missing
    batches = [b for b in plan_batches(records, batch_size) if not all(records[i]["id"] in done for i in b)]
    mine = batches[state.process_index :: state.num_processes]
    if not answerer.batched:
        mine = [[i for i in batch if records[i]["id"] not in done] for batch in mine]
    partial = _partial(out, state.process_index)
    from tqdm import tqdm

    name = f"answers {language}/{source}" + (f", 1 of {state.num_processes}" if state.num_processes > 1 else "")
    quiet = not progress or not state.is_main_process
    with tqdm(total=sum(map(len, mine)), desc=name, unit="image", disable=quiet or not mine) as bar:
        for batch in mine:
            ids = [records[i]["id"] for i in batch]

            def keep(at: int, answer: dict[str, Any], ids: list[str] = ids) -> None:
                _append(partial, mark, ids[at], answer)
                bar.update()

            answerer.answer(open_images(rows, batch), prompt, limit, keep)
    state.wait_for_everyone()  # all answers are written
    if state.is_main_process:
        done |= _unfinished(out, mark)
        _check_whole(records, done, out)
        seen = frozenset(seen_entities) if seen_entities is not None else None
        predictions = [_prediction(r, done[r["id"]], language, source, prompt, seen) for r in records]
        _publish(out, "".join(json.dumps(p, ensure_ascii=False) + "\n" for p in predictions), meta)
    state.wait_for_everyone()  # the file is there for all
    return out


def plan_batches(records: Sequence[Mapping[str, Any]], batch_size: int) -> list[list[int]]:
    """Row numbers in batches of like length, so that few answers wait for the longest of their batch.

    The length of the reference stands for that of the answer; it decides the company an image is
    answered in, and the model sees nothing of it. Longest first, so that memory runs out early or never.
    """
    order = sorted(range(len(records)), key=lambda i: (-len(records[i]["text"]), records[i]["id"]))
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def open_images(rows: "Dataset", batch: Sequence[int]) -> list[Any]:
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


def read_predictions(path: Path | str) -> list[dict[str, Any]]:
    """The finished predictions of a file that `answer_rows` wrote. Raises MellaError when it is not there."""
    path = Path(path)
    if not path.is_file():
        raise MellaError(f"No predictions at {str(path)!r}; make them with `mella evaluate`.")
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def read_meta(path: Path | str) -> dict[str, Any]:
    """What a predictions file was made from: identity, settings, versions, device, parameters."""
    return json.loads(_meta_path(Path(path)).read_text("utf-8"))


def _meta(
    identity: Mapping[str, Any], settings: Mapping[str, Any], records: Sequence[Mapping[str, Any]], answerer: Answerer
) -> dict[str, Any]:
    content = {key: identity[key] for key in ("base_hash", "adapter_hash")}  # names may move
    rows = [[record["id"], record["text"]] for record in records]  # they decide the batches
    mark = fingerprint(content, settings, dict(answerer.facts), rows)
    size = {"parameters": answerer.parameters, "rows": len(rows)}
    return {**identity, **settings, **answerer.facts, **size, "fingerprint": mark}


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


def _check_whole(records: Sequence[Mapping[str, Any]], done: Collection[str], out: Path) -> None:
    if lost := [record["id"] for record in records if record["id"] not in done]:
        raise MellaError(
            f"{len(lost)} of {len(records)} answers, the one about {lost[0]} among them, did not reach "
            f"{str(out.parent)!r}. All processes must write to one file system; run the same command again on it."
        )


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
        "domain": record["domain"],
        "seen": None if entity is None or seen is None else entity in seen,
        "truncated": answer["truncated"],
    }


def _meta_path(out: Path) -> Path:
    return out.with_name(out.name + ".meta.json")


def _partial(out: Path, process: int) -> Path:
    return out.with_name(f"{out.name}.{process}.partial")


def _append(path: Path, mark: str, image_id: str, answer: Mapping[str, Any]) -> None:
    """Add an answer to the unfinished file. Every line carries the fingerprint that it holds for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"fingerprint": mark, "id": image_id, **answer}, ensure_ascii=False)
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")  # the leading newline closes a line that a kill left open
        file.flush()
        os.fsync(file.fileno())


def _finished(out: Path, mark: str) -> dict[str, dict[str, Any]]:
    """Answers of a finished file by id; none where it is of another fingerprint, or not whole."""
    if not (out.is_file() and _meta_path(out).is_file()):
        return {}
    meta = read_meta(out)
    if meta["fingerprint"] != mark or meta["sha256"] != hashlib.sha256(out.read_bytes()).hexdigest():
        return {}
    return {p["id"]: {"prediction": p["prediction"], "truncated": p["truncated"]} for p in read_predictions(out)}


def _unfinished(out: Path, mark: str) -> dict[str, dict[str, Any]]:
    """Answers of an interrupted run by id; lines cut short or of another fingerprint are not answers."""
    answers = {}
    for path in sorted(out.parent.glob(f"{out.name}.*.partial")):
        for line in path.read_bytes().split(b"\n"):
            try:
                record = json.loads(line)
            except ValueError:  # blank, or cut short by a kill, perhaps within a character
                continue
            if record["fingerprint"] == mark:
                answers[record["id"]] = {"prediction": record["prediction"], "truncated": record["truncated"]}
    return answers


def _publish(out: Path, text: str, meta: Mapping[str, Any]) -> None:
    """Predictions first, then the meta file that vouches for their bytes; the partial files go last."""
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    vouched = {**meta, "sha256": digest}
    # Old answers may have new company: keywords, or what training has seen.
    whole = out.is_file() and _meta_path(out).is_file() and out.read_bytes() == text.encode("utf-8")
    if not (whole and read_meta(out) == vouched):
        write_atomic(out, text)
        write_atomic(_meta_path(out), json.dumps(vouched, ensure_ascii=False, indent=2) + "\n")
    for path in out.parent.glob(f"{out.name}.*.partial"):
        path.unlink()
