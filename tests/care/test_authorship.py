"""Whose words they are is what the person says."""

import pytest

from care.authorship import is_claimed


@pytest.mark.parametrize(
    "text",
    [
        *(
            "这是我写的",
            "是我写的。",
            "那是我自己写的",
            "這是我寫的",
            "这就是我",
            "就是我",
            "其实是我",
            "上面那段话是我写的",
        ),
        *(
            "是我发的",
            "这是我的日记",
            "我就是那个人",
            "说的就是我",
            "我自己写的",
            "那个人就是我",
            "这是我写的，你能帮我吗",
        ),
        *("写这封信的人是我", "這些話是我說的", "这都是我说的", "是我昨晚写的", "是我的小号"),
        *(
            "that's me",
            "That is me.",
            "I wrote this",
            "i actually wrote that",
            "these are my own words",
            "this is mine",
        ),
        *("It’s me", "that was my diary", "I'm the one who wrote it", "I wrote it myself"),
    ],
)
def test_a_person_says_that_words_are_theirs(text: str) -> None:
    assert is_claimed(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "这不是我写的",
            "这是我妈写的",
            "是我朋友发的",
            "那不是我",
            "这是我写的吗？",
            "她是我妹妹",
            "我写的作业还没交",
        ),
        *(
            "我很难过",
            "怎么劝她",
            "是我不好",
            "都是我的错",
            "那是我最难的一年",
            "this isn't mine",
            "I didn't write this",
        ),
        *("that's my friend", "I wrote to her", "it's not me", "我是不是该做点什么", "今天是我生日"),
    ],
)
def test_other_words_say_nothing_of_the_kind(text: str) -> None:
    assert not is_claimed(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "這就是我的心情",
            "这也是我现在的想法。",
            "说的就是我的感受",
            "我也是這樣想的",
            "看完了，我也这么觉得",
            "我也是",
            "我也一样。",
        ),
        *("That's exactly how I feel", "it's about me", "me too", "Same here.", "I feel the same way"),
    ],
)
def test_who_feels_the_same_makes_the_words_their_own(text: str) -> None:
    assert is_claimed(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "我也是这样劝她的",
            "我也想帮他",
            "这不是我的想法",
            "这是我朋友的心情",
            "这就是我的看法：她该去医院",
            "我也是他的同学",
        ),
        *("that is not how I feel", "it's about my sister", "she told me too", "is that how i should feel?"),
    ],
)
def test_who_only_speaks_of_the_words_does_not(text: str) -> None:
    assert not is_claimed(text)
