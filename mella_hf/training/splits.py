"""Open the training splits of a dataset: ours, or any that `datasets` loads by name."""

import re
from typing import Any

from mella_hf.errors import MellaError
from mella_hf.hub_errors import no_endless_wait

_NO_SPLIT = re.compile(r"^(Unknown split|Bad split)\b")  # how `datasets` says it, map-style and streaming


class MissingSplitError(MellaError):
    """A dataset without the split of a source."""


@no_endless_wait()
def load_source(dataset: str, data_dir: str | None, language: str, source: str, **options: Any) -> Any:
    """Load the split of one source, such as `know`, as `load_dataset` gives it.

    Raises:
        MissingSplitError: if the dataset has no such split; names those that it has.
    """
    from datasets import load_dataset

    try:
        return load_dataset(dataset, language, data_dir=data_dir, split=source, **options)
    except ValueError as error:
        if "corresponds to no data" in str(error):  # files without a row
            raise MellaError(
                f"The split {source!r} of {language!r} is empty; build it, or remove the source from `sources`."
            ) from None
        if not _NO_SPLIT.match(str(error)):
            raise
        raise MissingSplitError(
            f"{language!r} has no split {source!r} ({str(error).rstrip('.')}). Build it, or train on one source, as in "
            f"--sources {'know' if source == 'ling' else 'ling'}."
        ) from None
