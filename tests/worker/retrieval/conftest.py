"""A collection of six dialogues, built as the shipped one is."""

from pathlib import Path

import pytest

from tests.worker.retrieval.builders import packed_file
from training.data.dialogue import Dialogue
from training.retrieval.build import build
from training.retrieval.e5 import Packed
from worker.engine.port import Exchange

_FAREWELL = Exchange("谢谢你听我说", "不用客气，祝你一切顺利。")
DIALOGUES = [
    Dialogue((Exchange(opening, reply), Exchange(second, followed), _FAREWELL))
    for opening, reply, second, followed in [
        ("我的猫昨天死了", "失去猫一定让你很难过吧。", "它陪了我十年", "十年的陪伴是很深的感情。"),
        ("我失眠很久了", "失眠很折磨人，是从什么时候开始的呢？", "白天也没有精神", "白天没有精神会让人更疲惫。"),
        ("男朋友和我分手了", "分手对你来说一定很痛苦。", "我忘不了他", "忘不了是很自然的事。"),
        ("下周要考试了我很紧张", "考试前紧张是很常见的感受。", "我怕考不好", "你担心考不好会发生什么呢？"),
        ("妈妈总是骂我", "被妈妈责骂的时候你有什么感受？", "我很委屈", "委屈的感受值得被看见。"),
        ("同事在背后说我坏话", "被同事议论的滋味不好受。", "我不敢去上班", "不敢上班说明这件事对你的影响很大。"),
    ]
]


@pytest.fixture(scope="session")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's `retrieval` folder; not to be changed."""
    target = tmp_path_factory.mktemp("model") / "retrieval"
    texts = [part for dialogue in DIALOGUES for exchange in dialogue.exchanges for part in exchange]
    build(DIALOGUES, target, pretrained=Packed(packed_file(texts)), most=100, epochs=30)
    return target
