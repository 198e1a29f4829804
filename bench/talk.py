"""Twenty-five conversations with a model as it is served: does it answer what was said, does it repeat itself?

    python -m bench.talk                                  # the bundled model
    python -m bench.talk --no-retrieval                   # the model's own words alone
    python -m bench.talk --conversations bench/more_conversations.jsonl
    python -m bench.talk --conversations bench/new_conversations.jsonl  # the newest
    python -m bench.talk --model DIR --guidance 1 --show
    python -m bench.talk --human corpus/held_out.jsonl.gz # the same measures on people's (published) replies

Ours are the client's words alone (bench/conversations.jsonl); the model hears its own replies, through the window.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch

from care.guard import Guard, guard
from care.hotlines import directory
from dialogue.process.settings import INSTRUCTION
from training.data.dialogue import Dialogue, read_dialogues
from training.data.windows import before
from training.evaluation.habits import habits
from training.evaluation.relevance import Replied, shares
from worker.engine.assemble import assemble
from worker.engine.batched import Batched
from worker.engine.port import Exchange, Request
from worker.settings import WorkerSettings

_CONVERSATIONS = Path(__file__).parent / "conversations.jsonl"


class Answered(NamedTuple):
    """A turn and what was answered; `earlier` are the replies before it, `probe` what it must and must not contain."""

    text: str
    reply: str
    earlier: tuple[str, ...]
    probe: dict[str, list[str]] | None = None


def main(arguments: Sequence[str] | None = None) -> None:
    """Talk and print."""
    options = _options(arguments)
    if options.human:
        answered = list(_human(read_dialogues(options.human)))
        report: dict[str, Any] = {"replies of": str(options.human)}
    else:
        answered, report = _talk(options)
    report |= measures(answered, guard(directory()))
    if options.show:
        for one in answered:
            print(f"> {one.text}\n{one.reply}\n")
    print(json.dumps(report, ensure_ascii=False, indent=None if options.json else 1))


def measures(answered: Sequence[Answered], checked: Guard) -> dict[str, Any]:
    """Shares of the replies, except where the name says otherwise."""
    shown = [habits(one.reply) for one in answered]
    probes = [_holds(one.reply, one.probe) for one in answered if one.probe]
    count = len(answered)
    return {
        "replies": count,
        **shares([Replied(one.text, one.reply, one.earlier) for one in answered]),
        "guard_blocked": sum(checked.judge(one.reply, is_finished=True, said=one.text).is_blocked for one in answered)
        / count,
        "memory": f"{sum(probes)} of {len(probes)}",
        **{name: sum(name in one for one in shown) / count for name in ("question", "advice_list", "role_leak")},
        "characters": statistics.mean(len(one.reply) for one in answered),
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a model's directory; by default the bundled one")
    parser.add_argument("--conversations", type=Path, default=_CONVERSATIONS)
    parser.add_argument("--retrieval", action=argparse.BooleanOptionalAction, help="as MINDGLM_RETRIEVAL")
    parser.add_argument("--guidance", type=float, help="as MINDGLM_GUIDANCE")
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--top-p", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--times", type=int, default=1, help="each conversation is held so often")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--human", type=Path, help="measure the replies of a corpus instead")
    parser.add_argument("--show", action="store_true", help="print every reply")
    parser.add_argument("--json", action="store_true", help="in one line")
    return parser.parse_args(arguments)


def _talk(options: argparse.Namespace) -> tuple[list[Answered], dict[str, Any]]:
    torch.manual_seed(options.seed)
    names = ("model", "guidance", "temperature", "top_p", "threads", "retrieval")
    changes = {name: value for name in names if (value := getattr(options, name)) is not None}
    settings = WorkerSettings.read().model_copy(update=changes)
    engine = Batched(lambda: assemble(settings, capacity=options.at_once), capacity=options.at_once)
    began = time.monotonic()
    engine.start()
    loaded = time.monotonic()
    conversations = [json.loads(line) for line in options.conversations.read_text(encoding="utf-8").splitlines()]
    try:
        with ThreadPoolExecutor(options.at_once) as pool:
            held = pool.map(
                lambda numbered: list(_converse(engine, settings, *numbered)),
                enumerate(conversations * options.times),
            )
            answered = [one for conversation in held for one in conversation]
    finally:
        engine.stop()
    return answered, {
        "model": engine_name(settings),
        "seconds_to_load": round(loaded - began, 2),
        "seconds": round(time.monotonic() - loaded, 1),
    }


def engine_name(settings: WorkerSettings) -> str:
    """What is measured, for the report."""
    replies = "prewritten" if settings.retrieval and settings.model is None else "its own"
    return f"{settings.model or 'bundled'}, guidance {settings.guidance or 'as the model says'}, {replies} replies"


def _converse(
    engine: Batched, settings: WorkerSettings, number: int, conversation: dict[str, Any]
) -> Iterator[Answered]:
    exchanges: list[Exchange] = []
    for place, text in enumerate(conversation["says"]):
        dialogue = Dialogue((*exchanges, Exchange(text, "")))
        request = Request(
            id=f"{number}-{place}",
            instruction=INSTRUCTION,
            history=before(dialogue, place, instruction=INSTRUCTION),
            text=text,
            max_tokens=settings.max_reply_tokens,
            deadline_seconds=600,
        )
        *_, last = engine.stream(request)
        yield Answered(
            text, last.text, tuple(one.reply for one in exchanges), conversation.get("probes", {}).get(str(place))
        )
        exchanges.append(Exchange(text, last.text))


def _human(dialogues: Sequence[Dialogue]) -> Iterator[Answered]:
    for dialogue in dialogues:
        replies = [exchange.reply for exchange in dialogue.exchanges]
        for place, exchange in enumerate(dialogue.exchanges):
            yield Answered(exchange.text, exchange.reply, tuple(replies[:place]))


def _holds(reply: str, probe: dict[str, list[str]]) -> bool:
    return any(word in reply for word in probe["right"]) and not any(word in reply for word in probe["wrong"])


if __name__ == "__main__":
    main()
