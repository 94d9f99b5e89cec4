"""Switch off attention kernels that are slow on every new shape of a batch."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_plans() -> Iterator[None]:
    """Run without cuDNN's attention, which on recent GPUs builds a plan for every new shape.

    Images and texts of all sizes make a new shape in almost every batch. On an H100 with torch 2.11, plans made the
    first steps three to eight times as long. The other kernels of `scaled_dot_product_attention` need none.
    """
    import torch

    was = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(was)
