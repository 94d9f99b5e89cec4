"""The settings of a run of `mella describe`."""

from dataclasses import dataclass
from pathlib import Path

from mella_hf.dataset.building.build import TEST_SIZE
from mella_hf.ling.comet import KIWI
from mella_hf.ling.comet_worker import BATCH_TOKENS
from mella_hf.ling.quality import THRESHOLD
from mella_hf.ling.translate import choose_service
from mella_hf.ling.translators.routes import Route, find_routes


@dataclass(frozen=True)
class DescribeSettings:
    """Settings of `mella describe`.

    Attributes:
        captioner: Hub id or folder of an image-text-to-text model, or the name of an entry point of the group
            `mella_hf.captioners`; with `base_urls`, the name that the model is served under.
        base_urls: OpenAI-compatible servers; none runs the model in this process.
        translator: "auto", a service, `chat:MODEL`, an entry point of the group `mella_hf.translators`, or an NLLB or
            MADLAD checkpoint. Several of them hold a tournament: the translation with the best score is kept.
        translator_url: addresses of translators, as `mella_hf.ling.translators.routes.find_routes` reads them.
        captioner_label, translator_label: names for the provenance columns.
        at_once: concurrent requests per server or service; None for their defaults.
        qe_model: a COMET quality-estimation checkpoint; None uses only the checks without a model.
        qe_python: a Python with COMET.
        qe_batch_tokens: tokens per scoring batch.
        threshold: lowest score that is kept, in [0, 1].
        force_qe: also score languages that the encoder was not trained on.
        price: US dollars per million characters, instead of the service's list price.
        caption_price: US dollars per thousand captions; 0 for a model of your own.
        batch_size: images per batch for a captioner in this process.
        license: licence of images for which `metadata.jsonl` gives none.
        test_size: images in the test split, at most a fifth.
        with_context: describe images with what their page says of them: `alt_text`, `page_title` and `heading` of
            `metadata.jsonl`.
    """

    captioner: str
    base_urls: tuple[str, ...] = ()
    translator: str | tuple[str, ...] = "auto"
    translator_url: str | tuple[str, ...] | None = None
    captioner_label: str | None = None
    translator_label: str | None = None
    at_once: int | None = None
    qe_model: str | None = KIWI
    qe_python: Path | None = None
    qe_batch_tokens: int = BATCH_TOKENS
    threshold: float = THRESHOLD
    force_qe: bool = False
    price: float | None = None
    caption_price: float = 0.0
    batch_size: int = 16
    license: str | None = None
    test_size: int = TEST_SIZE
    with_context: bool = False

    @property
    def translators(self) -> tuple[str, ...]:
        """The translators, one or several."""
        return (self.translator,) if isinstance(self.translator, str) else tuple(self.translator)

    def routes(self, language: str) -> list[Route]:
        """The translators into a language, "auto" resolved, each with its addresses. Raises MellaError."""
        urls = self.translator_url or ()
        names = [choose_service(language) if name == "auto" else name for name in self.translators]
        return find_routes(names, [urls] if isinstance(urls, str) else list(urls))


def short_name(model: str) -> str:
    """A model's name for provenance: the folder's name if it is a folder, else its Hub id."""
    return Path(model).name if Path(model).is_dir() else model
