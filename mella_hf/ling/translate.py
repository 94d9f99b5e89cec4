"""Translate texts; each piece is sent to the service only once.

Long texts are split between sentences and joined again exactly. Each answer is in the cache before the next request is
sent, so a run that was killed, or that used up a quota, continues where it stopped.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event

from mella_hf.answers.request_cache import Asked, RequestCache
from mella_hf.errors import MellaError
from mella_hf.languages import get_language
from mella_hf.ling.translators.sentences import reassemble, split_text
from mella_hf.ling.translators.services import SERVICES, ServiceTranslator, read_key
from mella_hf.ling.translators.translator import Translator
from mella_hf.plugins import find_plugins, load_plugin

TRANSLATORS = "mella_hf.translators"  # group of entry points
AT_ONCE = 4  # concurrent requests; the token bucket limits the rate


class CachedTranslator:
    """A `Translator` around another one: splits long texts, asks for each piece once, and stores every answer.

    Args:
        translator: translates what is not in the cache.
        at_once: concurrent requests; 1 for a model on this machine.
        on_request: receives the texts of each answered request, for a progress bar; called from any thread.
    """

    def __init__(
        self,
        translator: Translator,
        cache: RequestCache,
        *,
        at_once: int = AT_ONCE,
        on_request: Callable[[Sequence[str]], None] | None = None,
    ):
        self._translator, self._cache, self._at_once, self._on_request = translator, cache, at_once, on_request
        self.name, self.version = translator.name, translator.version
        self.max_chars, self.batch_size = 1 << 30, translator.batch_size

    def translate(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """One translation per text; "" if a piece of it has none, because half a text is not a translation.

        Raises:
            MellaError: for the inner translator's reasons; answers so far are kept.
        """
        pieces = [split_text(text, self._translator.max_chars) for text in texts]
        cores = dict.fromkeys(core for group in pieces for piece in group if (core := piece.strip()))
        answers = self._answers(list(cores), source, target)
        translations = []
        for group in pieces:
            found = [answers[piece.strip()] if piece.strip() else "" for piece in group]
            lost = any(piece.strip() and not answer.strip() for piece, answer in zip(group, found, strict=True))
            translations.append("" if lost else reassemble(group, found))
        return translations

    def missing(self, texts: Sequence[str], source: str, target: str) -> list[str]:
        """The pieces that are not in the cache."""
        cores = dict.fromkeys(p.strip() for t in texts for p in split_text(t, self._translator.max_chars) if p.strip())
        return [core for core in cores if self._cache.get(self._asked(source, target), core) is None]

    def _asked(self, source: str, target: str) -> Asked:
        return Asked(self.name, self.version, source, target)

    def _answers(self, cores: list[str], source: str, target: str) -> dict[str, str]:
        asked = self._asked(source, target)
        known = {core: answer for core in cores if (answer := self._cache.get(asked, core)) is not None}

        failed = Event()  # cancelling alone is too late for the request that follows immediately

        def ask(group: Sequence[str]) -> dict[str, str]:
            if failed.is_set():
                return {}
            try:
                found = dict(zip(group, self._translator.translate(group, source, target), strict=True))
            except BaseException:
                failed.set()
                raise
            self._cache.put(asked, found)
            if self._on_request is not None:
                self._on_request(group)
            return found

        unknown, size = [core for core in cores if core not in known], self._translator.batch_size
        groups = [unknown[start : start + size] for start in range(0, len(unknown), size)]
        with ThreadPoolExecutor(self._at_once) as pool:
            futures = [pool.submit(ask, group) for group in groups]
            wait(futures, return_when=FIRST_EXCEPTION)
            pool.shutdown(wait=True, cancel_futures=True)  # requests in flight still reach the cache
        for future in futures:
            if not future.cancelled():
                known.update(future.result())
        return known


@dataclass(frozen=True)
class TranslationCost:
    """Estimated cost: characters and requests that are not in the cache, and US dollars."""

    characters: int
    requests: int
    price: float


def estimate(
    translator: CachedTranslator, texts: Sequence[str], target: str, price: float, source: str = "en"
) -> TranslationCost:
    """Estimate the cost of what is not in the cache.

    Args:
        price: US dollars per million characters.
    """
    missing = translator.missing(texts, source, target)
    characters = sum(map(len, missing))
    return TranslationCost(characters, -(-len(missing) // translator.batch_size), characters * price / 1e6)


def choose_service(language: str) -> str:
    """The first service in the language's entry that can be used: its key is set, or it needs none.

    Raises:
        MellaError: if there is none; the message says how to make one usable.
    """
    routes = [name for name, _ in get_language(language).translation if name in SERVICES]
    for name in routes:
        service = SERVICES[name]
        if not service.own_address:
            continue
        try:
            read_key(service)
        except MellaError:
            continue
        return name
    keys = ", ".join(str(SERVICES[name].key_variable) for name in routes if SERVICES[name].key_needed)
    raise MellaError(
        f"No translation service for {language!r} can be used: {', '.join(routes) or 'none'} cover it"
        f"{f'; set one of {keys}' if keys else ''}. Or pass --translator with an NLLB or MADLAD checkpoint, "
        "or libre with --translator-url."
    )


def open_translator(choice: str, language: str, url: str | None = None, label: str | None = None) -> Translator:
    """Open a translator by name.

    Args:
        choice: "auto", one of `SERVICES`, the name of an entry point of the group `mella_hf.translators` (a class or
            function that gives a `Translator`), or a Hub id or folder of an NLLB or MADLAD checkpoint.
        language: what is translated into; "auto" takes its first usable service.
        url: address of the service, where it is not the public one; an entry point is called with `url=` then.
        label: what provenance columns say instead of the service's name and host.

    Raises:
        MellaError: when the translator cannot be opened.
    """
    name = choose_service(language) if choice == "auto" else choice
    if name in SERVICES:
        return ServiceTranslator(name, url, label=label)
    if name in (registered := find_plugins(TRANSLATORS)):
        made: Translator = load_plugin(registered[name])(**({"url": url} if url else {}))
        made.name = label or made.name
        return made
    from mella_hf.ling.translators.seq2seq import Seq2SeqTranslator

    return Seq2SeqTranslator(name)
