"""Register the name "mella" with `datasets`, so that `load_dataset("mella", "ar")` finds our builder.

Importing `datasets` takes more than a second, so this module does not import it. If `datasets.load` is not imported
yet, an import hook registers the builder as soon as it is.
"""

import functools
import hashlib
import importlib.machinery
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

NAME = "mella"
_MODULE = "mella_hf.dataset.builder"
_LOAD = "datasets.load"


def register() -> None:
    """Make "mella" known to `datasets`, now or as soon as it is imported. Calling it again does nothing."""
    if _LOAD in sys.modules:
        _extend(sys.modules[_LOAD])
    elif not any(isinstance(finder, _AfterImport) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterImport())


class _AfterImport:
    """Finds `datasets.load` as the other finders do, and extends it once it has run."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != _LOAD:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)) is not None:
                break
        else:
            return None
        loader: Any = spec.loader
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            _extend(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)

        loader.exec_module = exec_module  # on this one loader object, which keeps all its other abilities
        return spec


def _extend(load: Any) -> None:
    """Wrap the one function of `datasets` that turns a dataset's name into its builder.

    Raises:
        ImportError: when this version of `datasets` has no such function.
    """
    try:
        original, dataset_module = load.dataset_module_factory, load.DatasetModule
    except AttributeError as error:
        raise ImportError(
            f"datasets {sys.modules['datasets'].__version__} has no {error.name}, through which mella_hf makes "
            f"{NAME!r} known to load_dataset. Install a version that was tried: pip install 'datasets>=4.8.5,<6'."
        ) from error
    if original.__module__ == __name__:
        return

    @functools.wraps(original, assigned=("__name__", "__qualname__", "__doc__"))
    def dataset_module_factory(path: str, revision: Any = None, *args: Any, **kwargs: Any) -> Any:
        if path != NAME:
            return original(path, revision, *args, **kwargs)
        module = dataset_module(_MODULE, _source_hash(), {"dataset_name": NAME, "revision": revision})
        if "cache_dir" not in kwargs:  # load_dataset names one; what lists the configs does not
            module.builder_configs_parameters = load.BuilderConfigsParameters(
                builder_configs=_configs(kwargs.get("data_dir"), revision)
            )
        return module

    load.dataset_module_factory = dataset_module_factory
    inspect = sys.modules.get("datasets.inspect")  # it holds the function by name when it was imported before us
    if inspect is not None:
        inspect.dataset_module_factory = dataset_module_factory  # type: ignore[attr-defined]


def _configs(data_dir: str | None, revision: str | None) -> list[Any]:
    """The configs that a folder, or the repo on the Hub, has; all that there may be when the Hub cannot say."""
    from mella_hf.dataset import builder

    try:
        names = builder.config_names(data_dir, revision)
    except builder.MellaError:
        if data_dir is not None:
            raise
        return builder.Mella.BUILDER_CONFIGS
    return [builder.MellaConfig(name=name) for name in names]


@functools.cache
def _source_hash() -> str:
    """Part of the cache key: another builder may prepare other tables."""
    return hashlib.sha256(Path(__file__).with_name("builder.py").read_bytes()).hexdigest()[:16]
