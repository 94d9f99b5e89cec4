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


class UnknownLanguageError(MellaError):
    """The language code has no entry in `mella_hf.languages`."""


class SampleError(MellaError):
    """A record does not fit the schema of `mella_hf.sample`."""


class StageError(MellaError):
    """A stage cannot run or could not finish every shard."""


class TrainingError(MellaError):
    """A training run failed. The message names the step and the checkpoint from which it resumes."""
