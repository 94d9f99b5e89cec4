"""Ask a system questions about images and keep each answer on disk.

Greedy answers depend on the other prompts in the batch: padding changes the last bits of the logits, and sometimes a
token. So the batches are fixed once, from all questions, before finished work is skipped, and an unfinished batch is
computed again as a whole. A run that was killed and resumed, or split over several processes, writes the same bytes as
a run that was not.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from mella_hf.answers.records import Answer, AnswersMeta, Prediction
from mella_hf.errors import MellaError
from mella_hf.files import json_lines, write_atomic
from mella_hf.progress import progress_bar

if TYPE_CHECKING:
    from accelerate import PartialState

LONGEST_WAIT = timedelta(days=2)  # how long a process waits for the others, which may have much longer answers
SHARES = 8  # at least so many batches per split, if they can be full: a node usually has up to eight GPUs
WAVES = 4  # a batch holds at most four times `batch_size` answers, which limits what a killed run loses

Keep = Callable[[int, Answer], None]
Turn = tuple[Sequence[Any], str]


@dataclass(frozen=True)
class Question:
    """A prompt about the image or images with this `id`, and the expected length of its answer in characters."""

    id: str
    prompt: str
    expected: int = 0


class Answerer(Protocol):
    """A model in this process or behind an endpoint.

    Attributes:
        facts: versions, device and precision; answers depend on them.
        parameters: number of parameters; None if unknown.
        batched: whether an answer depends on the other images in its batch.
        notes: what was learnt while asking, for the record; empty if nothing was asked.
    """

    facts: Mapping[str, str]
    parameters: int | None
    batched: bool

    @property
    def notes(self) -> Mapping[str, str]:
        """See `Answerer`."""

    def answer(self, turns: Iterable[Turn], max_new_tokens: int, at_once: int, keep: Keep) -> None:
        """Answer turns of images and a prompt; call `keep(i, {"prediction", "truncated"})` for each finished answer."""


def process_state(device: str | None = None) -> "PartialState":
    """The state of this process, alone or under `accelerate launch` or `torchrun`, on `device` if given."""
    import torch
    from accelerate import PartialState

    cpu = device == "cpu" or not torch.accelerator.is_available()
    return PartialState(cpu=cpu, timeout=LONGEST_WAIT)


def collect_answers(
    answerer: Answerer,
    questions: Sequence[Question],
    show: Callable[[int], Sequence[Any]],
    *,
    out: Path,
    mark: str,
    limit: int,
    batch_size: int,
    name: str,
    progress: bool = True,
) -> dict[str, Answer] | None:
    """Ask all questions without an answer; under a launcher, every process must call this and asks its share.

    Args:
        show: returns the images of a question by its index; called when they are needed.
        out: the file that `publish_answers` will write; unfinished answers are stored beside it.
        mark: fingerprint of everything that the answers depend on; answers with another one are not reused.
        limit: maximum number of tokens per answer.
        batch_size: answers per batch.
        name: title of the progress bar.

    Returns:
        The answers by question id. Only in the first process; the others get None and wait in `publish_answers`.

    Raises:
        MellaError: if answers of another process did not arrive.
    """
    state = process_state()
    done = _finished(out, mark) or _unfinished(out, mark)
    state.wait_for_everyone()  # all have read, so all see the same missing batches
    batches = [b for b in plan_batches(questions, batch_size) if not all(questions[i].id in done for i in b)]
    mine = batches[state.process_index :: state.num_processes]
    if not answerer.batched:
        mine = [[i for i in batch if questions[i].id not in done] for batch in mine]
    partial = _partial(out, state.process_index)
    title = f"answers {name}" + (f", 1 of {state.num_processes}" if state.num_processes > 1 else "")
    quiet = not progress or not state.is_main_process
    with progress_bar(total=sum(map(len, mine)), desc=title, unit="image", shown=bool(mine) and not quiet) as bar:
        for batch in mine:

            def keep(at: int, answer: Answer, batch: list[int] = batch) -> None:
                _append(partial, mark, questions[batch[at]].id, answer)
                bar.update()

            turns = ((show(i), questions[i].prompt) for i in batch)
            answerer.answer(turns, limit, batch_size, keep)
    state.wait_for_everyone()  # all answers are written
    if not state.is_main_process:
        return None
    done |= _unfinished(out, mark)
    lost = [question.id for question in questions if question.id not in done]
    if lost:
        raise MellaError(
            f"{len(lost)} of {len(questions)} answers, such as the one about {lost[0]}, did not reach "
            f"{str(out.parent)!r}. Use a folder that all processes share, and run the same command again."
        )
    return done


def publish_answers(out: Path, lines: Iterable[Mapping[str, Any]] | None, meta: Mapping[str, Any]) -> None:
    """Write the finished file, then the meta file with its hash; remove the partial files last.

    Args:
        lines: records with id, prediction, truncated and more; None in all processes but the first.
        meta: what the answers were made from, with `fingerprint`, and `notes` where something was asked; without
            them those of the earlier file are kept.
    """
    if lines is not None:
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        earlier: Mapping[str, Any] = read_meta(out) if _meta_path(out).is_file() else {}
        vouched = {**meta, "sha256": hashlib.sha256(text.encode("utf-8")).hexdigest()}
        if not vouched.get("notes") and earlier.get("fingerprint") == meta["fingerprint"]:
            vouched["notes"] = earlier.get("notes", {})
        # Old answers can get new fields: keywords, or whether training has seen the entity.
        whole = out.is_file() and out.read_bytes() == text.encode("utf-8")
        if not (whole and earlier == vouched):
            write_atomic(out, text)
            write_atomic(_meta_path(out), json.dumps(vouched, ensure_ascii=False, indent=2) + "\n")
        for path in out.parent.glob(f"{out.name}.*.partial"):
            path.unlink()
    process_state().wait_for_everyone()  # the file is there for all


def plan_batches(questions: Sequence[Question], batch_size: int) -> list[list[int]]:
    """Indices of questions in batches of similar length, each with `batch_size` to `WAVES` x `batch_size` questions.

    In a batch a finished answer makes room for the next question, so large batches leave few places empty; small
    batches can be divided evenly among processes. The batches do not depend on the number of processes. Longest first,
    so memory runs out early or never.
    """
    order = sorted(range(len(questions)), key=lambda i: (-questions[i].expected, questions[i].id))
    full = -(-len(order) // batch_size)  # batches without a second wave
    count = min(full, max(SHARES, -(-full // WAVES)))
    ends = [len(order) * (i + 1) // count for i in range(count)]
    return [order[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def read_predictions(path: Path | str) -> list[Prediction]:
    """The finished answers of a file. Raises MellaError if it does not exist."""
    path = Path(path)
    if not path.is_file():
        raise MellaError(f"No predictions in {str(path)!r}; make them with `mella evaluate`.")
    return [cast(Prediction, record) for _, record in json_lines(path)]


def read_meta(path: Path | str) -> AnswersMeta:
    """Read what a file of answers was made from."""
    return cast(AnswersMeta, json.loads(_meta_path(Path(path)).read_text("utf-8")))


def _meta_path(out: Path) -> Path:
    return out.with_name(out.name + ".meta.json")


def _partial(out: Path, process: int) -> Path:
    return out.with_name(f"{out.name}.{process}.partial")


def _append(path: Path, mark: str, question: str, answer: Answer) -> None:
    """Add an answer to the unfinished file. Every line carries the fingerprint of its run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"fingerprint": mark, "id": question, **answer}, ensure_ascii=False)
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")  # the leading newline ends a line that a kill left unfinished
        file.flush()
        os.fsync(file.fileno())


def _finished(out: Path, mark: str) -> dict[str, Answer]:
    """Answers of a finished file by id; empty if it has another fingerprint or is incomplete."""
    if not (out.is_file() and _meta_path(out).is_file()):
        return {}
    meta = read_meta(out)
    if meta["fingerprint"] != mark or meta["sha256"] != hashlib.sha256(out.read_bytes()).hexdigest():
        return {}
    return {p["id"]: {"prediction": p["prediction"], "truncated": p["truncated"]} for p in read_predictions(out)}


def _unfinished(out: Path, mark: str) -> dict[str, Answer]:
    """Answers of an interrupted run by id; incomplete lines and lines with another fingerprint are ignored."""
    answers: dict[str, Answer] = {}
    for path in sorted(out.parent.glob(f"{out.name}.*.partial")):
        for line in path.read_bytes().split(b"\n"):
            try:
                record = json.loads(line)
            except ValueError:  # blank, or cut off by a kill, maybe in the middle of a character
                continue
            if record["fingerprint"] == mark:
                answers[record["id"]] = {"prediction": record["prediction"], "truncated": record["truncated"]}
    return answers
