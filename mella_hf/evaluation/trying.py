"""Try an adapter: ask base and adapter the same questions about an image.

    mella try outputs/joint/adapter photo.jpg

The model is loaded once: with its adapter switched off, it gives the base's answers. It is loaded twice only if the
adapter changes weights of the base itself.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.adapter_weights import changes_base
from mella_hf.answers.generate import LocalModel
from mella_hf.answers.identity import ADAPTER_CONFIG, read_adapter_config
from mella_hf.answers.loading import load_processor
from mella_hf.answers.models import load_model
from mella_hf.answers.predictions import MAX_NEW_TOKENS
from mella_hf.answers.records import Answer
from mella_hf.answers.systems import System, line_up
from mella_hf.errors import MellaError
from mella_hf.hub_errors import hub_errors
from mella_hf.languages import Language, get_language

if TYPE_CHECKING:
    from PIL.Image import Image

SOURCES = ("know", "ling")


class SideBySide:
    """A base and its adapter that answer the same questions.

    Args:
        adapter: folder of an adapter or of a merged model, or an adapter's id on the Hub.
        base: Hub id or folder of the base; by default the one that the adapter names.
        revision: branch, tag or commit of a base on the Hub.
        device: "cuda", "cpu" and so on; the accelerator by default.

    Attributes:
        base, adapter: their names, for people.
        trained_on: codes of the languages that the adapter was trained on; None if nobody says.

    The models are loaded by `load`, or by the first question.

    Raises:
        MellaError: if they do not fit, or a merged model comes without a base.
    """

    def __init__(
        self, adapter: str | Path, base: str | None = None, *, revision: str | None = None, device: str | None = None
    ) -> None:
        folder = adapter_folder(adapter)
        base = base or named_base(folder)
        plain, tuned = line_up(base, folder, revision=revision)
        self.base, self.adapter, self.trained_on = base, str(adapter), tuned.trained_on
        self._systems, self._device = (plain, tuned), device
        self._answerers: dict[str, LocalModel] = {}
        self._switch: Any = None

    def load(self) -> None:
        """Load the models, if they are not. Raises MellaError if either cannot be loaded."""
        if self._answerers:
            return
        plain, tuned = self._systems
        if tuned.merged:
            self._answerers = {system.name: _whole(system, self._device) for system in self._systems}
            return
        model, processor = load_model(self.base, tuned.adapter, revision=tuned.revision, device=self._device)
        if changes_base(model):
            self._answerers = {"base": _whole(plain, self._device), "adapter": LocalModel(model, processor)}
            return
        self._answerers = {"base": LocalModel(model, _base_processor(plain)), "adapter": LocalModel(model, processor)}
        self._switch = model

    def ask(self, image: "Image", question: str, max_new_tokens: int) -> dict[str, Answer]:
        """The greedy answers by "base" and "adapter", each with `prediction` and `truncated`.

        Args:
            image: RGB.
        """
        self.load()
        found: dict[str, Answer] = {}
        for name, answerer in self._answerers.items():

            def keep(_: int, answer: Answer, name: str = name) -> None:
                found[name] = answer

            off = self._switch.disable_adapter() if self._switch is not None and name == "base" else nullcontext()
            with off:
                answerer.answer([([image], question)], max_new_tokens, 1, keep)
        return found


def _whole(system: System, device: str | None) -> LocalModel:
    answerer = system.answerer(device)
    assert isinstance(answerer, LocalModel)
    return answerer


def _base_processor(system: System) -> Any:
    """The base's own processor: an adapter may bring another chat template."""
    return load_processor(system.base, revision=system.revision)


def adapter_folder(adapter: str | Path) -> Path:
    """The folder of an adapter; one on the Hub is downloaded. Raises MellaError if there is neither."""
    if Path(adapter).is_dir() or len(Path(adapter).parts) != 2:
        return Path(adapter)
    from huggingface_hub import snapshot_download

    with hub_errors(str(adapter), "read the adapter"):
        return Path(snapshot_download(str(adapter)))


def named_base(folder: Path) -> str:
    """The base that an adapter was trained on. Raises MellaError if it does not say."""
    if (folder / "config.json").is_file() and not (folder / ADAPTER_CONFIG).is_file():
        raise MellaError(f"{str(folder)!r} is a whole model, which does not say what it was made from; give --base.")
    base = read_adapter_config(folder).get("base_model_name_or_path")
    if not base:
        raise MellaError(f"The adapter {str(folder)!r} does not name its base; give --base.")
    return str(base)


def language_of(trained_on: Sequence[str] | None, given: str | None) -> Language:
    """The language to ask in: the given one, or the only one that the adapter was trained on.

    Raises:
        MellaError: if it is not given and the adapter knows none or several.
    """
    if given is not None:
        return get_language(given)
    if trained_on is None or len(trained_on) != 1 or trained_on == ["all"]:
        known = "in no language that is on record" if trained_on is None else f"on {', '.join(trained_on)}"
        raise MellaError(f"The adapter was trained {known}; give --language, such as --language ar.")
    return get_language(trained_on[0])


def default_questions(language: Language) -> list[tuple[str, int]]:
    """The test prompts of a language, each with the most tokens of an answer."""
    return [(language.test_prompt(source), MAX_NEW_TOKENS[source]) for source in SOURCES]


def read_photo(data: bytes, name: str) -> "Image":
    """Decode a photo as RGB. Raises MellaError if it cannot be read."""
    from mella_hf.images.opening import FORMATS, Rejected, open_image

    try:
        return open_image(data)
    except Rejected as error:
        raise MellaError(f"{name} cannot be read as an image ({error}); give one of {', '.join(FORMATS)}.") from error
