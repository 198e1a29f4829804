"""The part of ``mindglm train`` that holds conversations with simulated seekers and lets a judge compare two models."""

import json
from pathlib import Path
from typing import Annotated

import typer

from mindglm import language
from mindglm.train_data import Target
from mindglm.training_refusals import refusals

app = typer.Typer()

Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the results in the directory; nothing is done twice.")
]


@app.command(epilog="Example: mindglm train simulate talks --model ~/MindGLM --adapter sft/adapter")
def simulate(
    target: Target,
    *,
    model: Annotated[Path | None, typer.Option(help="A model's directory. Default: the model of the settings.")] = None,
    adapter: Annotated[Path | None, typer.Option(help="An adapter of it.")] = None,
    server: Annotated[str | None, typer.Option(help="An OpenAI-compatible server of the model instead.")] = None,
    server_model: Annotated[str | None, typer.Option(help="Its name of the model.")] = None,
    actor: Annotated[
        str | None, typer.Option(help="An OpenAI-compatible server that plays the seekers. Default: a script.")
    ] = None,
    actor_model: Annotated[str, typer.Option(help="Its name of the model.")] = "",
    actor_key: Annotated[str | None, typer.Option(envvar="MINDGLM_ACTOR_KEY", help="Its key.")] = None,
    card: Annotated[list[str] | None, typer.Option(help="Only these roles; several times. Default: all 40.")] = None,
    turns: Annotated[int, typer.Option(help="Exchanges of a conversation at most.", min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Of the chance.")] = 1,
    resume: Resume = False,
) -> None:
    """Let a model talk with simulated seekers; TARGET/report.md says in plain words how it did."""
    with refusals():
        from training.evaluation import plain_report
        from training.evaluation.chat_server import Address
        from training.simulation import measures
        from training.simulation import simulate as phase
        from training.simulation.counsellor import Served

        plan = phase.Plan(
            served=Served(model=model, adapter=adapter, server=server, server_model=server_model),
            actor=Address(actor, actor_model, actor_key) if actor else None,
            cards=card or (),
            max_turns=turns,
            seed=seed,
        )
        conversations = phase.simulate(plan, target, say=language.echo, is_resumed=resume)
        configuration, _ = phase.load(target)
        measured = measures.measure(conversations)
        plain_report.write_simulation(target, configuration, conversations, measured)
        _write(target, {name: interval.as_json() for name, interval in measured.items()})


@app.command(epilog="Example: mindglm train pairwise verdict talks-a talks-b --judge http://127.0.0.1:8000/v1")
def pairwise(
    target: Target,
    first: Annotated[Path, typer.Argument(help="A directory of `mindglm train simulate`.")],
    second: Annotated[Path, typer.Argument(help="That of another model, with the same roles and limits.")],
    *,
    judge: Annotated[str, typer.Option(help="An OpenAI-compatible server that compares.")],
    judge_model: Annotated[str, typer.Option(help="Its name of the model.")] = "",
    judge_key: Annotated[str | None, typer.Option(envvar="MINDGLM_JUDGE_KEY", help="Its key.")] = None,
    resume: Resume = False,
) -> None:
    """Let a judge compare two models' conversations, each pair in both orders; TARGET/report.md has the outcome."""
    with refusals():
        from training.evaluation import pairwise as phase
        from training.evaluation import plain_report
        from training.evaluation.chat_server import Address

        results = phase.judge_pairs(
            first, second, target, Address(judge, judge_model, judge_key), say=language.echo, is_resumed=resume
        )
        plain_report.write_pairwise(target, results)
        _write(target, results)


def _write(target: Path, results: object) -> None:
    (target / "results.json").write_text(json.dumps(results, ensure_ascii=False, indent=2), encoding="utf-8")
    language.echo(f"{target / 'report.md'}")
    language.echo(f"{target / 'report.zh.md'}")
