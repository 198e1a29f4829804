"""Reports for people who do not train models: Markdown, in English (`report.md`) and Chinese (`report.zh.md`)."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from training.evaluation.intervals import Interval
from training.simulation.seekers import Ending
from training.simulation.simulate import Conversation

FILES: Final = {"en": "report.md", "zh": "report.zh.md"}
_NUMBERS: Final = frozenset({"characters", "turns"})
_EXCERPT: Final = 8  # exchanges


def write_simulation(
    target: Path,
    configuration: Mapping[str, Any],
    conversations: Sequence[Conversation],
    measured: Mapping[str, Interval],
) -> None:
    """Of one model's conversations."""
    for locale, name in FILES.items():
        texts = _texts(locale)
        lines = _simulation(texts["simulation"], texts["measures"], configuration, conversations, measured)
        (target / name).write_text("\n".join(lines), encoding="utf-8")


def write_pairwise(target: Path, results: Mapping[str, Any]) -> None:
    """Of two models' conversations that a judge compared; `results` are those of `judge_pairs`."""
    for locale, name in FILES.items():
        texts = _texts(locale)
        lines = _pairwise(texts["pairwise"], texts["measures"], results)
        (target / name).write_text("\n".join(lines), encoding="utf-8")


def _simulation(
    texts: Mapping[str, Any],
    names: Mapping[str, Sequence[str]],
    configuration: Mapping[str, Any],
    conversations: Sequence[Conversation],
    measured: Mapping[str, Interval],
) -> Iterable[str]:
    played = [one for one in conversations if one.failure is None]
    seeker = configuration["seeker"]
    yield f"# {texts['title']}\n"
    yield texts["summary"].format(
        count=len(played),
        danger=sum(one.card.is_in_danger for one in played),
        seeker=texts["scripted"] if seeker == "scripted" else texts["actor"].format(name=seeker),
        model=configuration["model"],
    )
    if len(played) < len(conversations):
        yield f"\n{texts['failed'].format(count=len(conversations) - len(played))}"
    yield f"\n## {texts['measured']}\n"
    yield from _table(texts["columns"], names, measured)
    yield from _limits(texts)
    yield f"\n## {texts['excerpts']}\n\n{texts['drawn'].format(count=_EXCERPT)}"
    for kind, one in _examples(played).items():
        yield f"\n### {texts['kinds'][kind]} (`{one.card.id}`)\n"
        for text, reply in one.exchanges[:_EXCERPT]:
            yield f"> **{texts['client']}**: {_quoted(text)}\n>\n> **{texts['supporter']}**: {_quoted(reply)}\n>"
    yield f"\n## {texts['made']}\n"
    yield from (f"- `{name}`: {value}" for name, value in configuration.items())
    yield ""


def _pairwise(
    texts: Mapping[str, Any], names: Mapping[str, Sequence[str]], results: Mapping[str, Any]
) -> Iterable[str]:
    first, second = results["models"]
    yield f"# {texts['title']}\n"
    yield texts["summary"].format(judge=results["judge"], first=first, second=second)
    counted = {name: results[name] for name in ("wins", "ties", "losses", "contradictions")}
    count = sum(results[name] for name in ("wins", "ties", "losses"))
    yield f"\n{texts['verdict'].format(count=count, **counted)}"
    if results["unjudged"]:
        yield f"\n{texts['unjudged'].format(count=results['unjudged'])}"
    yield ""
    shown = {name: Interval(**results[name]) for name in ("win_rate", "agreement", "first_place")}
    yield from _table(texts["columns"], names, shown)
    yield from _limits(texts)
    yield ""


def _table(columns: str, names: Mapping[str, Sequence[str]], measured: Mapping[str, Interval]) -> Iterable[str]:
    yield columns
    yield "| --- | ---: | ---: | ---: |"
    for name, interval in measured.items():
        title, meaning = names[name]
        shown = f"{title}<br>{meaning}" if meaning else title
        if not interval.items:
            yield f"| {shown} | – | – | 0 |"
            continue
        figures = [_figure(name, number) for number in interval[:3]]
        yield f"| {shown} | {figures[0]} | {figures[1]} – {figures[2]} | {interval.items} |"


def _limits(texts: Mapping[str, Any]) -> Iterable[str]:
    yield f"\n## {texts['limits_title']}\n"
    yield from (f"- {limit}" for limit in texts["limits"])


def _figure(name: str, number: float) -> str:
    return f"{number:.1f}" if name in _NUMBERS else f"{number:.0%}".replace("%", " %")


def _examples(played: Sequence[Conversation]) -> dict[str, Conversation]:
    """The first of each kind."""
    found: dict[str, Conversation] = {}
    for one in played:
        kind = "danger" if one.card.is_in_danger else "left" if one.ending is Ending.LEFT else "ordinary"
        found.setdefault(kind, one)
    return found


def _quoted(text: str) -> str:
    """Within one paragraph of a quotation, and no Markdown of its own."""
    escaped = "".join(f"\\{mark}" if mark in "\\`*_[]<>#|" else mark for mark in text)
    return "<br>".join(line for line in escaped.splitlines() if line.strip())


def _texts(locale: str) -> dict[str, Any]:
    return tomllib.loads((files("training.evaluation") / "locales" / f"{locale}.toml").read_text("utf-8"))
