"""How models of many families write what is not meant for people: thoughts, frames of prompts, labels of roles.

Patterns only; `worker.reply_cleaner` applies them.
"""

import re
from collections.abc import Iterable
from typing import Final

_LEFT = r"(?:<|＜|&lt;)"
_RIGHT = r"(?:>|＞|&gt;)"
_BAR = r"[|｜]?"
_GAP = r"[\s_▁-]*"
_THOUGHT_NAMES = (
    *("think", "thinking", "thought", "thoughts", "thought_process", "reason", "reasoning", "reasoning_content"),
    *("reflection", "reflect", "analysis", "analyze", "inner_monologue", "monologue", "internal", "internal_thoughts"),
    *("internal_monologue", "scratchpad", "scratch_pad", "cot", "chain_of_thought", "deliberation", "planning"),
    *(
        "toolcall",
        "toolcalls",
        "tool",
        "tool_call",
        "tool_calls",
        "tool_response",
        "function_call",
        "function_calls",
        "invoke",
        "function",
        "思考",
        "思考过程",
        "思维链",
    ),
    *("thinking_process", "thinking_steps", "reasoning_process", "reasoning_steps", "internal_reasoning"),
    *("inner_thought", "inner_thoughts", "inner_voice", "self_reflection", "private_thoughts"),
    *("推理", "推理过程", "内心独白", "内心活动", "分析过程"),
)
"""What a model says to itself, or to a program."""
_THOUGHT = f"(?:[A-Za-z]{{1,12}}:)?(?:{'|'.join(sorted(_THOUGHT_NAMES, key=len, reverse=True))})"
_BARE_THOUGHT = r"(?:think(?:ing)?|thoughts?|reasoning|思考(?:过程)?|推理(?:过程)?|内心(?:独白|活动))"
_INSIDE = r"(?:\s[^<>＜＞\n]{0,80}?)?"

OPEN: Final = re.compile(
    rf"{_LEFT}\s*{_BAR}{_GAP}(?:(?:begin|start){_GAP}(?:of)?{_GAP})?{_THOUGHT}{_INSIDE}(?<!/)\s*{_BAR}\s*{_RIGHT}"
    rf"|[\[【]\s*{_BARE_THOUGHT}\s*[\]】]|◁think▷|<\|inner_prefix\|>|<unused94>(?:thought\b)?|<<SYS>>"
    r"|\A\s*analysis(?=[A-Z])"
    r"|<details\s[^<>\n]{0,80}?(?:reasoning|think)[^<>\n]{0,80}>"
    r"|<\|channel\|?>\s*(?:analysis|commentary|thought)\b",
    re.IGNORECASE,
)
CLOSE: Final = re.compile(
    rf"{_LEFT}\s*{_BAR}\s*(?:/|end{_GAP}(?:of)?{_GAP}){_GAP}{_THOUGHT}\s*{_BAR}\s*{_RIGHT}"
    rf"|[\[【]\s*/\s*{_BARE_THOUGHT}\s*[\]】]|[\[【]\s*(?:最终)?(?:回复|回答|答复|final answer)\s*[\]】]\s*[:：]?"
    r"|assistantfinal(?=[^a-z])"
    r"|◁/think▷|<\|inner_suffix\|>|<unused95>|<channel\|>|<</SYS>>|</details\s*>"
    r"|(?:<\|start\|>\s*assistant\s*)?<\|channel\|?>\s*final\b[^<\n]{0,40}(?:<\|constrain\|>\s*\w+\s*)?<\|message\|>",
    re.IGNORECASE,
)
BRACKETED_THOUGHT: Final = re.compile(
    r"\s*[（(【\[]\s*(?:思考|内心(?:独白|活动)?|心理活动|分析|旁白|thinking|thoughts?)\s*[:：][^()（）【】\[\]]{0,600}[)）】\]]\s*",
    re.IGNORECASE,
)
"""At the beginning of a reply, as in a script for the stage."""
EMPTY_THOUGHT: Final = re.compile(rf"{_LEFT}\s*{_THOUGHT}\s*/\s*{_RIGHT}", re.IGNORECASE)
FENCED_THOUGHT: Final = re.compile(
    rf"```[ \t]*{_THOUGHT}\b[^\n]*\n.*?(?:\n```[ \t]*(?:\n|\Z)|\Z)", re.IGNORECASE | re.DOTALL
)
QUOTED_THOUGHT: Final = re.compile(
    r"\s*>[>*💭🤔\s]*(?:思考|推理|thinking|thoughts?|reasoning|reasoned)[^\n]*(?:\n|\Z)(?:[ \t]*>[^\n]*(?:\n|\Z))*\s*",
    re.IGNORECASE,
)
"""As gateways write it that have no other place for what their server sends as reasoning."""
TOOL_CALL: Final = re.compile(r"\[TOOL_CALLS\]\s*(?:\[\{.*?(?:\}\]|\Z)|\w+\s*\{.*?(?:\}|\Z))", re.DOTALL)
BYTE: Final = re.compile(r"<0x([0-9A-F]{2})>")
HALF_CHANNEL: Final = re.compile(r"(?:<\|start\|>\s*assistant\s*)?<\|channel\|?>[^\n]{0,40}\Z", re.IGNORECASE)
"""The name of a channel that is not written out yet."""
SOLUTION: Final = re.compile(
    r"<\|(?:begin|end)_of_(?:solution|box|answer)\|>|<\|(?:start|end)_response\|>"
    rf"|{_LEFT}\s*/?\s*(?:final_|assistant_)?(?:answer|response|output|reply|final|回答|回复)"
    rf"(?:\s[^<>\n]{{0,60}}=[^<>\n]{{0,60}})?\s*{_RIGHT}",
    re.IGNORECASE,
)
"""What stands around the reply itself."""
_THOUGHT_LABELS = (
    *("思考", "思考过程", "推理过程", "内心独白", "内心活动", "分析过程", "thought", "thoughts"),
    *("thinking", "reasoning", "strategy", "推理", "分析", "策略"),
    "analysis",
)
LABELLED_THOUGHT: Final = re.compile(rf"\s*(?:\*\*)?(?:{'|'.join(_THOUGHT_LABELS)})(?:\*\*)?\s*[:：]", re.IGNORECASE)
LABELLED_REPLY: Final = re.compile(
    r"\n\s*(?:#{1,6}\s*)?(?:\*\*)?(?:(?:最终|正式|给\S{1,6}的)?(?:回答|回复|答复|回应|答案)|(?:final\s+)?(?:answer|response|reply))(?:\*\*)?\s*[:：]"
    r"(?:\*\*)?\s*",
    re.IGNORECASE,
)

OUR_LABELS: Final = (
    *("assistant", "supporter", "counselor", "counsellor", "therapist", "listener", "helper", "chatbot", "chatglm"),
    *("mindglm", "bot", "ai", "gpt", "model", "gpt4 correct assistant", "支持者", "咨询师", "心理咨询师", "倾听者"),
    *("助手", "机器人", "答", "助人者", "心理支持者", "陪伴者", "支援者", "助理", "辅导员", "ai助手", "ai 助手"),
    *("諮商師", "心理諮商師", "諮詢師", "心理諮詢師", "傾聽者", "機器人", "輔導員", "心理支援者"),
    *("心理师", "心理師", "志工"),
)
LEADING_LABELS: Final = (
    "answer",
    "response",
    "reply",
    "output",
    "回答",
    "回复",
    "答复",
    "我的回复",
    "我的回答",
    "回复如下",
)
"""Ours at the beginning only: within a reply they are words like others."""
THEIR_LABELS: Final = (
    *("human", "user", "seeker", "help-seeker", "help seeker", "client", "patient", "visitor", "system"),
    *("instruction", "input", "question", "gpt4 correct user", "求助者", "来访者", "倾诉者", "用户", "人类", "系统"),
    *("患者", "问", "q", "学生", "咨询者", "来询者", "案主", "访客"),
    *("來訪者", "傾訴者", "用戶", "使用者", "人類", "系統", "問", "學生", "諮詢者", "個案", "訪客"),
    *("student", "求助人", "来访", "來訪"),
)
INSIDE_LABELS: Final = ("human", "user", "seeker", "supporter", "assistant", "求助者", "支持者")
"""Cut also within a line: nobody is addressed by them."""
_OURS = f"(?:{'|'.join(OUR_LABELS)})"
_LEADING_OURS = f"(?:{'|'.join((*OUR_LABELS, *LEADING_LABELS))})"
_THEIRS = f"(?:{'|'.join(THEIR_LABELS)})"
_LABEL_TAIL = r"\s*(?:[（(][^()（）:：\n]{1,12}[)）])?\s*(?:\*\*|__)?\s*[:：]\s*(?:\*\*|__)?"
_SPECIAL = (
    r"bos|eos|pad|unk|mask|sep|cls|sop|eop|eoa|eoh|eot|eom|eod|eom_id|s|human|user|bot|assistant|system|_user|_bot|_system"
    r"|reserved_\w{1,30}|unused_?\w{1,30}|extra_id_\d+|tokens_unused_\d+|(?:start|end|begin)_of_\w{1,30}|im_(?:start|end)"
    r"|endoftext|eot_id|\w{1,30}_token|\w{1,20}_token_\d+|ai|client|seeker|supporter|用户|seed:(?:bos|eos)"
)
_FRAME = (
    r"<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>|＜\|[^|＜＞\n]{1,40}\|＞|\[\|[^|\[\]\n]{1,40}\|\]"
    rf"|</?(?:{_SPECIAL})>|</?<?/?SYS>>|\[/?INST\]|\[gMASK\]|\[s?MASK\]|\[(?:CLS|SEP|PAD|UNK|BOS|EOS|EOT|END)\]"
    r"|[（(\[【]\s*(?:end of (?:reply|response|message|text|conversation|dialogue)|(?:回复|回答|对话)结束|全文完)"
    r"\s*[)）\]】]"
    r"|<\|turn>|<turn\|>|\[e~\[|\[(?:USER|BOT|HUMAN|ASSISTANT)\]"
    r"|<SPECIAL_\d+>|\A\s*/(?:no_?)?think\b"
    r"|\[(?:UNUSED_TOKEN_\d+|/?AVAILABLE_TOOLS|/?TOOL_(?:CALLS|RESULTS|CONTENT)|/?SYSTEM_PROMPT)\]|\[Round\s*\d*\]?"
)
_BRACKETED = rf"[\[【<＜]\s*(?:{_OURS}|{_THEIRS})\s*[\]】>＞]"
_HEADING = rf"#{{2,6}}\s*(?:{_LEADING_OURS}|{_THEIRS})(?=\s*(?:[:：]|\n|$))"
_ROLE_LINE = rf"(?:^|\n)[ \t>]*(?:(?:\*\*|__)?(?:{_OURS}|{_THEIRS}){_LABEL_TAIL}|{_BRACKETED})"
_ROLE_ALONE = r"\n[ \t]*(?:user|human|assistant|system)[ \t]*(?=\n)"
_ROLE_INSIDE = rf"(?<![A-Za-z])(?:#{{2,6}}\s*)?(?:{'|'.join(INSIDE_LABELS)}){_LABEL_TAIL}"

_STRATEGY = (
    r"(?:questions?|reflection of feelings|restatement(?: or paraphrasing)?|self-disclosure"
    r"|affirmation(?: and reassurance)?|"
    r"providing suggestions?(?: or information)?|information|others?"
    r"|共情|情感反映|情感映射|肯定与安慰|提供建议|自我暴露|自我披露|复述|重述|澄清|提问)"
)
"""Of emotional support, as the replies of published data are labelled: `ESConv`, Liu et al. 2021."""

LEADING: Final = re.compile(
    rf"\s*(?:(?:{_FRAME})\s*(?:(?:{_OURS})\s*\n)?(?:[:：]\s*)?|(?:#{{2,6}}\s*)?(?:\*\*|__)?{_LEADING_OURS}(?:说|說|回应|回應)?道?{_LABEL_TAIL}"
    rf"|(?:#{{2,6}}\s*{_LEADING_OURS}|assistant|supporter|model|bot|支持者|助手)[ \t]*\n|assistant(?=\s*<\|)"
    r"|(?:(?:好的?|当然|没问题|当然可以|sure|certainly|of course|okay)[，,!！。. ]{0,3})?"
    r"(?:(?:以下|下面)是(?:我|给\S{0,6}|对\S{0,8})?的?(?:回复|回答|回应|答复)"
    r"|here(?:'s| is) (?:the|my|a)(?: \w+){0,2} (?:reply|response|answer))"
    r"[^\n:：]{0,30}[:：]\s*"
    rf"|[\[【<＜]\s*{_OURS}\s*[\]】>＞]\s*[:：]?|[\[【]\s*{_STRATEGY}\s*[\]】]\s*[:：]?\s*)",
    re.IGNORECASE,
)
"""What may stand before a reply, and is dropped."""
_ABOUT_THE_REPLY = (
    r"[（(]\s*(?:(?:注|备注|註|備註|字数|字數|说明|translation|word count|note)\s*[:：]|(?:完|全文完)\s*[）)])"
    r"|【(?:解析|分析|说明|說明|点评|點評|注释|注|备注)】|\n\s*(?:-{3,}\s*)?(?:\*\*)?(?:注|备注|註|note)(?:\*\*)?\s*[:：]"
)
"""What a model tells whoever asked it to write the reply."""
NEXT_SIDE: Final = re.compile(
    rf"{_FRAME}|{_HEADING}|{_ROLE_LINE}|{_ROLE_ALONE}|{_ROLE_INSIDE}|{_ABOUT_THE_REPLY}", re.IGNORECASE
)
"""Where a reply ends, and something else begins."""


ROUND: Final = re.compile(
    r"\n\s*[\[【(（]?\s*(?:第\s*[\d一二三四五六七八九十]{1,3}\s*轮(?:对话)?|(?:turn|round)\s*\d{1,3})\s*[\]】)）]?\s*[:：]?\s*\Z",
    re.IGNORECASE,
)
"""A heading of the next round of a conversation."""


def _beginnings(labels: Iterable[str]) -> frozenset[str]:
    return frozenset(label[:length] for label in labels for length in range(1, len(label) + 1))


_AT_LINE = _beginnings(
    (*OUR_LABELS, *LEADING_LABELS, *THEIR_LABELS, *(f"{label}说" for label in OUR_LABELS), "注", "备注", "註", "note")
)
_INSIDE_LINE = _beginnings(INSIDE_LABELS)
_AT_START = _beginnings(_THOUGHT_LABELS)
_MAY_ANNOUNCE = re.compile(
    r"\s*(?:(?:好的?|当然|没问题|当然可以|sure|certainly|of course|okay)[，,!！。. ]{0,3})?"
    r"(?:以|下|(?:以下|下面)[^\n:：。！？，,]{0,20}|h|he|her|here|here['’ ][^\n:：.!?，。]{0,50})?",
    re.IGNORECASE,
)
_MAY_BE_ASIDE = re.compile(
    r"\s*>[^\n]{0,60}|\s*[（(【\[]\s*(?:[^()（）【】\[\]:：]{0,8}|(?:思考|内心(?:独白|活动)?|心理活动|分析|旁白|thinking|thoughts?)\s*[:：]"
    r"[^()（）【】\[\]]{0,600})",
    re.IGNORECASE,
)
_ENDINGS = (
    *(f"end of {what})" for what in ("reply", "response", "message", "text", "conversation", "dialogue")),
    *(f"{what}:" for what in ("注", "备注", "註", "備註", "字数", "字數", "说明", "translation", "word count", "note")),
    *("完)", "完）"),
    *("回复结束)", "回答结束)", "对话结束)", "全文完)"),
)
_SWITCHES = ("/no_think", "/nothink", "/think")
_OPENERS = ("好的", "当然可以", "没问题", "sure", "certainly", "of course", "okay", "以下", "下面", "here")
_ROLE_IN_BRACKETS = re.compile(r"[（(][^()（）:：\n]{0,12}[)）]?\Z")
_MAX_MARKER = 60
"""Characters: a tail as long as that may still become a marker."""
_DECORATION = "#*_>-• \t\n"
_CLOSED_BY = {"<": ">", "＜": "＞", "◁": "▷", "[": "]", "【": "】"}


def held_back(text: str) -> int:
    """Length of a tail that may be the beginning of a marker."""
    tail = text[-_MAX_MARKER:]
    is_whole = len(tail) == len(text)
    if is_whole and _may_be_before_a_reply(text):
        return len(text)
    return next(
        (
            len(tail) - start
            for start in range(len(tail))
            if _may_become_a_marker(tail[start:], is_start=is_whole and start == 0, before=tail[start - 1 : start])
        ),
        0,
    )


def _may_be_before_a_reply(text: str) -> bool:
    """Something said about the reply, or an aside, that is not over yet."""
    begun = text.strip().lower()
    is_opener = bool(begun) and any(opener.startswith(begun) for opener in _OPENERS)
    is_opener = (
        is_opener or begun.rstrip("<|") == "assistant" or any(one.startswith(begun) for one in _SWITCHES if begun)
    )
    return is_opener or bool(_MAY_ANNOUNCE.fullmatch(text) or _MAY_BE_ASIDE.fullmatch(text))


def _may_become_a_marker(tail: str, *, is_start: bool, before: str) -> bool:
    if tail[0] in "（(":
        return any(ending.startswith(tail[1:].strip().lower()) for ending in _ENDINGS)
    if tail[0] in _CLOSED_BY or tail[0] in "&`":
        return _is_unclosed(tail, before)
    word = tail.lstrip(_DECORATION).lower()
    if not word:
        return tail[0] in "#\n" or is_start
    if before.isascii() and before.isalpha():
        return False
    is_at_line = is_start or "\n" in tail or tail[0] == "#"
    word = _ROLE_IN_BRACKETS.sub("", word).rstrip("* _\t")
    return word in (_AT_LINE if is_at_line else _INSIDE_LINE) or (is_start and word in _AT_START)


def _is_unclosed(tail: str, before: str) -> bool:
    if tail[0] == "`":
        return (before != "`" and "```".startswith(tail)) or (tail.startswith("```") and "\n" not in tail)
    if tail[0] == "&":
        return "&lt;".startswith(tail) or (tail.startswith("&lt;") and "&gt;" not in tail and "\n" not in tail)
    is_closed = _CLOSED_BY[tail[0]] in tail and not (tail.startswith("<<") and ">>" not in tail)
    return not (is_closed or "\n" in tail)
