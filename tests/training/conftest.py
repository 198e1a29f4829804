"""A language of a few sentences, so small that every phase learns it within seconds."""

import random
from pathlib import Path
from typing import Any

import pytest

from dialogue.process.settings import INSTRUCTION
from training import vocabulary
from training.data import corpus
from training.data.dialogue import Dialogue, write_dialogues
from training.screening import Example, written_examples
from worker.engine.port import Exchange

_TROUBLES = {
    "睡不着": "失眠一定让你很疲惫。你撑到现在不容易。愿意说说睡前在想什么吗？",
    "和父母吵架了": "和家人争吵让人难受。你心里一定很委屈。你们是为了什么事吵起来的？",
    "工作压力大": "压力这么大，你很累。你已经撑了很久。最近最难的是哪一刻？",
    "失恋了": "失去一个人很痛。难过是正常的。你现在最放不下的是什么？",
}
_OPENINGS = ("我最近{}。", "老师，我{}，怎么办？", "唉，我{}。")
_DETAILS = {
    "每天晚上都这样": "每天都这样，真的很不容易，你试过什么让自己好一点吗？",
    "我不想再提了": "没关系。你可以慢慢来。想说的时候我都在。",
    "我觉得都是我的错": "你对自己很严格，如果是朋友遇到这件事，你会怎么对他说？",
}


def dialogue(chance: random.Random) -> Dialogue:
    """An opening and some details, each with the answer that belongs to it."""
    trouble, answer = chance.choice(list(_TROUBLES.items()))
    details = chance.sample(list(_DETAILS.items()), k=2)
    exchanges = [(chance.choice(_OPENINGS).format(trouble), answer), *details]
    return Dialogue(tuple(Exchange(*exchange) for exchange in exchanges))


@pytest.fixture(scope="session")
def written() -> list[Example]:
    """What the project's developers wrote for the detector."""
    return written_examples()


@pytest.fixture(scope="session")
def corpus_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus as `mindglm train data` writes it."""
    target = tmp_path_factory.mktemp("corpus")
    chance = random.Random(5)
    write_dialogues(target / corpus.TRAIN, [dialogue(chance) for _ in range(120)])
    write_dialogues(target / corpus.HELD_OUT, [dialogue(chance) for _ in range(12)])
    return target


@pytest.fixture(scope="session")
def tokenizer_directory(tmp_path_factory: pytest.TempPathFactory, corpus_directory: Path) -> Path:
    """A tokenizer of that language."""
    target = tmp_path_factory.mktemp("tokenizer")
    dialogues = corpus.load(corpus_directory).train
    texts = [text for one in dialogues for exchange in one.exchanges for text in exchange]
    vocabulary.save(vocabulary.train(texts, size=700, instruction=INSTRUCTION), target)
    return target


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory, corpus_directory: Path, tokenizer_directory: Path) -> Path:
    """A run of 40 steps; its model is in `model`."""
    from training.pretrain import pretrain
    from training.recipe import PretrainRecipe

    target = tmp_path_factory.mktemp("pretrained")
    recipe = PretrainRecipe(**TINY, steps=40, hours=None, warmup=4, log_steps=5, measured=12)
    pretrain(
        target,
        data=corpus_directory,
        tokenizer=tokenizer_directory,
        recipe=recipe,
        source=None,
        is_resumed=False,
        say=lambda _: None,
    )
    return target


TINY: dict[str, Any] = {
    "width": 64,
    "layers": 2,
    "heads": 2,
    "groups": 1,
    "head_width": 32,
    "feed_forward": 128,
    "rows": 2,
    "length": 256,
    "precision": "float32",
    "device": "cpu",
    "threads": 1,
}
