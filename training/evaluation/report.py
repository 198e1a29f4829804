"""The report for people: one HTML file that needs nothing beside it."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.evaluation.answers import Question

REPORT = "report.html"
_TEMPLATE = Path(__file__).parent / "report.html.jinja"
_GROUPS = ("loss", "relevance", "habits", "similarity", "judge")


def write(
    target: Path, results: Mapping[str, Any], openings: Sequence[Question], samples: Sequence[Sequence[str]]
) -> Path:
    """`samples` are, model by model, the replies to `openings`."""
    from jinja2 import Environment

    models: Mapping[str, Any] = results["models"]
    template = Environment(autoescape=True).from_string(_TEMPLATE.read_text(encoding="utf-8"))
    page = template.render(
        models=list(models),
        tables=[(group, _table(models, group)) for group in _GROUPS if any(group in one for one in models.values())],
        reward=results.get("reward_model"),
        picture=_picture(models),
        samples=list(zip(openings, zip(*samples, strict=True), strict=True)),
    )
    file = target / REPORT
    file.write_text(page, encoding="utf-8")
    return file


def _table(models: Mapping[str, Any], group: str) -> list[tuple[str, list[str]]]:
    names = list(dict.fromkeys(name for one in models.values() for name in one.get(group, {})))
    return [(name, [_number(one.get(group, {}).get(name)) for one in models.values()]) for name in names]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _picture(models: Mapping[str, Any]) -> str:
    """Losses and habits as bars, in base64."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    width = 0.8 / len(models)
    panels = (
        (left, "loss", ("supporter", "all"), "held-out loss (nats per character)"),
        (right, "habits", ("question", "advice_list", "repeated_sentence", "guard_blocked"), "share of replies"),
    )
    for axes, group, names, title in panels:
        for number, found in enumerate(models.values()):
            places = [index + number * width for index in range(len(names))]
            axes.bar(places, [found[group].get(name, 0.0) for name in names], width, label=f"model {number + 1}")
            axes.set_xticks([index + 0.4 - width / 2 for index in range(len(names))], names, rotation=15)
            axes.set_title(title)
        axes.legend()
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    return base64.b64encode(drawn.getvalue()).decode()
