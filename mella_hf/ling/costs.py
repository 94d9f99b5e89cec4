"""Estimate what a run of `mella describe` will cost before any request is sent, and report what it did cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mella_hf.answers.identity import model_name
from mella_hf.answers.request_cache import RequestCache
from mella_hf.ling.caption import UNANSWERED, CaptionAnswer, caption_images
from mella_hf.ling.captioners import ServerCaptioner
from mella_hf.ling.describe_settings import DescribeSettings
from mella_hf.ling.describe_stages import CAPTIONERS, SHARD_IMAGES, Description
from mella_hf.ling.described import find_images
from mella_hf.ling.opened import open_images
from mella_hf.ling.translators.routes import Route
from mella_hf.ling.translators.services import SERVICES
from mella_hf.plugins import find_plugins, load_plugin
from mella_hf.stage import ShardOutput

if TYPE_CHECKING:
    from PIL.Image import Image

NOT_ASKED = "not_asked"
EXPECTED_CHARS = 1100  # of a caption that is not there yet: the paper's have 258 tokens


@dataclass(frozen=True)
class CaptionCost:
    """Captions that are still to be asked for.

    Attributes:
        images: images that can be described.
        requests: those without a usable answer yet. A bad answer is asked for once more, so there may be twice as many.
        price: US dollars.
    """

    images: int
    requests: int
    price: float


@dataclass(frozen=True)
class TranslationCost:
    """What one translator is asked for in one language: characters, requests and US dollars.

    Attributes:
        estimated: whether some captions are not there yet, and taken to be as long as those that are.
    """

    translator: str
    characters: int
    requests: int
    price: float
    estimated: bool = False


@dataclass(frozen=True)
class DescribeCosts:
    """The costs of a run.

    Attributes:
        captions: by the captioner.
        translations: language -> one entry per translator.
        judged: language -> translations that COMET scores.
    """

    captions: CaptionCost
    translations: dict[str, list[TranslationCost]]
    judged: dict[str, int]

    @property
    def price(self) -> float:
        """US dollars in all."""
        return self.captions.price + sum(cost.price for costs in self.translations.values() for cost in costs)

    def lines(self) -> list[str]:
        """The costs for a terminal."""
        c = self.captions
        lines = [f"captions: {c.requests:,} requests about {c.images:,} images, {c.price:,.2f} USD"]
        for code, costs in self.translations.items():
            for cost in costs:
                about = "about " if cost.estimated else ""
                lines.append(
                    f"{code}, {cost.translator}: {about}{cost.characters:,} characters in {about}{cost.requests:,} "
                    f"requests, {cost.price:,.2f} USD"
                )
            if self.judged[code]:
                lines.append(f"{code}: {self.judged[code]:,} translations to score, here")
        return [*lines, f"in all: {self.price:,.2f} USD"]

    def to_json(self) -> dict[str, Any]:
        """The costs for programs."""
        return {**asdict(self), "price": self.price}


class _Nobody:
    """A `Captioner` that asks nobody: only answers of the cache are found."""

    def __init__(self, name: str, version: str) -> None:
        self.name, self.version = name, version

    def caption(
        self,
        images: "Sequence[Image]",
        prompt: str | Sequence[str],
        on_answer: Callable[[int, CaptionAnswer], None],
    ) -> dict[int, str]:
        """No answers."""
        return dict.fromkeys(range(len(images)), NOT_ASKED)


def estimate_costs(
    images: Path | str, out: Path | str, languages: Sequence[str], settings: DescribeSettings
) -> DescribeCosts:
    """What a run would still cost. Reads the images and the answers that are there, and asks nobody.

    Raises:
        MellaError: if there are no images, or a setting is wrong.
    """
    with Description(Path(images), Path(out), settings, progress=False) as work:
        texts, waiting, total = _captions(work, Path(images), settings, languages[0])
        length = sum(map(len, texts)) / len(texts) if texts else EXPECTED_CHARS
        translations = {}
        for code in languages:
            routes = settings.routes(code)
            translations[code] = [
                _left(work, route, code, texts, round(waiting * length), waiting, settings) for route in routes
            ]
        scored = (len(texts) + waiting) if settings.qe_model is not None else 0
        judged = {code: scored * len(translations[code]) for code in languages}
        price = settings.caption_price * waiting / 1000
        return DescribeCosts(CaptionCost(total, waiting, price), translations, judged)


def spent(
    work: Description, routes: Sequence[Route], language: str, texts: Sequence[str], settings: DescribeSettings
) -> list[TranslationCost]:
    """What each translator was asked for, in this run and those before it, to translate these texts."""
    costs = []
    for route in routes:
        translator = work.translator(route, language)
        pieces = translator.pieces(texts)
        costs.append(_cost(translator.name, pieces, translator.batch_size, price_of(route, settings)))
    return costs


def price_of(route: Route, settings: DescribeSettings) -> float:
    """US dollars per million characters."""
    listed = SERVICES[route.choice].price if route.choice in SERVICES else 0.0
    return listed if settings.price is None else settings.price


def _captions(work: Description, images: Path, settings: DescribeSettings, language: str) -> tuple[list[str], int, int]:
    """The usable captions of the cache, the number of images without an answer, and the number of images."""
    nobody = _Nobody(*_captioner_identity(settings, work.cache))
    files = [asdict(file) for file in find_images(images)]
    texts: list[str] = []
    waiting = total = 0
    for start in range(0, len(files), SHARD_IMAGES):
        context = language if settings.with_context else None
        opened = open_images(images, files[start : start + SHARD_IMAGES], context, ShardOutput(Path()))
        found = caption_images(nobody, opened.images, work.cache, askings=opened.askings)
        total += len(found)
        waiting += sum(caption.problem == f"{UNANSWERED}{NOT_ASKED}" for caption in found.values())
        texts += [caption.text for caption in found.values() if caption.problem is None]
    return texts, waiting, total


def _captioner_identity(settings: DescribeSettings, cache: RequestCache) -> tuple[str, str]:
    """Name and version of the captioner, found without loading a model: the version that answered last."""
    s = settings
    if s.base_urls:
        served = ServerCaptioner(s.captioner, s.base_urls, label=s.captioner_label)
        return served.name, served.version
    registered: Mapping[str, Any] = find_plugins(CAPTIONERS)
    if s.captioner in registered:
        name = s.captioner_label or str(getattr(load_plugin(registered[s.captioner]), "name", s.captioner))
    else:
        name = model_name(s.captioner)
    return name, cache.last_version(name, "image") or ""


def _left(
    work: Description,
    route: Route,
    language: str,
    texts: Sequence[str],
    expected: int,
    waiting: int,
    settings: DescribeSettings,
) -> TranslationCost:
    """What is left for a translator. One that runs here is not opened: it is counted as if nothing was there."""
    price = price_of(route, settings)
    if route.remote:
        translator = work.translator(route, language)
        known = _cost(translator.name, translator.missing(texts, "en", language), translator.batch_size, price)
    else:
        known = _cost(route.choice, list(dict.fromkeys(texts)), 1, price)
    characters = known.characters + expected
    return TranslationCost(
        known.translator, characters, known.requests + waiting, characters * price / 1e6, estimated=waiting > 0
    )


def _cost(name: str, pieces: Sequence[str], batch_size: int, price: float) -> TranslationCost:
    characters = sum(map(len, pieces))
    return TranslationCost(name, characters, -(-len(pieces) // batch_size), characters * price / 1e6)
