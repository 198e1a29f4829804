"""Trains a small tokenizer: byte-pair encoding of Chinese, and the prompt's frame as pieces that nobody can type.

The frame's pieces are special tokens. `worker.tokenizer` reads special tokens in the frame only, so what a person
types is never a frame, whatever it looks like; and a frame costs four tokens an exchange instead of twenty.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from dialogue.window import CLIENT, SUPPORTER

UNKNOWN, PAD, END, MASK, START = "<unk>", "<pad>", "<eos>", "[gMASK]", "<sop>"
ROUND = "[Round "
NEXT_ROUND = f"\n\n{ROUND}"
_BYTES = [f"<0x{number:02X}>" for number in range(256)]
_HAN_OR_ONE = Regex(r"[\p{Han}]+|[^\p{Han}]")
_ALPHABET = 3_500
_MAX_PIECE = 8  # characters
_TEMPLATE = Path(__file__).parent / "rounds.jinja"


def train(texts: Iterable[str], *, size: int, instruction: str) -> Tokenizer:
    """A tokenizer of `size` ids. `instruction` becomes one piece of the frame; another one is read as text."""
    fast = Tokenizer(models.BPE(unk_token=UNKNOWN, byte_fallback=True))
    fast.pre_tokenizer = pre_tokenizers.Split(_HAN_OR_ONE, behavior="isolated")
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[UNKNOWN, PAD, END, MASK, START, *frame(instruction), *_BYTES],
        limit_alphabet=_ALPHABET,
        max_token_length=_MAX_PIECE,
        show_progress=False,
    )
    fast.train_from_iterator(texts, trainer)
    fast.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    fast.post_processor = processors.TemplateProcessing(
        single=f"{MASK} {START} $A",
        pair=f"{MASK} {START} $A $B:1",
        special_tokens=[(token, fast.token_to_id(token)) for token in (MASK, START)],
    )
    return _without_added_bytes(fast)


def frame(instruction: str) -> list[str]:
    """The pieces that every prompt is framed with."""
    pieces = [ROUND, NEXT_ROUND, "]\n\n问：", f"]\n\n问：{CLIENT}", CLIENT, f"{SUPPORTER}\n\n答："]
    return [*pieces, instruction] if instruction else pieces


def save(fast: Tokenizer, directory: Path) -> None:
    """Write the files that `worker` and transformers read."""
    directory.mkdir(parents=True, exist_ok=True)
    fast.save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "unk_token": UNKNOWN,
        "pad_token": PAD,
        "eos_token": END,
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), encoding="utf-8")
    (directory / "chat_template.jinja").write_text(_TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")


def _without_added_bytes(fast: Tokenizer) -> Tokenizer:
    """Bytes belong to the vocabulary, for characters that have no piece, but are never matched in a text."""
    content = json.loads(fast.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] not in set(_BYTES)]
    return Tokenizer.from_str(json.dumps(content, ensure_ascii=False))
