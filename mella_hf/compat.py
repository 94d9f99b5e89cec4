"""Every name of another library that its authors may move without notice, and the versions it was found in.

The rest of the library takes such names from here. `dataset/builder.py` uses some itself, because it is also a loading
script that works without the library, and `training/trainer.py` overrides methods, which would have no effect under
another name. `PRIVATE` lists those too, and a test looks each one up in the installed versions and fails with its name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

from packaging.version import Version


@dataclass(frozen=True)
class PrivateName:
    """A name that is not part of a library's public interface, or a method that we override.

    Attributes:
        package: as in setup.cfg.
        since, tried: the first version that has it, and the newest with which the tests of what uses it passed.
        where: "module:name" or "module:class.name".
        used: for what; and where, if not in this file.
        needed: whether nothing works without it; otherwise older versions lack it, and a slower way is taken.
    """

    package: str
    since: str
    tried: str
    where: str
    used: str
    needed: bool = True


PRIVATE = (
    PrivateName(
        "transformers",
        "5.6",
        "5.24",
        "transformers.trainer:Trainer._save_checkpoint",
        "training/trainer.py: an error of saving names its checkpoint, and a stream's place is saved",
    ),
    PrivateName(
        "transformers",
        "5.6",
        "5.24",
        "transformers.trainer:Trainer._load_from_checkpoint",
        "training/trainer.py: Qwen2-VL's weights are saved under other names than they are looked for",
    ),
    PrivateName(
        "transformers",
        "5.6",
        "5.24",
        "transformers.trainer:Trainer.get_train_dataloader",
        "training/trainer.py overrides it: batches of like length and one source",
    ),
    PrivateName(
        "transformers",
        "5.6",
        "5.24",
        "transformers.trainer:Trainer.get_batch_samples",
        "training/trainer.py overrides it: where a stream goes on after a checkpoint",
    ),
    PrivateName(
        "transformers",
        "5.6",
        "5.24",
        "transformers.trainer:Trainer.training_step",
        "training/trainer.py overrides it: a loss that is not finite ends the run",
    ),
    PrivateName(
        "transformers",
        "5.6",
        "5.24",
        "transformers.trainer:Trainer.log",
        "training/trainer.py overrides it: the penalty of EWC",
    ),
    PrivateName(
        "transformers",
        "5.6",
        "5.24",
        "transformers.generation.utils:GenerationMixin._prepare_position_ids_for_generation",
        "positions of image tokens, for our own decoding",
        needed=False,
    ),
    PrivateName(
        "transformers",
        "5.6",
        "5.24",
        "transformers.models.qwen2_vl.processing_qwen2_vl:Qwen2VLProcessor._get_num_multimodal_tokens",
        "the number of image tokens, without decoding images",
    ),
    PrivateName(
        "transformers",
        "5.6",
        "5.24",
        "transformers.models.internvl.processing_internvl:InternVLProcessor._get_num_multimodal_tokens",
        "the number of image tokens, without decoding images",
    ),
    PrivateName(
        "transformers",
        "5.6",
        "5.24",
        "transformers.tokenization_utils_base:generate_merges",
        "merges of InternLM2's sentencepiece model",
    ),
    PrivateName(
        "transformers",
        "5.6",
        "5.24",
        "transformers.convert_slow_tokenizer:import_protobuf",
        "reading InternLM2's sentencepiece model",
    ),
    PrivateName(
        "transformers",
        "5.6",
        "5.24",
        "transformers.modeling_utils:ALL_ATTENTION_FUNCTIONS",
        "the names that attn_implementation may have",
    ),
    PrivateName(
        "trl",
        "1.0",
        "1.16",
        "trl:SFTTrainer.compute_loss",
        "training/trainer.py overrides it: shares of the loss by source",
    ),
    PrivateName(
        "trl",
        "1.0",
        "1.16",
        "trl:SFTTrainer.create_model_card",
        "training/trainer.py overrides it: TRL's card is for text models",
    ),
    PrivateName(
        "trl",
        "1.16",
        "1.16",
        "trl.trainer.utils:FusedCausalLMOutput",
        "scoring only labelled positions on a CPU",
        needed=False,
    ),
    PrivateName(
        "fsspec",
        "2026.2",
        "2026.9",
        "fsspec.spec:AbstractFileSystem._strip_protocol",
        "the path of an address such as s3://bucket/folder",
    ),
    PrivateName(
        "huggingface_hub",
        "1.5",
        "2.4",
        "huggingface_hub.utils._http:_GLOBAL_CLIENT_FACTORY",
        "a Hub that says nothing is given up",
    ),
    PrivateName(
        "sacrebleu",
        "2.5",
        "2.6",
        "sacrebleu.metrics:CHRF._remove_punctuation",
        "chrF++ on the words of a language's own tokenizer",
    ),
    PrivateName(
        "datasets",
        "4.7",
        "5.2",
        "datasets.load:dataset_module_factory",
        "dataset/register.py: the name 'mella' in load_dataset",
    ),
    PrivateName("datasets", "4.7", "5.2", "datasets.load:DatasetModule", "dataset/register.py: what it returns"),
    PrivateName(
        "datasets",
        "4.7",
        "5.2",
        "datasets.load:BuilderConfigsParameters",
        "dataset/register.py: the languages that get_dataset_config_names lists",
    ),
    PrivateName(
        "datasets",
        "4.7",
        "5.2",
        "datasets.arrow_dataset:Dataset._fingerprint",
        "tells two datasets apart without reading them",
    ),
    PrivateName(
        "datasets",
        "4.7",
        "5.2",
        "datasets.builder:DatasetBuilder._build_cache_dir",
        "dataset/builder.py: each split is prepared in a cache folder of its own",
    ),
    PrivateName(
        "datasets",
        "4.7",
        "5.2",
        "datasets.table:table_cast",
        "dataset/builder.py: tables of all shards have the same types",
    ),
)


def attention_names() -> list[str]:
    """The values of `attn_implementation` that this version of transformers knows."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    return list(ALL_ATTENTION_FUNCTIONS.valid_keys())


def dataset_fingerprint(dataset: Any) -> str:
    """The fingerprint by which `datasets` tells a dataset's content from others, without reading it."""
    return dataset._fingerprint


def has_position_ids(model: Any) -> bool:
    """Whether `position_ids` works with this version of transformers."""
    return hasattr(model, "_prepare_position_ids_for_generation")


def position_ids(model: Any, inputs: Mapping[str, Any]) -> Any:
    """The positions of a prompt's tokens, [B, T] or [axes, B, T]; `generate` computes them in the same way."""
    return model._prepare_position_ids_for_generation(inputs["input_ids"], dict(inputs))


def counts_image_tokens(processor: Any) -> bool:
    """Whether `image_token_counts` works with this processor; few have no such rule."""
    return hasattr(processor, "_get_num_multimodal_tokens")


def image_token_counts(processor: Any, sizes: Sequence[tuple[int, int]]) -> list[int]:
    """The number of image tokens of images of (height, width) in pixels, by the processor's own rule."""
    return [int(count) for count in processor._get_num_multimodal_tokens(image_sizes=sizes).num_image_tokens]


def fused_output() -> Any:
    """The output that TRL expects of a model that scores labels itself; None before TRL 1.16.

    Before 1.15 there is none, and in 1.15 it has another meaning.
    """
    if Version(version("trl")) < Version("1.16"):
        return None
    from trl.trainer.utils import FusedCausalLMOutput

    return FusedCausalLMOutput


def bpe_merges(vocabulary: Mapping[str, int], scores: dict[str, float], skip: set[str]) -> list[Any]:
    """The merges of a BPE model of sentencepiece, in order."""
    from transformers.tokenization_utils_base import generate_merges

    return generate_merges(vocabulary, scores, skip_tokens=skip)


def sentencepiece_model() -> Any:
    """An empty protocol buffer for a sentencepiece model. Raises ImportError without the package protobuf."""
    from transformers.convert_slow_tokenizer import import_protobuf

    return import_protobuf().ModelProto()


def flash_attention_check(name: str) -> Callable[[], bool]:
    """The check of transformers that an attention's package, or else `kernels`, is installed."""
    from transformers.utils import import_utils

    number = name.removeprefix("flash_attention_")
    check: Any = getattr(import_utils, f"is_flash_attn_{number}_available", None)
    return check or import_utils.is_kernels_available


def worker_context(arguments: Any) -> Any:
    """How the workers of a DataLoader start; older versions of transformers have no such setting."""
    return getattr(arguments, "dataloader_multiprocessing_context", None)


def saves_whole_adapters() -> bool:
    """Whether accelerate's checkpoints under FSDP2 hold all of an adapter.

    Before 1.15 they hold the part of the first process, and a run that goes on from one has the rest anew.
    """
    return Version(version("accelerate")) >= Version("1.15")


@cache
def restore_to_indexed_cpu() -> None:
    """Let `torch.load` restore to "cpu:0", as older versions of transformers ask on several processes of a CPU."""
    import torch

    def restore(storage: Any, location: str) -> Any:
        return storage if location.startswith("cpu:") and storage.device.type == "cpu" else None

    torch.serialization.register_package(101, lambda storage: None, restore)  # after torch's own


def chrf_on_tokens(tokens: Mapping[str, list[str]]) -> Any:
    """sacrebleu's chrF++ with words that are known already.

    Args:
        tokens: text -> its words.
    """
    from sacrebleu.metrics import CHRF

    class OnTokens(CHRF):
        def _remove_punctuation(self, sent: str) -> list[str]:
            return tokens[sent]

    return OnTokens(word_order=2)


@contextmanager
def hub_timeout(silence: float, connecting: float) -> Iterator[None]:
    """Give up a request of `huggingface_hub` after so many seconds without a byte; without this it waits for ever.

    A timeout that a call or the user's own `set_client_factory` sets stays. After a broken connection a new client is
    made, so the factory adds the hook too; there is no public way to ask for the factory in use.
    """
    from huggingface_hub import get_session
    from huggingface_hub.utils import _http

    limits = {"connect": connecting, "read": silence, "write": silence, "pool": silence}
    factory = _http._GLOBAL_CLIENT_FACTORY

    def hurry(request: Any) -> None:
        asked = request.extensions.get("timeout") or {}  # many calls ask for None themselves, so no client's default
        request.extensions["timeout"] = {
            name: limit if asked.get(name) is None else asked[name] for name, limit in limits.items()
        }

    def hurried() -> Any:
        client = factory()
        client.event_hooks = {**client.event_hooks, "request": [*client.event_hooks["request"], hurry]}
        return client

    client = get_session()
    hooks = client.event_hooks
    client.event_hooks = {**hooks, "request": [*hooks["request"], hurry]}
    _http._GLOBAL_CLIENT_FACTORY = hurried
    try:
        yield
    finally:
        _http._GLOBAL_CLIENT_FACTORY = factory
        get_session().event_hooks = hooks


def path_of(system: Any, address: str) -> str:
    """The path that an address names within a file system of fsspec."""
    return system._strip_protocol(address)
