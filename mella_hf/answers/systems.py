"""The systems that can be evaluated: a base, an adapter, a merged model or a served model."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mella_hf.answers.answers import Answerer
from mella_hf.answers.endpoint import Endpoint, endpoint_identity
from mella_hf.answers.generate import LocalModel
from mella_hf.answers.identity import (
    ADAPTER_CONFIG,
    PROVENANCE,
    check_adapter,
    content_hash,
    model_identity,
    model_name,
    read_adapter_config,
    recorded_revision,
)
from mella_hf.answers.models import load_model
from mella_hf.answers.records import ModelIdentity, SystemRecord, TrainingFile
from mella_hf.errors import MellaError


@dataclass(frozen=True)
class System:
    """A model under evaluation.

    Attributes:
        name: its name in the run: "base", "adapter", or the name of the folder.
        base: Hub id or folder; at an endpoint its name on the server.
        adapter: folder of an adapter, or of a merged model made from it; at an endpoint its name on the server.
        urls: addresses of the endpoint; empty for a model in this process.
        revision: branch, tag or commit of a base on the Hub; main by default.
    """

    name: str
    base: str
    adapter: str | None = None
    urls: tuple[str, ...] = ()
    revision: str | None = None

    @property
    def merged(self) -> bool:
        """Whether `adapter` is the folder of a merged model."""
        if self.adapter is None or self.urls:
            return False
        folder = Path(self.adapter)
        return (folder / "config.json").is_file() and not (folder / ADAPTER_CONFIG).is_file()

    def check(self) -> None:
        """Raise MellaError early if the adapter is invalid or belongs to another base."""
        if self.adapter is not None and not self.urls and not self.merged:
            check_adapter(self.base, self.adapter, self.revision)

    def identity(self) -> ModelIdentity:
        """The identity of its predictions."""
        if self.urls:
            return endpoint_identity(self.base, self.adapter)
        if self.merged:
            merged = str(self.adapter)
            of_base = model_identity(self.base, revision=self.revision)
            return {**of_base, "adapter": merged, "adapter_hash": content_hash(merged)}
        return model_identity(self.base, self.adapter, self.revision)

    def answerer(self, device: str | None) -> Answerer:
        """The loaded model, or the connection to the served one."""
        if self.urls:
            return Endpoint(self.adapter or self.base, self.urls)
        if self.merged:
            return LocalModel(*load_model(str(self.adapter), device=device))
        return LocalModel(*load_model(self.base, self.adapter, revision=self.revision, device=device))

    def record(self) -> SystemRecord:
        """Its record for a report; folders by name only, because paths mean nothing on other machines."""
        record: SystemRecord = {"base": model_name(self.base), "base_is_local": Path(self.base).is_dir()}
        if self.adapter is None:
            return record
        if self.urls:
            return {**record, "adapter": self.adapter, "adapter_kind": "served", "trained_on": None}
        kind = "merged model"
        if not self.merged:
            config = read_adapter_config(self.adapter)
            kind = {"LORA": "LoRA"}.get(config["peft_type"], config["peft_type"])
            kind = f"{kind}, rank {config['r']}" if "r" in config else kind
        trained_on = self.trained_on
        return {**record, "adapter": Path(self.adapter).resolve().name, "adapter_kind": kind, "trained_on": trained_on}

    def training(self) -> TrainingFile | None:
        """The training record beside its adapter; None if there is none."""
        path = Path(self.adapter).resolve().parent / "training.json" if self.adapter and not self.urls else None
        return json.loads(path.read_text("utf-8")) if path is not None and path.is_file() else None

    @property
    def trained_on(self) -> list[str] | None:
        """The configs that the adapter was trained on, as it says itself or its training does; None if unknown."""
        prepared = Path(self.adapter) / PROVENANCE if self.adapter and not self.urls else None
        if prepared is not None and prepared.is_file():  # as it comes from the Hub
            languages = json.loads(prepared.read_text("utf-8")).get("recipe", {}).get("languages")
        else:
            languages = (self.training() or {}).get("settings", {}).get("languages")
        return [languages] if isinstance(languages, str) else languages

    def saw(self, language: str) -> bool:
        """Whether training may have used this config; if not, the test is cross-lingual transfer."""
        trained_on = self.trained_on
        return trained_on is None or language in trained_on or "all" in trained_on


def named(text: str | Path) -> tuple[str | None, str]:
    """Split NAME=FOLDER into (name, folder); a folder whose own name contains "=" has no name."""
    name, sign, folder = str(text).partition("=")
    return (name, folder) if sign and not Path(text).exists() else (None, str(text))


def line_up(
    base: str,
    adapter: str | Path | None = None,
    against: Sequence[str | Path] = (),
    urls: Sequence[str] = (),
    revision: str | None = None,
) -> list[System]:
    """The systems of a run: the base, the adapter, and the others to compare with.

    Another system has the name in NAME=FOLDER, or that of its folder; if the folder is called "adapter", that of the
    parent folder. Without a `revision`, a base on the Hub has the one that the adapters were trained on, or main.

    Raises:
        MellaError: if an adapter does not fit, or two systems have the same name.
    """
    served = tuple(urls)
    if revision is not None and (served or Path(base).is_dir()):
        where = "at an endpoint" if served else "in a folder"
        raise MellaError(f"--revision is {revision!r}, but the base {base!r} is {where}; remove --revision.")
    revision = revision or recorded_revision(base, [adapter, *(named(other)[1] for other in against)])
    systems = [System("base", base, None, served, revision)]
    if adapter is not None:
        systems.append(System("adapter", base, str(adapter), served, revision))
    for other in against:
        given, folder = named(other)
        place = Path(folder).resolve()
        name = given or (folder if served else place.parent.name if place.name == "adapter" else place.name)
        name = name.replace("/", "-")
        same = next((system for system in systems if system.name == name), None)
        if same:
            raise MellaError(
                f"Two systems have the name {name!r}: {same.adapter or same.base} and {folder}. "
                f"Give one another name, as in --against NAME={folder}."
            )
        systems.append(System(name, base, folder, served, revision))
    for system in systems:
        system.check()
    return systems
