"""Check at the start that this machine and this backbone can do what the settings ask for.

Libraries report it later or not at all: bitsandbytes fails when the weights load.
"""

from typing import TYPE_CHECKING

from mella_hf.answers.identity import from_cache_alone
from mella_hf.compat import attention_names, flash_attention_check
from mella_hf.errors import MellaError, MissingExtraError
from mella_hf.keys import check_hub_token
from mella_hf.training.arguments.data import DataArguments
from mella_hf.training.backbones import PARTS

if TYPE_CHECKING:
    from trl import ModelConfig, SFTConfig

# TRL lists the choices of these in its help but does not check them in a recipe.
_CHOICES = {"dtype": ("auto", "bfloat16", "float16", "float32"), "bnb_4bit_quant_type": ("nf4", "fp4")}


def check_machine(data: DataArguments, model: "ModelConfig", training: "SFTConfig") -> None:
    """Refuse what this machine cannot run: quantization, attention or reporting whose package or GPU is missing.

    Raises:
        MellaError: names the setting, its value and what to set instead.
        MissingExtraError: when bitsandbytes is not installed or too old, or tensorboard for report_to.
    """
    for name, choices in _CHOICES.items():
        value = getattr(model, name)
        if value is not None and value not in choices:
            raise MellaError(f"{name} is {value!r}; choose among {', '.join(choices)}.")
    _check_scope(data, model)
    _check_quantization(model)
    _check_attention(model, training)
    _check_reporters(training)
    _check_schedule(training)
    _check_helpers(training)


def check_backbone(model: "ModelConfig") -> None:
    """Refuse what the backbone cannot do. Reads its config.json from the folder or the Hub.

    Raises:
        MellaError: if it cannot be read, transformers has no image-text-to-text model of its type, or it is an
            encoder-decoder.
    """
    from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, AutoConfig

    name = str(model.model_name_or_path)
    check_hub_token(name)
    try:
        config = AutoConfig.from_pretrained(
            name, revision=model.model_revision, local_files_only=from_cache_alone(name)
        )
    except MellaError:
        raise
    except Exception as error:  # a damaged config.json raises errors of any kind
        hint = "give a folder with config.json, or a name on the Hub (a gated one needs `hf auth login`)"
        if "trust_remote_code" in str(error) or "internvl_chat" in str(error):
            hint = "convert it first: mella convert-internvl2 SRC OUT"
        said = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise MellaError(f"The backbone {name!r} cannot be read ({said}); {hint}.") from error
    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise MellaError(
            f"The model type {config.model_type!r} is not an image-text-to-text model of transformers; choose another "
            "backbone."
        )
    if config.is_encoder_decoder or config.get_text_config(decoder=True).is_encoder_decoder:
        raise MellaError(
            f"The backbone {name!r} ({config.model_type}) is an encoder-decoder, whose answers are not part of the "
            "text that it reads; training needs a model that goes on with its prompt. Choose another backbone."
        )


def _check_scope(data: DataArguments, model: "ModelConfig") -> None:
    unknown = [part for part in data.lora_scope if part not in PARTS]
    if model.use_peft and (unknown or not data.lora_scope):
        raise MellaError(f"lora_scope is {data.lora_scope}; choose among {', '.join(PARTS)}.")
    low, high = data.min_pixels, data.max_pixels
    if low is not None and high is not None and low > high:
        raise MellaError(f"min_pixels is {low}, which is more than max_pixels, {high}; swap them.")


def _check_quantization(model: "ModelConfig") -> None:
    if not (model.load_in_4bit or model.load_in_8bit):
        return
    name = "load_in_4bit" if model.load_in_4bit else "load_in_8bit"
    if not model.use_peft:
        raise MellaError(f"{name} needs use_peft: true, because quantized weights cannot be trained; set it.")
    from transformers.utils import is_bitsandbytes_available

    if not is_bitsandbytes_available():
        raise MissingExtraError("bitsandbytes", "qlora", name)


def _check_attention(model: "ModelConfig", training: "SFTConfig") -> None:
    import torch

    attention = model.attn_implementation
    if attention is None or attention == "eager":
        return
    kernel = "/" in attention  # of the Hub, such as kernels-community/flash-attn2
    if not kernel and attention not in attention_names():
        known = sorted(key for key in attention_names() if "|" not in key)
        raise MellaError(f"attn_implementation is {attention!r}; choose among eager, {', '.join(known)}.")
    if not kernel and not attention.startswith("flash_attention"):
        return
    if training.use_cpu or not torch.cuda.is_available():
        why = "use_cpu is true" if training.use_cpu else "torch sees none"
        raise MellaError(
            f"attn_implementation is {attention!r}, which needs a GPU with CUDA, but {why}. Set it to sdpa, or run on "
            "a GPU."
        )
    if not flash_attention_check(attention)():
        raise MellaError(
            f"attn_implementation is {attention!r}, but its package is not installed. Install "
            f"{'kernels' if kernel else 'flash-attn'} for your CUDA and torch, or set it to sdpa."
        )
    if model.dtype not in ("bfloat16", "float16"):
        raise MellaError(f"attn_implementation is {attention!r}, which cannot compute in {model.dtype or 'float32'}; "
                         "set dtype: bfloat16.")  # fmt: skip


def _check_reporters(training: "SFTConfig") -> None:
    """Check report_to now; the Trainer checks it only after counting tokens and loading weights."""
    from transformers.integrations import get_reporting_integration_callbacks

    for name in training.report_to or []:
        try:
            for callback in get_reporting_integration_callbacks([name]):
                callback()
        except RuntimeError as error:  # its package is missing
            if name == "tensorboard":
                raise MissingExtraError("tensorboard", "logging", "report_to: tensorboard") from error
            raise MellaError(f"report_to is {name!r}: {error} Or set report_to: none.") from error
        except ValueError as error:
            raise MellaError(f"report_to: {error}") from error


def _check_schedule(training: "SFTConfig") -> None:
    """Make the schedule of the learning rate with its own settings; the Trainer makes it when training begins."""
    if not training.lr_scheduler_kwargs:
        return
    import torch
    from transformers import get_scheduler

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=training.learning_rate)
    given = training.lr_scheduler_kwargs
    if isinstance(given, str):
        raise MellaError(f'lr_scheduler_kwargs is {given!r}; give a mapping, such as {{"num_cycles": 2}}.')
    try:
        get_scheduler(training.lr_scheduler_type, optimizer, 1, 10, scheduler_specific_kwargs=given)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        kind = getattr(training.lr_scheduler_type, "value", training.lr_scheduler_type)
        raise MellaError(f"lr_scheduler_kwargs is {given}, which lr_scheduler_type {kind} refuses: {error}.") from error


def _check_helpers(training: "SFTConfig") -> None:
    """Refuse what needs a package or a GPU that is missing, and mappings that are texts."""
    import torch
    from transformers.utils import is_liger_kernel_available

    if training.use_liger_kernel and not is_liger_kernel_available():
        raise MellaError("use_liger_kernel is true, but its package is missing: install liger-kernel, or remove it.")
    if training.activation_offloading and (training.use_cpu or not torch.cuda.is_available()):
        raise MellaError("activation_offloading is true, which needs a GPU; remove it, or run on a GPU.")
    if training.dataloader_persistent_workers and not training.dataloader_num_workers:
        raise MellaError(
            "dataloader_persistent_workers is true, but dataloader_num_workers is 0; set it to 1 or more, or remove it."
        )
    for name in ("gradient_checkpointing_kwargs", "activation_checkpointing_kwargs"):
        value = getattr(training, name, None)
        if isinstance(value, str):
            raise MellaError(f'{name} is {value!r}; give a mapping, such as {{"use_reentrant": false}}.')
