"""Make an SDRRL transfer set: the backbone's own English answers, translated to the target language.

SDRRL, "self-distillation from resource-rich languages" (Zhang et al. 2024, arXiv 2402.12204), is the paper's baseline.
It needs no text about the images: the model's own English answers are translated, and question and answer appear in
both languages in every combination, beside code-switched variants and a few plain translation pairs. The model is
then tuned on this set with LoRA, like every other run.

The method is adapted from text to images, and simplified:

- A question is about an image: the prompts of `know` and of `ling`. Their versions in the target language were
  written by speakers (`mella_hf.languages`) and are not translated.
- If question and answer are in two languages, the question says in which language to answer; the model could not know.
- Code-switching is by sentence and in the question only ("Describe this picture." in one language, "Answer in ..." in
  the other). Answers are in one language: an answer in two languages is one of the failures that this project counts.
- A translation pair keeps its image, although it does not need it, so that every sample has one.
- Answers that are empty, cut off or not translated are left out and counted. No quality estimate filters the rest;
  pass a translator that does this.

`SWITCHED` and `TRANSLATED` are this project's choice, not the authors'.

    OUT/answers/{know,ling}-N.jsonl the backbone's answers in English to the Nth question
    OUT/turns.jsonl                 id, kind, source, language, prompt, text: one training sample a line
    OUT/transfer.json               who answered and translated, and counts; written last
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from mella_hf.errors import MellaError
from mella_hf.files import json_lines, write_atomic
from mella_hf.languages import get_language
from mella_hf.ling.translators.translator import Translator
from mella_hf.sample import SOURCES
from mella_hf.stage import fingerprint
from mella_hf.training.batches.bad_samples import BadSamples
from mella_hf.training.batches.chat import Conversation, draw_prompt, prompts_mark, sound_conversations

if TYPE_CHECKING:
    from datasets import Dataset

QUESTIONS = {
    "know": ("What is this?", "What does the picture show?", "Name what you see."),
    "ling": ("Describe this picture.", "What does the picture look like?", "Describe what you see."),
}
SWITCHED, TRANSLATED = 0.5, 0.1  # code-switched and translation samples for each image
TURNS_FILE, RECORD_FILE = "turns.jsonl", "transfer.json"


class TransferRecord(TypedDict):
    """What a transfer set was made from.

    Attributes:
        fingerprint: of everything that its samples depend on.
        base, revision: the model that was asked; the revision is None for a folder.
        translator, translator_version: of its answers.
        counts: of samples, and of answers that were left out, by reason.
    """

    fingerprint: str
    base: str
    revision: str | None
    language: str
    translator: str
    translator_version: str
    counts: dict[str, int]


def build_transfer_set(
    *,
    base: str,
    revision: str | None = None,
    rows: Mapping[str, "Dataset"],
    language: str,
    translator: Translator,
    out: Path | str,
    batch_size: int = 16,
    max_new_tokens: Mapping[str, int] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Path:
    """Ask the base about every image in English, translate the answers, and write the transfer set.

    Args:
        base: Hub id or folder of the backbone.
        revision: branch, tag or commit of a backbone on the Hub; main by default.
        rows: images by source ("know", "ling"), with the columns of `mella_hf.sample`; their texts are not used.
        language: code of the language to teach.
        max_new_tokens: maximum length of an English answer, by source.
        seed: decides which questions are asked and which variants an image gets.

    Returns:
        `out`. Finished answers are kept: the same call again does only what is missing.

    Raises:
        MellaError: if no answer passes the checks.
    """
    out = Path(out)
    answers = _english_answers(base, revision, rows, out, batch_size, max_new_tokens or {}, seed, progress)
    prompts = prompts_mark((language, source) for source in SOURCES)
    mark = fingerprint(answers, language, translator.name, translator.version, seed, SWITCHED, TRANSLATED, prompts)
    if (out / RECORD_FILE).is_file() and read_record(out)["fingerprint"] == mark:
        return out
    counts: Counter[str] = Counter()
    lines = [json.dumps(turn, ensure_ascii=False) for turn in _turns(answers, language, translator, seed, counts)]
    if not lines:
        raise MellaError(
            f"No answer of {base!r} can be used for the transfer set: {dict(counts)}. Use another base or translator."
        )
    write_atomic(out / TURNS_FILE, "".join(line + "\n" for line in lines))
    record: TransferRecord = {
        "fingerprint": mark,
        "base": str(base),
        "revision": revision,
        "language": language,
        "translator": translator.name,
        "translator_version": translator.version,
        "counts": dict(sorted(counts.items())),
    }
    write_atomic(out / RECORD_FILE, json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    return out


def transfer_set_hash(folder: Path | str) -> str:
    """The sha256 of a transfer set's samples. Raises MellaError if the folder has no complete one."""
    if not (Path(folder) / RECORD_FILE).is_file():
        raise MellaError(
            f"No transfer set in {str(folder)!r}: {RECORD_FILE} is missing. Make one with `mella distill`."
        )
    return hashlib.sha256((Path(folder) / TURNS_FILE).read_bytes()).hexdigest()


def read_record(folder: Path | str) -> TransferRecord:
    """What a finished transfer set was made from, and its counts."""
    return json.loads((Path(folder) / RECORD_FILE).read_text("utf-8"))


def ask_about(
    pictures: "Dataset", folder: Path | str, *, jpeg: bool = False, bad: BadSamples | None = None
) -> tuple["Dataset", Callable[[dict[str, list[Any]]], Conversation]]:
    """A transfer set's samples, and the transform that turns them into conversations.

    Args:
        pictures: rows with the images; samples refer to them by id, so each image is stored once.
        jpeg: as in `conversations`.
        bad: as in `conversations`.

    Raises:
        MellaError: if the folder is not a transfer set, or an image is missing.
    """
    from datasets import Dataset

    transfer_set_hash(folder)
    where = {image: row for row, image in enumerate(pictures["id"])}
    sizes = pictures.select_columns(["width", "height"])
    turns = [turn for _, turn in json_lines(Path(folder) / TURNS_FILE)]
    for turn in turns:
        if turn["id"] not in where:
            raise MellaError(
                f"The transfer set {str(folder)!r} asks about the image {turn['id']}, which is in none of the run's "
                "sources. Use the same data_dir, languages and sources as `mella distill`."
            )
        turn["row"] = where[turn["id"]]
        turn |= sizes[turn["row"]]
    images = pictures.select_columns(["image"])

    def shown(asked: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        return ({**turn, "image": images[turn["row"]]["image"]} for turn in asked)

    def others(source: str) -> Iterator[dict[str, Any]]:
        return shown(turn for turn in turns if turn["source"] == source)

    def transform(batch: dict[str, list[Any]]) -> Conversation:
        rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
        made = sound_conversations(list(shown(rows)), seed=0, jpeg=jpeg, bad=bad, others=others)
        return {key: [turn[key] for turn in made] for key in made[0]}

    return Dataset.from_list(turns), transform


def _english_answers(
    base: str,
    revision: str | None,
    rows: Mapping[str, "Dataset"],
    out: Path,
    batch_size: int,
    max_new_tokens: Mapping[str, int],
    seed: int,
    progress: bool,
) -> dict[str, list[dict[str, Any]]]:
    """The base's answers by source, in the order of the rows: {"id", "question", "prediction", "truncated"}."""
    from mella_hf.answers.answers import read_predictions
    from mella_hf.answers.generate import generate
    from mella_hf.answers.identity import model_identity
    from mella_hf.answers.models import load_model

    identity = model_identity(base, revision=revision)
    model, processor = load_model(base, revision=revision)
    answers: dict[str, list[dict[str, Any]]] = {}
    for source, part in rows.items():
        drawn = [_drawn_question(source, image, seed) for image in part["id"]]
        found: dict[int, dict[str, Any]] = {}
        for number, question in enumerate(QUESTIONS[source]):
            asked = [row for row, other in enumerate(drawn) if other == number]
            if not asked:
                continue
            path = generate(
                model,
                processor,
                part.select(asked),
                language="en",
                source=source,
                prompt=question,
                out=out / "answers" / f"{source}-{number}.jsonl",
                identity=identity,
                batch_size=batch_size,
                max_new_tokens=max_new_tokens.get(source),
                progress=progress,
            )
            for row, said in zip(asked, read_predictions(path), strict=True):
                kept = {key: said[key] for key in ("id", "prediction", "truncated")}
                found[row] = {**kept, "question": question}
        answers[source] = [found[row] for row in sorted(found)]
    return answers


def _drawn_question(source: str, image: str, seed: int) -> int:
    """Which of the source's English questions is asked about an image."""
    digest = hashlib.sha256(f"question/{seed}/{source}/{image}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % len(QUESTIONS[source])


def _turns(
    answers: Mapping[str, Sequence[Mapping[str, Any]]],
    language: str,
    translator: Translator,
    seed: int,
    counts: Counter[str],
) -> Iterator[dict[str, str]]:
    """The training samples of all images, counted by kind; dropped answers are counted by reason."""
    instructions = _instructions(language, translator)
    for source, given in answers.items():
        usable = []
        for answer in given:
            reason = "empty" if not answer["prediction"] else "truncated" if answer["truncated"] else None
            if reason:
                counts[f"dropped_{reason}"] += 1
            else:
                usable.append(answer)
        translations = translator.translate([answer["prediction"] for answer in usable], "en", language)
        for answer, native in zip(usable, translations, strict=True):
            english = answer["prediction"]
            if not native or native == english:
                counts["dropped_untranslated"] += 1
                continue
            questions = {"en": answer["question"], language: draw_prompt(language, source, answer["id"], seed)}
            for turn in _variants(
                answer["id"], source, language, questions, {"en": english, language: native}, instructions, seed
            ):
                counts[turn["kind"]] += 1
                yield turn


def _instructions(language: str, translator: Translator) -> dict[tuple[str, str], str]:
    """Instructions such as "Answer in ...", by (language of the instruction, language to answer in or "translate").

    Raises:
        MellaError: if the translator cannot translate one.
    """
    name = get_language(language).name
    english = {language: f"Answer in {name}.", "en": "Answer in English.", "translate": f"Translate into {name}:"}
    native = dict(zip(english, translator.translate(list(english.values()), "en", language), strict=True))
    missing = [english[key] for key, text in native.items() if not text]
    if missing:
        raise MellaError(
            f"The translator {translator.name!r} has no {name} for {missing[0]!r}; choose another translator."
        )
    return {("en", key): text for key, text in english.items()} | {
        (language, key): text for key, text in native.items()
    }


def _variants(
    image: str,
    source: str,
    language: str,
    question: Mapping[str, str],
    text: Mapping[str, str],
    instructions: Mapping[tuple[str, str], str],
    seed: int,
) -> Iterator[dict[str, str]]:
    """One image's samples: every combination of languages; some also get a code-switched one or a translation.

    Args:
        question: what the base was asked, and what stands for it in the other language, by language.
        text: its answer, and the translation, by language.
    """
    digest = hashlib.sha256(f"{seed}/{source}/{image}".encode()).digest()
    switched, translated, back = (int.from_bytes(digest[i : i + 4], "big") / 2**32 for i in (4, 8, 12))

    def turn(kind: str, prompt: str, answer: str) -> dict[str, str]:
        about = {"id": image, "kind": kind, "source": source, "language": answer}
        return {**about, "prompt": prompt, "text": text[answer]}

    for asked in ("en", language):
        for answer in ("en", language):
            said = question[asked] if asked == answer else f"{question[asked]} {instructions[asked, answer]}"
            yield turn("same_language" if asked == answer else "cross_language", said, answer)
    asked, answer = ("en", language) if back < 0.5 else (language, "en")
    if switched < SWITCHED:
        yield turn("code_switched", f"{question[asked]} {instructions[answer, answer]}", answer)
    if translated < TRANSLATED:
        yield turn("translation", f"{instructions['en', 'translate']} {text['en']}", language)
