"""A language model as training computes it: packed rows in, one loss out; compiled where that is quicker."""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from training.core import attention
from training.core.losses import linear_cross_entropy, log_probabilities, rows_loss
from training.data.encoding import Part
from training.data.packing import Batch, Weights
from training.trouble import TrainingTrouble


class Language:
    """Losses of one model. `is_compiled` needs a C++ compiler, and half a minute at the first batch."""

    def __init__(self, model: PreTrainedModel, *, weights: Weights, is_compiled: bool = False) -> None:
        attention.use(model)
        whole: Any = model
        self._model = whole
        self._is_compiled = is_compiled  # such a model is trained whole, without dropout: both modes are one
        self._weights = weights.table().to(model.device)
        body = whole.get_decoder()
        self._body: Any = torch.compile(body) if is_compiled else body
        self._rows: Any = torch.compile(rows_loss, dynamic=True) if is_compiled else rows_loss

    def hidden(self, batch: Batch) -> Tensor:
        """The last hidden states, [rows, length, width]."""
        if not self._is_compiled:
            _settle(self._model)
        bias = batch.bias(self._model.dtype)
        found: Tensor = self._body(batch.ids, attention_mask=bias, use_cache=False).last_hidden_state
        return found

    def loss(self, batch: Batch) -> tuple[Tensor, float]:
        """The weighted sum of the losses (nats), and the sum of the weights."""
        batch = batch.to(self._model.device)
        weights = self._weights[batch.parts].flatten()
        chosen = weights.nonzero().flatten()
        if not len(chosen):
            raise TrainingTrouble(
                f"A batch of rows of {batch.ids.shape[1]} tokens holds no reply to learn from: they were all cut away. "
                "Make the rows longer (length)."
            )
        hidden = self.hidden(batch).flatten(0, 1)[chosen]
        head = self._model.get_output_embeddings().weight
        total = linear_cross_entropy(hidden, head, batch.labels.flatten()[chosen], weights[chosen], self._rows)
        return total, float(weights.sum())

    @torch.no_grad()
    def losses_by_part(self, batch: Batch) -> dict[Part, float]:
        """The sums of the losses (nats) of the client's words and of the supporter's."""
        batch = batch.to(self._model.device)
        hidden = hidden_states(self._model, batch).flatten(0, 1)  # rows of other lengths would be compiled anew
        head = self._model.get_output_embeddings().weight
        labels, parts = batch.labels.flatten(), batch.parts.flatten()
        found = {}
        for part in (Part.CLIENT, Part.REPLY):
            chosen = (parts == part).nonzero().flatten()
            ones = torch.ones(len(chosen), device=hidden.device)
            found[part] = float(linear_cross_entropy(hidden[chosen], head, labels[chosen], ones))
        return found


def hidden_states(model: PreTrainedModel, batch: Batch) -> Tensor:
    """The last hidden states of a batch on the model's device, [rows, length, width]."""
    whole: Any = model
    _settle(whole)
    bias = batch.bias(whole.dtype)
    found: Tensor = whole.get_decoder()(batch.ids, attention_mask=bias, use_cache=False).last_hidden_state
    return found


def reply_log_probabilities(model: PreTrainedModel, batch: Batch, hidden: Tensor) -> Tensor:
    """The log-probabilities of the reply's ids, zero at every other place; [rows, length] in float32."""
    whole: Any = model
    chosen = (batch.parts == Part.REPLY).flatten().nonzero().flatten()
    head = whole.get_output_embeddings().weight
    found = log_probabilities(hidden.flatten(0, 1)[chosen], head, batch.labels.flatten()[chosen])
    places = torch.zeros(batch.ids.numel(), device=hidden.device)
    return places.index_copy(0, chosen, found).view(batch.ids.shape)


def _settle(model: PreTrainedModel) -> None:
    """Dropout and recomputing belong to learning; where nothing is learned the model computes as it is served."""
    model.train(mode=torch.is_grad_enabled())
