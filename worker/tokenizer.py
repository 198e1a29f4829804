"""Text to ids and back, exactly as in the model's training; what a person types never becomes a control token."""

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, cast

from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, normalizers, processors
from tokenizers.decoders import DecodeStream

from worker.engine.port import ModelUnusable
from worker.prompt import Piece

CHATGLM2_SPECIALS = ("[MASK]", "[gMASK]", "[sMASK]", "sop", "eop")
_SPACE = "▁"
_TAG = re.compile(r"[<\[].*[>\]]", re.DOTALL)
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


class Tokenizer:
    """A model's tokenizer as the engine needs it; its methods may be called by many threads at once.

    `has_prefix`: its post-processor opens every prompt with [gMASK] sop; chat templates contain their own.
    """

    def __init__(self, fast: FastTokenizer, *, has_prefix: bool) -> None:
        self._fast = fast
        self._plain = FastTokenizer.from_str(fast.to_str())
        self._plain.encode_special_tokens = True
        self._has_prefix = has_prefix
        self._added = {id_: token for id_, token in fast.get_added_tokens_decoder().items() if token.special}

    @property
    def size(self) -> int:
        """Number of ids with a text or a meaning; larger ones are padding rows."""
        return self._fast.get_vocab_size(with_added_tokens=True)

    @cached_property
    def control_ids(self) -> frozenset[int]:
        """Ids without text: tags such as <pad> or sop, but neither byte tokens nor pieces of the prompt's frame."""
        tags = {
            id_
            for id_, token in self._added.items()
            if _TAG.fullmatch(token.content) and not _BYTE.fullmatch(token.content)
        }
        named = (self._fast.token_to_id(token) for token in CHATGLM2_SPECIALS)
        return frozenset(tags | {id_ for id_ in named if id_ is not None})

    def id_of(self, token: str) -> int | None:
        """The id of one token, if there is such a token."""
        id_ = self._fast.token_to_id(token)
        return None if id_ is None else int(id_)

    def prompt_ids(self, pieces: Iterable[Piece]) -> list[int]:
        """The ids of a rendered prompt; only its frame can hold control tokens.

        The prompt is encoded as a whole, as in training. Only where that would read control tokens outside the
        frame, it is encoded piece by piece.
        """
        pieces = list(pieces)
        whole = self._ids("".join(piece.text for piece in pieces), add_special_tokens=self._has_prefix)
        if not self._added:
            return whole
        prefix = self._ids("", add_special_tokens=self._has_prefix)
        frames = (self._ids(piece.text) for piece in pieces if piece.is_frame)
        if self._special_among(whole) == self._special_among(chain(prefix, *frames)):
            return whole
        encoded = (self._ids(piece.text) if piece.is_frame else self.text_ids(piece.text) for piece in pieces)
        return [*prefix, *chain.from_iterable(encoded)]

    def text_ids(self, text: str) -> list[int]:
        """The ids of plain text, without prefix and without control tokens."""
        return list(self._plain.encode(text, add_special_tokens=False).ids)

    def frame_ids(self, text: str) -> list[int]:
        """The ids of a part of the frame, control tokens included."""
        return self._ids(text)

    def text(self, ids: Sequence[int]) -> str:
        """The text of complete ids."""
        return str(self._fast.decode(list(ids), skip_special_tokens=False))

    def decoder(self) -> "Decoder":
        """An incremental decoder for one reply."""
        return Decoder(self._fast)

    def save(self, path: Path) -> None:
        """Write the fast tokenizer's one file."""
        self._fast.save(str(path))

    def _ids(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        return list(self._fast.encode(text, add_special_tokens=add_special_tokens).ids)

    def _special_among(self, ids: Iterable[int]) -> list[int]:
        return [id_ for id_ in ids if id_ in self._added]


class Decoder:
    """Decodes ids one by one into whole characters; bytes of an incomplete one are held back."""

    def __init__(self, fast: FastTokenizer) -> None:
        self._fast = fast
        self._stream = DecodeStream(skip_special_tokens=False)

    def push(self, id_: int) -> str:
        """The text that this id completes, often one or two characters, sometimes none."""
        try:
            return self._stream.step(self._fast, id_) or ""
        except Exception:  # noqa: BLE001  # tokenizers raises nothing narrower: bytes were held that form no character
            self._stream = DecodeStream(skip_special_tokens=False)
            return self._stream.step(self._fast, id_) or ""


def load_tokenizer(directory: Path, *, has_prefix: bool) -> Tokenizer:
    """The tokenizer of a model's directory, from whichever form it has. Raises `ModelUnusable`."""
    if (directory / "tokenizer.json").is_file():
        return Tokenizer(_fast(directory / "tokenizer.json"), has_prefix=has_prefix)
    if has_prefix:
        return Tokenizer(chatglm2_tokenizer(directory / "tokenizer.model"), has_prefix=True)
    return Tokenizer(_converted(directory), has_prefix=has_prefix)


def _fast(file: Path) -> FastTokenizer:
    try:
        return FastTokenizer.from_file(str(file))
    except Exception as broken:  # tokenizers raises nothing narrower
        raise ModelUnusable(f"{file} is no tokenizer; it may be cut short. Fetch it again.") from broken


def chatglm2_tokenizer(path: Path) -> FastTokenizer:
    """ChatGLM2's sentencepiece BPE as a fast tokenizer, equal id for id. Raises `ModelUnusable`.

    Its five special tokens and the sentence marks are in the vocabulary but never matched in a text.
    """
    from sentencepiece import SentencePieceProcessor

    if not path.is_file():
        raise ModelUnusable(f"{path.parent} has neither tokenizer.json nor {path.name}. Fetch the model again.")
    try:
        source = SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as broken:
        raise ModelUnusable(f"{path} is not a sentencepiece model; it may be cut short. Fetch it again.") from broken
    pieces = [source.id_to_piece(id_) for id_ in range(source.get_piece_size())]
    is_text = [
        not (source.is_control(id_) or source.is_unknown(id_) or source.is_byte(id_)) for id_ in range(len(pieces))
    ]
    vocabulary = {piece: id_ for id_, piece in enumerate([*pieces, *CHATGLM2_SPECIALS])}
    scores = {piece: source.get_score(id_) for id_, piece in enumerate(pieces) if is_text[id_]}

    fast = FastTokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=_merges(scores, vocabulary),
            unk_token=pieces[source.unk_id()],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    fast.normalizer = normalizers.Sequence([normalizers.Prepend(_SPACE), normalizers.Replace(" ", _SPACE)])
    fast.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    prefix = ("[gMASK]", "sop")
    fast.post_processor = processors.TemplateProcessing(
        single=f"{prefix[0]} {prefix[1]} $A",
        pair=f"{prefix[0]} {prefix[1]} $A $B:1",
        special_tokens=[(token, vocabulary[token]) for token in prefix],
    )
    return fast


def _merges(scores: dict[str, float], order: dict[str, int]) -> list[tuple[str, str]]:
    """Every way to build a piece from two others, the best piece first, as sentencepiece would merge them."""
    found = [
        (score, piece[:cut], piece[cut:])
        for piece, score in scores.items()
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    found.sort(key=lambda merge: (-merge[0], order[merge[1]], order[merge[2]]))
    return [(left, right) for _, left, right in found]


def _converted(directory: Path) -> FastTokenizer:
    from transformers import AutoTokenizer

    try:
        wrapped: Any = AutoTokenizer.from_pretrained(directory, local_files_only=True, trust_remote_code=False)
        return cast("FastTokenizer", wrapped.backend_tokenizer)
    except (AttributeError, ImportError, OSError, ValueError) as unknown:
        raise ModelUnusable(f"{directory} has no tokenizer that can be read without running its code.") from unknown
