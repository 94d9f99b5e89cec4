"""Progress bars: one kind for the whole library, which TQDM_DISABLE=1 turns off everywhere."""

from collections.abc import Iterable
from typing import Any


def progress_bar(iterable: Iterable[Any] | None = None, *, shown: bool = True, **settings: Any) -> Any:
    """A `tqdm` bar: of the notebook in a notebook, of the terminal elsewhere.

    Args:
        iterable: what the bar counts; without one, call `update`.
        shown: False for no bar. True leaves the choice to the environment variable TQDM_DISABLE.
        settings: of `tqdm`: total, desc, unit and so on.
    """
    from tqdm.auto import tqdm

    # tqdm reads TQDM_DISABLE only where nobody passes `disable`.
    return tqdm(iterable, **settings) if shown else tqdm(iterable, **settings, disable=True)
