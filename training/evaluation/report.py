"""The report for people, in English and Chinese: HTML files that need nothing beside them."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple

from training.evaluation.answers import Question
from training.evaluation.intervals import wilson

REPORTS: Final = {"en": "report.html", "zh": "report.zh.html"}
GROUPS: Final = ("relevance", "habits", "judge", "similarity", "loss")
_PUBLISHED: Final = "published_"
_SHARES: Final = frozenset({"relevance", "habits"})
_COUNTS: Final = frozenset({"judged", "unjudged", "characters"})
_OF_RUNS: Final = "repeated_within_a_reply"
"""A share, but not of replies, so that no interval can be given."""


class Figure(NamedTuple):
    """What a model shows of a measure: the figure, its 95 % interval where there is one, and a bar's percentage."""

    shown: str
    interval: str = ""
    bar: float = 0.0


class Row(NamedTuple):
    """A measure: what it is called, what that means, and a figure for each model."""

    title: str
    meaning: str
    figures: Sequence[Figure]


def write(
    target: Path, results: Mapping[str, Any], openings: Sequence[Question], samples: Sequence[Sequence[str]]
) -> list[Path]:
    """One file for each language. `samples` are, model by model, the replies to `openings`."""
    return [_write(target / name, locale, results, openings, samples) for locale, name in REPORTS.items()]


def _write(
    file: Path,
    locale: str,
    results: Mapping[str, Any],
    openings: Sequence[Question],
    samples: Sequence[Sequence[str]],
) -> Path:
    from jinja2 import Environment

    written = files("training.evaluation")
    texts = tomllib.loads((written / "locales" / f"{locale}.toml").read_text("utf-8"))
    models: Mapping[str, Any] = results["models"]
    template = Environment(autoescape=True).from_string((written / "report.html.jinja").read_text("utf-8"))
    page = template.render(
        locale=locale,
        texts=texts["evaluation"],
        models=list(models),
        tables=[(group, _rows(list(models.values()), group, texts)) for group in GROUPS if _has(models, group)],
        reward=results.get("reward_model"),
        samples=list(zip(openings, zip(*samples, strict=True), strict=True)),
    )
    file.write_text(page, encoding="utf-8")
    return file


def _has(models: Mapping[str, Any], group: str) -> bool:
    return any(group in one for one in models.values())


def _rows(models: Sequence[Mapping[str, Any]], group: str, texts: Mapping[str, Any]) -> list[Row]:
    names = list(dict.fromkeys(name for one in models for name in one.get(group, {})))
    return [
        Row(*_named(name, texts), _figures(models, group, name))
        for name in names
        if not name.endswith(("_low", "_high"))
    ]


def _named(name: str, texts: Mapping[str, Any]) -> tuple[str, str]:
    """Title and meaning of a measure; that of published replies stands beneath what it is compared with."""
    if name.startswith(_PUBLISHED):
        return texts["evaluation"]["published"], ""
    return tuple(texts["measures"].get(name, (name, "")))


def _figures(models: Sequence[Mapping[str, Any]], group: str, name: str) -> list[Figure]:
    values = [one.get(group, {}).get(name) for one in models]
    if group in _SHARES and name not in _COUNTS:
        return [_share(value, one, name) for value, one in zip(values, models, strict=True)]
    most = max((value for value in values if value is not None), default=0.0) or 1.0
    return [_number(value, most, one.get(group, {}), name) for value, one in zip(values, models, strict=True)]


def _share(value: float | None, model: Mapping[str, Any], name: str) -> Figure:
    if value is None:
        return Figure("–")
    if name.endswith(_OF_RUNS):
        return Figure(f"{value:.1%}", bar=100 * value)
    count = model["counted"]["about_something" if name.endswith("related") else "replies"]
    found = wilson(round(value * count), count)
    return Figure(f"{value:.0%}", f"{found.low:.0%} – {found.high:.0%}", 100 * value)


def _number(value: float | None, most: float, group: Mapping[str, Any], name: str) -> Figure:
    if value is None:
        return Figure("–")
    bounds = [group.get(f"{name}_{end}") for end in ("low", "high")]
    interval = "" if None in bounds else f"{bounds[0]:.2f} – {bounds[1]:.2f}"
    return Figure(f"{value:.4g}", interval, 0.0 if name in _COUNTS else 100 * value / most)
