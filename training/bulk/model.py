"""GLM's architecture in plain torch, over packed rows; its weights have the names that transformers gives them.

Attention over windows of any length is computed by whichever way works on the machine, the fastest first.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from torch.nn.functional import cross_entropy, dropout, embedding, linear, scaled_dot_product_attention, silu


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """As in training.core.shape; `dropout` is that of what each layer adds and of the embedding."""

    vocabulary: int = 8192
    width: int = 640
    layers: int = 8
    heads: int = 10
    groups: int = 2
    head_width: int = 64
    feed_forward: int = 1792
    dropout: float = 0.1


class Layout(NamedTuple):
    """Where windows stand: `windows` [rows, length] numbers them within a row, `bounds` are all their ends, flat."""

    windows: Tensor
    places: Tensor
    bounds: Tensor
    longest: int


_CAUSAL: dict[str, Any] = (
    {"window_size": (-1, 0)} if "window_size" in inspect.signature(varlen_attn).parameters else {"is_causal": True}
)
"""It was renamed between torch 2.10 and 2.13."""


class Batch(NamedTuple):
    """Ids and what predicting each of them counts, [rows, length]; and where the windows stand."""

    ids: Tensor
    weights: Tensor
    layout: Layout


Attend = Callable[[Tensor, Tensor, Tensor, Layout], Tensor]
"""[rows, length, heads, head width] each; causal within each window."""


def dense(query: Tensor, key: Tensor, value: Tensor, layout: Layout) -> Tensor:
    """With a mask over whole rows."""
    length = query.shape[1]
    same = layout.windows[:, :, None] == layout.windows[:, None, :]
    mask = same & torch.ones(length, length, dtype=torch.bool, device=query.device).tril()
    query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    return scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None]).transpose(1, 2)


def varlen(query: Tensor, key: Tensor, value: Tensor, layout: Layout) -> Tensor:
    """torch's own function for windows of any length."""
    attend: Any = varlen_attn
    flat = (part.reshape(-1, *part.shape[2:]) for part in (query, key, value))
    found: Tensor = attend(*flat, layout.bounds, layout.bounds, layout.longest, layout.longest, **_CAUSAL)
    return found.view(query.shape)


def flash(query: Tensor, key: Tensor, value: Tensor, layout: Layout) -> Tensor:
    """The operator below torch's function, which older versions have too."""
    flat = (part.reshape(-1, *part.shape[2:]) for part in (query, key, value))
    found: Any = torch.ops.aten._flash_attention_forward(  # noqa: SLF001  # no public name
        *flat,
        layout.bounds,
        layout.bounds,
        layout.longest,
        layout.longest,
        0.0,
        True,
        False,
    )
    result: Tensor = found[0]
    return result.view(query.shape)


class Attention(nn.Module):
    """Grouped queries with rotary places in half of each head."""

    def __init__(self, size: Size, attend: Attend) -> None:
        super().__init__()
        self._size, self.attend = size, attend
        width, head = size.width, size.head_width
        self.q_proj = nn.Linear(width, size.heads * head)
        self.k_proj = nn.Linear(width, size.groups * head)
        self.v_proj = nn.Linear(width, size.groups * head)
        self.o_proj = nn.Linear(size.heads * head, width, bias=False)

    def forward(self, hidden: Tensor, layout: Layout, turn: Tensor) -> Tensor:
        size = self._size
        rows, length, _ = hidden.shape
        query = self.q_proj(hidden).view(rows, length, size.heads, size.head_width)
        key = self.k_proj(hidden).view(rows, length, size.groups, size.head_width)
        value = self.v_proj(hidden).view(rows, length, size.groups, size.head_width)
        query, key = turned(query, turn), turned(key, turn)
        shared = size.heads // size.groups
        key, value = key.repeat_interleave(shared, dim=2), value.repeat_interleave(shared, dim=2)
        found: Tensor = self.o_proj(self.attend(query, key, value, layout).reshape(rows, length, -1))
        return found


class FeedForward(nn.Module):
    """A gated feed-forward layer; both its first matrices are one."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.gate_up_proj = nn.Linear(size.width, 2 * size.feed_forward, bias=False)
        self.down_proj = nn.Linear(size.feed_forward, size.width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        gate, up = self.gate_up_proj(hidden).chunk(2, dim=-1)
        found: Tensor = self.down_proj(up * silu(gate))
        return found


class Norm(nn.Module):
    """Root mean square norm, in float32."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, hidden: Tensor) -> Tensor:
        wide = hidden.float()
        scaled = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-5)
        return (self.weight * scaled).to(hidden.dtype)


class Layer(nn.Module):
    """Attention, then feed-forward, each added to what came in."""

    def __init__(self, size: Size, attend: Attend) -> None:
        super().__init__()
        self._dropout = size.dropout
        self.self_attn, self.mlp = Attention(size, attend), FeedForward(size)
        self.input_layernorm, self.post_attention_layernorm = Norm(size.width), Norm(size.width)

    def forward(self, hidden: Tensor, layout: Layout, turn: Tensor) -> Tensor:
        hidden = hidden + self._dropped(self.self_attn(self.input_layernorm(hidden), layout, turn))
        return hidden + self._dropped(self.mlp(self.post_attention_layernorm(hidden)))

    def _dropped(self, added: Tensor) -> Tensor:
        return dropout(added, self._dropout, training=self.training)


class _Body(nn.Module):
    def __init__(self, size: Size, attend: Attend) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(size.vocabulary, size.width)
        self.layers = nn.ModuleList(Layer(size, attend) for _ in range(size.layers))
        self.norm = Norm(size.width)


class Glm(nn.Module):
    """Ids in, losses out, computed in `dtype`; the output layer is the embedding."""

    def __init__(self, size: Size, attend: Attend, *, dtype: torch.dtype = torch.bfloat16) -> None:
        super().__init__()
        self.size, self._dtype = size, dtype
        self.model = _Body(size, attend)
        for name, weights in self.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight", "bias")):
                nn.init.zeros_(weights)  # a deep model begins as a shallow one
            elif weights.ndim > 1:
                nn.init.normal_(weights, std=0.02)

    def attend_by(self, attend: Attend) -> None:
        """Attend this way from now on."""
        for layer in self.model.layers:
            cast("Layer", layer).self_attn.attend = attend

    def hidden(self, ids: Tensor, layout: Layout) -> Tensor:
        """The last hidden states, [rows, length, width]."""
        body, size = self.model, self.size
        found = embedding(ids, body.embed_tokens.weight).to(self._dtype)
        found = dropout(found, size.dropout, training=self.training)
        turn = angles(layout.places, size.head_width // 2).to(self._dtype)
        for layer in body.layers:
            found = layer(found, layout, turn)
        last: Tensor = body.norm(found)
        return last

    def forward(self, ids: Tensor, labels: Tensor, layout: Layout) -> Tensor:
        """The loss of predicting each label, nats in float32, [rows, length]."""
        with torch.autocast(ids.device.type, self._dtype, enabled=self._dtype is not torch.float32):
            logits = linear(self.hidden(ids, layout), self.model.embed_tokens.weight)
        losses = cross_entropy(logits.float().flatten(0, 1), labels.flatten(), reduction="none")
        return losses.view(labels.shape)


def angles(places: Tensor, width: int) -> Tensor:
    """Cosines and sines of each place, [2, rows, length, 1, width / 2]."""
    exponents = torch.arange(0, width, 2, device=places.device, dtype=torch.float32) / width
    found = places[..., None].float() / 10_000.0**exponents
    return torch.stack((found.cos(), found.sin()))[:, :, :, None]


def turned(heads: Tensor, turn: Tensor) -> Tensor:
    """Rotary places (Su et al. 2021) in the first half of each head, neighbours being the pairs."""
    cosines, sines = turn
    width = 2 * cosines.shape[-1]
    even, odd = heads[..., 0:width:2], heads[..., 1:width:2]
    pairs = torch.stack((even * cosines - odd * sines, odd * cosines + even * sines), dim=-1).flatten(-2)
    return torch.cat((pairs, heads[..., width:]), dim=-1)


def settle(
    model: Glm, check: Callable[[Callable[..., Tensor]], None], say: Callable[[str], None], *, is_compiled: bool
) -> Callable[..., Tensor]:
    """The model as it is to be called, by the first way to attend that works on this machine.

    `check` computes a loss with what it is given, and raises where that fails or is wrong.
    """
    device = next(model.parameters()).device
    ways = (varlen, flash, dense) if device.type == "cuda" else (dense,)
    for is_tried_compiled in (True, False) if is_compiled else (False,):
        for way in ways:
            model.attend_by(way)
            torch.compiler.reset()
            computed: Callable[..., Tensor] = torch.compile(model) if is_tried_compiled else model
            try:
                agree(way, device)
                check(computed)
            except Exception as error:  # noqa: BLE001  # an untried way on an unknown machine: the next one is tried
                say(f"{way.__name__} does not work here: {type(error).__name__}: {str(error)[:500]}")
            else:
                say(f"attention by {way.__name__}, compiled: {is_tried_compiled}")
                return computed
    raise RuntimeError("the model cannot be computed on this machine")


def agree(way: Attend, device: torch.device) -> None:
    """Raises ValueError where a way to attend differs from the plainest one, forwards or backwards."""
    sizes = torch.tensor([0, 100, 130, 256, 300, 512, 512], dtype=torch.int32, device=device)
    flat = torch.arange(512, device=device)
    numbers = torch.bucketize(flat, sizes[1:6].long(), right=True).view(2, 256)
    layout = Layout(windows=numbers, places=flat.view(2, 256), bounds=sizes, longest=256)
    torch.manual_seed(1)
    drawn = [torch.randn(2, 256, 4, 64, device=device, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]
    scale = torch.randn(2, 256, 4, 64, device=device)
    found, wanted = (
        [out, *torch.autograd.grad((out.float() * scale).sum(), drawn)]
        for out in (tried(drawn[0], drawn[1], drawn[2], layout) for tried in (way, dense))
    )
    for mine, theirs in zip(found, wanted, strict=True):
        difference = float(((mine - theirs).float().norm() / theirs.float().norm()).detach())
        if not difference < _TOLERANCE:
            raise ValueError(f"it differs by {difference:.3f}")


_TOLERANCE = 0.02
