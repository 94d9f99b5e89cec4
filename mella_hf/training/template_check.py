"""Check at the start that a backbone's chat template works: training and answering must use the same prompt.

A template is a program that comes with the checkpoint. One that forgets the image, sets the first token twice, or
leaves out the end of the answer spoils a run without any error: the model never learns to look, or to stop.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.training.batches.chat import assistant_turn, user_turn

QUESTION, ANSWER = "What is this?", "A house."
_SIZE = (96, 64)  # width and height of the image that is tried, in pixels


def check_template(collate: Callable[[list[Any]], Any], processor: Any, stops: Sequence[int], name: str) -> None:
    """Make one sample as training makes it, and compare it with the prompt that the trained model will be given.

    Args:
        collate: makes a batch of conversations.
        stops: the tokens that end an answer.
        name: of the backbone, for errors.

    Raises:
        MellaError: if the template shows no image, fails, opens answers in two ways, sets the first token twice, or
            if the end of an answer is not trained. Names what it wrote.
    """
    from PIL import Image

    image = Image.new("RGB", _SIZE)
    asked, whole = check_rendering(processor, name)
    if not whole.startswith(asked):
        at = next(i for i, (a, b) in enumerate(zip(asked, whole + "\0", strict=False)) if a != b)
        raise _refused(
            name, f"opens an answer with {asked[at:]!r}, but writes {whole[at : at + 40]!r} where one is finished"
        )
    turn = {
        "images": [image],
        "prompt": [user_turn(QUESTION)],
        "completion": [assistant_turn(ANSWER)],
        "source": "know",
    }
    batch = collate([turn])
    ids = batch["input_ids"][0][batch["attention_mask"][0] == 1].tolist()
    labels = batch["labels"][0][batch["attention_mask"][0] == 1]
    told = [token for token, label in zip(ids, labels.tolist(), strict=True) if label != -100]
    if not processor.tokenizer.decode(told).lstrip().startswith(ANSWER):
        raise _refused(name, f"puts {processor.tokenizer.decode(told)!r} where the answer {ANSWER!r} should be")
    if not set(told) & set(stops):
        ends = ", ".join(repr(processor.tokenizer.decode([stop])) for stop in stops)
        raise _refused(
            name,
            f"writes {processor.tokenizer.decode(told)!r} for a whole answer, without any of {ends}; the model would "
            "not learn to stop",
        )
    given = _given(processor, image)
    _check_first_token(processor, given, name)
    if given != ids[: len(ids) - len(told)]:
        raise _refused(
            name,
            f"gives the prompt {processor.tokenizer.decode(ids[: len(ids) - len(told)])[:300]!r} in training, but "
            f"{processor.tokenizer.decode(given)[:300]!r} when it is asked",
        )


def check_rendering(processor: Any, name: str) -> tuple[str, str]:
    """Render a sample with the chat template: the prompt alone, and prompt and answer together.

    Raises:
        MellaError: if the template fails, or shows no image.
    """
    from jinja2 import TemplateError

    question, answer = [user_turn(QUESTION)], [assistant_turn(ANSWER)]
    blind = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    try:
        asked = processor.apply_chat_template(question, add_generation_prompt=True, tokenize=False)
        whole = processor.apply_chat_template(question + answer, tokenize=False)
        unseen = processor.apply_chat_template(blind, add_generation_prompt=True, tokenize=False)
    except (TemplateError, TypeError) as error:
        raise _refused(name, f"fails on a question about an image and its answer ({error})") from error
    if asked == unseen:
        raise _refused(name, f"leaves out the image: it writes {asked!r} with one and without")
    return asked, whole


def _given(processor: Any, image: Any) -> list[int]:
    """The tokens of the prompt as the model is asked in the evaluation."""
    content = [{"type": "image", "image": image}, {"type": "text", "text": QUESTION}]
    inputs = processor.apply_chat_template(
        [[{"role": "user", "content": content}]],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    return inputs["input_ids"][0].tolist()


def _check_first_token(processor: Any, ids: list[int], name: str) -> None:
    bos = processor.tokenizer.bos_token_id
    count = ids.count(bos) if bos is not None else 0
    if count > 1 and bos not in (processor.tokenizer.eos_token_id, processor.tokenizer.pad_token_id):
        raise _refused(name, f"writes the first token, {processor.tokenizer.bos_token!r}, {count} times")


def _refused(name: str, what: str) -> MellaError:
    return MellaError(
        f"The chat template of {name!r} {what}. Choose another backbone, or mend the template in its "
        "chat_template.jinja."
    )
