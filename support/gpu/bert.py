"""A text encoder of BERT-base's size as the double's kernel, on torch; random weights.

Twelve layers after the original (normalised behind each addition), half precision, token ids and
their mask in, the first token's vector out: what embedding servers run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from support.gpu.graphs import Forward, TorchModel
from support.gpu.hardware import Array, load
from support.gpu.kernels import Kernel

IDS, MASK, ANSWER = "input_ids", "attention_mask", "embedding"
DTYPE = "int64"
"""Of ids and mask, as exporters give them."""
SEED = 12
MASKED = -30_000.0
"""Added to the scores of padding; half precision ends at 65 504, and scores are added to it."""


@dataclass(frozen=True)
class Size:
    """Of a model; BERT-base where nothing is said.

    Attributes:
        layers: one after the other.
        hidden: numbers per token.
        heads: of the attention.
        inner: numbers per token inside the feed-forward parts.
        words: different tokens.
        longest: tokens of a text at most.
    """

    layers: int = 12
    hidden: int = 768
    heads: int = 12
    inner: int = 3072
    words: int = 30_522
    longest: int = 512


BASE = Size()


class Encoder:
    """The network. torch's functions only, so that it runs wherever torch does."""

    def __init__(self, size: Size, device: str, dtype: str = "float16"):
        """The same weights on every device: they are drawn on the CPU.

        Args:
            size: of the model.
            device: torch's name of it.
            dtype: of the weights and of all that is computed.
        """
        torch = load("torch")
        self.size = size
        random = torch.Generator().manual_seed(SEED)
        target = {"device": device, "dtype": getattr(torch, dtype)}

        def drawn(*shape: int, spread: float) -> Any:
            return (torch.randn(*shape, generator=random) * spread).to(**target)

        def linear(out: int, into: int) -> tuple[Any, Any]:
            # wider than BERT's 0.02: attention must tell texts apart without training
            return drawn(out, into, spread=into**-0.5), drawn(out, spread=0.02)

        hidden, inner = size.hidden, size.inner
        self._words = drawn(size.words, hidden, spread=1.0)
        self._places = drawn(size.longest, hidden, spread=0.3)
        self._norm = torch.ones(hidden, **target), torch.zeros(hidden, **target)
        shapes = (3 * hidden, hidden), (hidden, hidden), (inner, hidden), (hidden, inner)
        self._layers = [
            tuple(linear(out, into) for out, into in shapes) for _ in range(size.layers)
        ]

    def __call__(self, ids: Any, mask: Any) -> Any:
        """The first token's vector of every text.

        Args:
            ids: [texts, tokens].
            mask: the same shape, 0 for padding; None for none.
        """
        functional = load("torch.nn.functional")
        x = functional.embedding(ids, self._words) + self._places[: ids.shape[1]]
        x = self._normed(x)
        bias = None
        if mask is not None:
            bias = ((1 - mask).to(x.dtype) * MASKED)[:, None, None, :]
            bias = bias.expand(-1, self.size.heads, ids.shape[1], -1)
        for qkv, out, up, down in self._layers:
            x = self._normed(x + functional.linear(self._attention(x, qkv, bias), *out))
            inner = functional.gelu(functional.linear(x, *up))
            x = self._normed(x + functional.linear(inner, *down))
        return x[:, 0]

    def _normed(self, x: Any) -> Any:
        functional = load("torch.nn.functional")
        return functional.layer_norm(x, (self.size.hidden,), *self._norm, eps=1e-12)

    def _attention(self, x: Any, weights: tuple[Any, Any], bias: Any) -> Any:
        functional = load("torch.nn.functional")
        texts, tokens, hidden = x.shape
        heads = self.size.heads
        mixed = functional.linear(x, *weights).view(texts, tokens, 3, heads, hidden // heads)
        q, k, v = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return found.transpose(1, 2).reshape(texts, tokens, hidden)


class Bert(TorchModel):
    """The encoder with its kernels."""

    def __init__(self, size: Size = BASE) -> None:
        """Create the model now, on GPU 0."""
        self.size = size
        self._encoders: dict[int, Encoder] = {}
        super().__init__()

    def make(self, gpu: int) -> Forward:
        """See `TorchModel.make`."""
        encoder = self._encoders[gpu] = Encoder(self.size, f"cuda:{gpu}")

        def forward(inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
            outputs[0].copy_(encoder(*inputs))

        return forward

    def kernel(self) -> Kernel:
        """int64 ids and mask [n, tokens] -> float32 [n, hidden]."""
        return self.torch_kernel({IDS: DTYPE, MASK: DTYPE}, {ANSWER: "float32"})

    def answer(self, ids: Array, mask: Array | None = None, gpu: int = 0) -> Array:
        """The expected answer of one text alone, without a mask unless one is given."""

        def work(_: Forward, gpu: int) -> Array:
            torch = load("torch")
            tensors = [
                None if array is None else torch.from_numpy(array[np.newaxis]).to(f"cuda:{gpu}")
                for array in (ids, mask)
            ]
            found: Array = self._encoders[gpu](*tensors).float().cpu().numpy()[0]
            return found

        result: Array = self.in_builder(work, gpu)
        return result
