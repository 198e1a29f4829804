"""What a model did not mean for people is never shown, not even for a moment."""

import pytest

from worker.reply_cleaner import clean, ended_in_the_middle, up_to_its_last_sentence


def whole(raw: str) -> str:
    return clean(raw, is_finished=True).text


def shown(raw: str) -> list[str]:
    """What is shown while the reply grows, character by character."""
    return [clean(raw[:length], is_finished=False).text for length in range(1, len(raw) + 1)]


THOUGHTS = [
    "<<SYS>>他很难过<</SYS>>谢谢你告诉我。",
    '<details type="reasoning" done="true">\n<summary>Thinking</summary>\n他很难过\n</details>\n谢谢你告诉我。',
    "<thinking_process>他很难过</thinking_process>谢谢你告诉我。",
    "<inner_thoughts>\n他很难过\n</inner_thoughts>\n\n谢谢你告诉我。",
    "<think>他很难过，我要安慰他</think>谢谢你告诉我。",
    "<think>\n\n</think>\n\n谢谢你告诉我。",
    "<THINK >我想想</ think >谢谢你告诉我。",
    "<thinking>我想想</thinking>谢谢你告诉我。",
    "<reasoning effort='low'>我想想</reasoning>谢谢你告诉我。",
    "谢谢<think>再想想</think>你告诉我。",
    "\ufeff<think>我想想</think>谢谢你告诉我。",
    "◁think▷我想想◁/think▷谢谢你告诉我。",
    "<|begin_of_thought|>我想想<|end_of_thought|><|begin_of_solution|>谢谢你告诉我。<|end_of_solution|>",
    "<think>一</think><think>二</think>谢谢你告诉我。",
    "<|thinking|>我想想<|/thinking|>谢谢你告诉我。",
    "<|START_THINKING|>我想想<|END_THINKING|><|START_RESPONSE|>谢谢你告诉我。<|END_RESPONSE|>",
    "<｜begin▁of▁thinking｜>我想想<｜end▁of▁thinking｜>谢谢你告诉我。",
    "＜think＞我想想＜/think＞谢谢你告诉我。",
    "&lt;think&gt;我想想&lt;/think&gt;谢谢你告诉我。",
    "[THINK]我想想[/THINK]谢谢你告诉我。",
    "【思考】我想想【/思考】谢谢你告诉我。",
    "<思考过程>我想想</思考过程>谢谢你告诉我。",
    "<seed:think>我想想</seed:think>谢谢你告诉我。",
    "<scratchpad>我想想</scratchpad>谢谢你告诉我。",
    "<inner_monologue>我想想</inner_monologue>谢谢你告诉我。",
    "<reasoning_content>我想想</reasoning_content><answer>谢谢你告诉我。</answer>",
    "<|channel|>analysis<|message|>我想想<|end|><|start|>assistant<|channel|>final<|message|>谢谢你告诉我。<|return|>",
    "<unused94>thought\n我想想<unused95>谢谢你告诉我。",
    "```thinking\n我想想\n```\n谢谢你告诉我。",
    '<tool_call>{"name": "search"}</tool_call>谢谢你告诉我。',
    "<think>一<think>二</think>三</think>谢谢你告诉我。",
    "<think/>谢谢你告诉我。",
    "思考：他很难过\n\n回复：谢谢你告诉我。",
    "**Thinking:** he is sad\n\n**Final answer:** 谢谢你告诉我。",
    "谢谢你告诉我。<think>还要说什么吗",
    "<|assistant_start|><|inner_prefix|>他很难过<|inner_suffix|>谢谢你告诉我。<|assistant_end|>",
    "推理：他很难过\n\n答案：谢谢你告诉我。",
    "Strategy: Question\nResponse: 谢谢你告诉我。",
    '{"reasoning": "他很难过", "reply": "谢谢你告诉我。"}',
]


@pytest.mark.parametrize("raw", THOUGHTS)
def test_thoughts_are_dropped_also_while_the_reply_grows(raw: str) -> None:
    assert whole(raw) == "谢谢你告诉我。"
    assert all("谢谢你告诉我。".startswith(text) for text in shown(raw))


def test_a_thought_that_never_began_is_known_by_its_end() -> None:
    raw = "他很难过，我要安慰他\n</think>\n\n谢谢你告诉我。"
    cleaned = clean(raw, is_finished=True)
    assert (cleaned.text, cleaned.was_thinking_aloud) == ("谢谢你告诉我。", True)
    growing = [clean(raw[:length], is_finished=False, thinks_aloud=True).text for length in range(1, len(raw) + 1)]
    assert all("谢谢你告诉我。".startswith(text) for text in growing)


FRAMES = [
    "assistant\n我在听。",
    "支持者\n我在听。",
    "【支持者】我在听。",
    "我在听。\n###human：我还是难过",
    "我在听。###human：我还是难过",
    "我在听。\n### Human: I am sad",
    "我在听。 [/INST] 好的",
    "我在听。[INST] 我还是难过",
    "我在听。<|im_end|>\n<|im_start|>user\n我还是难过",
    "我在听。<|endoftext|>",
    "我在听。</s>",
    "我在听。<｜end▁of▁sentence｜>好",
    "我在听。<|eot_id|><|start_header_id|>user",
    "我在听。<end_of_turn>",
    "我在听。\nSupporter: 那你呢",
    "我在听。Supporter: 那你呢",
    "我在听。\n来访者：我还是难过",
    "我在听。\n**用户**：我还是难过",
    "我在听。\n咨询师：那你呢",
    "我在听。[Round 3]",
    "我在听。<eoa>",
    "我在听。<reserved_106>我还是难过",
    "我在听。<_user>我还是难过",
    "我在听。[UNUSED_TOKEN_145]",
    "我在听。[|Human|]我还是难过",
    "我在听。<extra_id_1>User\n我还是难过",
    "我在听。<|END_OF_TURN_TOKEN|>",
    "我在听。[TOOL_CALLS]",
    "我在听。<<SYS>>我还是难过",
    "我在听。\n【用户】我还是难过",
    "我在听。\n[用户]: 我还是难过",
    "我在听。\n<human>: 我还是难过",
    "我在听。\n- User: 我还是难过",
    "我在听。\nQ: 我还是难过",
    "我在听。\n### Response:\n我还是难过",
    "我在听。<|end_of_turn|>GPT4 Correct User: 我还是难过",
    "<|im_start|>assistant\n我在听。",
    "<reserved_107>我在听。",
    "<bot>: 我在听。",
    "GPT4 Correct Assistant: 我在听。",
    "Answer: 我在听。",
    "### Response:\n我在听。",
    "回复：我在听。",
    "Supporter: 我在听。",
    "### Assistant:\n我在听。",
    "[/INST] 我在听。",
    "<s>我在听。</s>",
    "支持者：我在听。",
    "咨询师：我在听。",
    "**Assistant:** 我在听。",
    "（思考：他很难过）\n我在听。",
    "【思考】他很难过\n【回复】我在听。",
    "（内心独白：唉）我在听。",
    "我在听。\n学生：我还是难过",
    "我在听。\n個案：我还是难过",
    "我在听。\n求助者（小王）：我还是难过",
    "我在听。\nuser\n我还是难过",
    "我在听。<TOOLCALL>[]</TOOLCALL>",
    "我在听。\n\n(End of reply)",
    "我在听。[end of text]",
    "我在听。（回复结束）",
    "assistant<|message|>我在听。",
    "Sure, here is the reply:\n我在听。",
    "Here's my response:\n我在听。",
    "好的，以下是我的回复：\n我在听。",
    "当然！下面是给求助者的回复：\n\n我在听。",
    "陪伴者：我在听。",
    "諮商師：我在听。",
    "機器人：我在听。",
    "支持者（AI）：我在听。",
    "model\n我在听。",
    "/no_think\n我在听。",
    "analysisWe need to reply kindly.assistantfinal我在听。",
    "<SPECIAL_11>Assistant\n我在听。",
    '[TOOL_CALLS] [{"name": "a_tool_with_a_long_name", "arguments": {"with": "many words in them"}}]我在听。',
    '<function_calls><invoke name="a"></invoke></function_calls>我在听。',
    "> 💭 Thinking\n> 他很难过\n\n我在听。",
    "咨询师说：我在听。",
    "我在听。\n\n（注：以上回复仅供参考）",
    "我在听。\n\n---\n注：我是一个语言模型。",
    "我在听。\nNote: this reply shows empathy.",
    "我在听。\n（字数：4）",
    "我在听。\n\n【解析】这句话表达了共情。",
    "我在听。（完）",
    '{"reply": "我在听。"}',
    '```json\n{\n  "response": "我在听。"\n}\n```',
    "```\n我在听。\n```",
    "<0x0A>我在听。",
    '{"role": "assistant", "content": "我在听。"}',
    '<response lang="zh">我在听。</response>',
    "<|turn>model\n我在听。<turn|>",
    "<seed:bos>assistant\n我在听。<seed:eos>",
    "[BOT]我在听。[USER]我还是难过",
    "我在听。<用户>我还是难过",
    "[Question] 我在听。",
    "[Reflection of feelings] 我在听。",
    "【情感反映】我在听。",
    "我的回复：我在听。",
    "心理師：我在听。",
    "我在听。\n求助人：我还是难过",
    "我在听。\nStudent: I am sad",
    "我\x00在\x08听。",
]


@pytest.mark.parametrize("raw", FRAMES)
def test_frames_and_the_other_sides_lines_are_cut(raw: str) -> None:
    assert whole(raw) == "我在听。"
    assert all("我在听。".startswith(text) for text in shown(raw))


DAY = ("早上", "中午", "下午", "晚上", "夜里", "明天", "后天")
LONG_ROUND = "".join(f"{when}的事，你可以说，也可以不说。" for when in DAY)
ROUND = "你说你很累，也很孤单，我听见了。你愿意的话，可以慢慢说给我听。"
LOOPS = [
    ("我会一直陪着你。" * 60, "我会一直陪着你。"),
    ("听起来很累。" + "我会一直陪着你。" * 60, "听起来很累。我会一直陪着你。"),
    ("你很累。想休息吗？" * 30, "你很累。想休息吗？"),
    ("我会一直陪着你，" * 60, "我会一直陪着你，"),
    ("好的" * 40, "好的"),
    ("嗯" * 80, "嗯"),
    ("好。" * 200, "好。"),
    ("".join(f"{number}. 先深呼吸，再慢慢说。\n" for number in range(1, 21)), "1. 先深呼吸，再慢慢说。"),
    (ROUND * 8, ROUND),
    (LONG_ROUND * 5, LONG_ROUND),
    (f"{LONG_ROUND}\n\n" * 5, LONG_ROUND),
    ("I am here for you. " * 20, "I am here for you."),
    ("你很累。\n我会一直陪着你。\n" * 20, "你很累。\n我会一直陪着你。"),
]


@pytest.mark.parametrize(("raw", "kept"), LOOPS)
def test_endless_repetition_is_cut_after_its_first_round(raw: str, kept: str) -> None:
    cleaned = clean(raw, is_finished=True)
    assert (cleaned.text, cleaned.is_cut) == (kept, True)
    assert clean(raw[: len(raw) // 2], is_finished=False).is_cut


def test_a_sentence_that_comes_back_again_and_again_is_cut_too() -> None:
    raw = "".join(f"第{number}点。我会一直陪着你。" for number in "一二三四五六七八九十")
    assert whole(raw).count("我会一直陪着你。") == 7


@pytest.mark.parametrize("heading", ["[第2轮]", "Round 2", "Turn 3:", "第二轮对话"])
def test_the_heading_of_the_next_round_goes_with_it(heading: str) -> None:
    assert whole(f"我在听。\n\n{heading}\n求助者：我还是难过") == "我在听。"


@pytest.mark.parametrize(
    "raw",
    [
        "".join(f"我会一直陪着你，{when}也是。" for when in DAY * 2),
        "".join(f"I am here for you, {name}. " for name in ("dear", "friend", "pal", "love", "mate") * 3),
        "".join(f"{number}、深呼吸一下，再慢慢放松下来。\n" for number in "一二三四五六七八九十"),
    ],
)
def test_a_loop_that_changes_a_little_each_round_is_cut_too(raw: str) -> None:
    cleaned = clean(raw, is_finished=True)
    assert cleaned.is_cut
    assert len(cleaned.text) < len(raw)


INNOCENT = [
    "分析：你最在乎的是什么？",
    "【问题】也可以是礼物。",
    "第二轮面试还没到，先休息。",
    "你可以说：[我需要帮助]，也可以写下来。",
    "没关系，没关系，没关系。慢慢来。慢慢来。",
    "哈哈哈哈哈哈，真好。",
    "我在。我在。我在。",
    "我在听，你慢慢说。" * 7,
    "好。" * 7,
    "1. 写下来\n2. 说出来\n3. 写下来，再说出来",
    "用 <b>这个</b> 词，或者 [微笑]，或者（笑）。",
    "你可以想想【今天】最好的一件事，也可以写下：今天……",
    "思考：你今天最难过的是什么？",
    "``` 不是代码",
    "他在日记里写：“回答：我没事。”",
    "从 [1] 到 [3]，慢慢来 & 不急。",
    "你可以这样对妈妈说：\n我：妈，我想和你谈谈。\n妈妈：好。",
    "3 < 5，而 5 > 3。",
    "你提到“用户”和“助手”，是在说那款软件吗？",
    "说说看：是什么让你这么想？",
    "深呼吸……………………慢慢来。",
    "那天你说“我没事”。后来你又说“我没事”。其实，你有事。",
    "我想你可以试试看：\n1. 写下来\n2. 说出来",
    "I hear you. The user manual can wait.",
    "他说：你好。她说：再见。",
    "我在听。\n注意休息。\n说明你很在乎。",
    "（注意到了吗？你已经走了很远。）",
    "{这样}写下来也行。",
]


@pytest.mark.parametrize("raw", INNOCENT)
def test_what_is_meant_for_people_stays_as_it_is(raw: str) -> None:
    cleaned = clean(raw, is_finished=True)
    assert (cleaned.text, cleaned.is_cut) == (raw, False)
    assert all(raw.startswith(text) for text in shown(raw))


def test_a_reply_that_breaks_off_ends_with_its_last_sentence() -> None:
    assert ended_in_the_middle("我在听。你可以")
    assert not ended_in_the_middle("我在听。")
    assert up_to_its_last_sentence("我在听。你可以") == "我在听。"
    assert up_to_its_last_sentence("好。" + "你可以慢慢地说给我听" * 3) is None
    assert up_to_its_last_sentence("你可以") is None
