"""A stated age is the writer's own and present age, or none."""

import pytest

from care.age import stated_age
from care.normalise import normalise
from tests.care.linearity import seconds


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("我今年13岁", 13),
        ("13岁女生，想自杀", 13),
        ("14女，不想上学", 14),
        ("我十四岁了", 14),
        ("初二学生，最近很难过", 14),
        ("我是一名高三学生", 17),
        ("我上五年级了", 11),
        ("我今年27岁了", 27),
        ("我女儿12岁不想上学", None),
        ("我弟弟今年12岁", None),
        ("我孩子上初二", None),
        ("我5岁那年被送走了", None),
        ("我10岁的时候父母离婚", None),
        ("二年级的时候被欺负", None),
        ("我在小学当老师", None),
        ("今天有点累", None),
    ],
)
def test_the_age_of_the_writer_is_read(text: str, age: int | None) -> None:
    assert stated_age(normalise(text)) == age


@pytest.mark.parametrize("words", [",", "，", "现在", "是", "一个", "我，", "今年 ", "也,"])
def test_words_that_may_lead_to_an_age_cost_no_more_for_each_other(words: str) -> None:
    short, long = (seconds(stated_age, normalise(words * count)) for count in (300, 3000))
    assert long < 40 * max(short, 0.0005)
