"""`mella distill`: make SDRRL training data from the base model's own English answers."""

from pathlib import Path
from typing import Annotated

import typer

from mella_hf.commands.console import finish, say
from mella_hf.commands.options import BatchSize, DataDir, Language, Revision, Translator, TranslatorUrl, need_folder
from mella_hf.errors import MellaError
from mella_hf.languages import get_language


def distill(
    base: Annotated[str, typer.Option(help="Hub id or folder of the base model.")],
    language: Language,
    out: Annotated[Path, typer.Option(help="Where the transfer set goes; a rerun goes on there.")],
    revision: Revision = None,
    data_dir: DataDir = None,
    translator: Translator = "auto",
    translator_url: TranslatorUrl = None,
    max_samples: Annotated[int | None, typer.Option(min=1, help="Images of each source; all by default.")] = None,
    batch_size: BatchSize = 16,
    seed: Annotated[int, typer.Option(help="Of the draw of questions and variants.")] = 0,
) -> None:
    """Build the transfer set of SDRRL, the paper's baseline (arXiv 2402.12204).

    The base describes and names every training image of know and ling, or of the one that is there, in English; the
    answers are translated, and question and answer appear in both languages in every combination. Train on it with the
    recipe sdrrl.
    If it is stopped, run the same command again: it continues, and sends no request twice.
    """
    need_folder("--data-dir", data_dir)
    get_language(language)
    from mella_hf.answers.request_cache import RequestCache
    from mella_hf.ling.translate import CachedTranslator, open_translator
    from mella_hf.locks import sole_writer
    from mella_hf.sample import SOURCES
    from mella_hf.training.distill import build_transfer_set, read_record
    from mella_hf.training.splits import MissingSplitError, load_source

    folder = str(data_dir) if data_dir else None
    rows = {}
    for source in SOURCES:
        try:
            rows[source] = load_source("mella", folder, language, source)
        except MissingSplitError:
            say(f"{source}: the dataset has none", err=True)
    if not rows:
        raise MellaError(f"The dataset has no training images in {language!r}; build the split know or ling.")
    if max_samples is not None:  # the first ones, as training takes them
        rows = {source: part.select(range(min(max_samples, len(part)))) for source, part in rows.items()}
    with sole_writer(out, "mella distill"), RequestCache(out / "translations.sqlite") as cache:
        cached = CachedTranslator(open_translator(translator, language, translator_url), cache)
        build_transfer_set(
            base=base,
            revision=revision,
            rows=rows,
            language=language,
            translator=cached,
            out=out,
            batch_size=batch_size,
            seed=seed,
        )
    counts = read_record(out)["counts"]
    for name, count in counts.items():
        say(f"{name.replace('_', ' ')}: {count:,}")
    say(f"transfer set: {out}")
    finish({"transfer_set": out, "counts": counts}, out)
