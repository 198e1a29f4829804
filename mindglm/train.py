"""``mindglm train``: from dialogues to a model that answers; each phase of it is one command."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from mindglm import language
from mindglm.train_data import Data, Target
from mindglm.train_data import app as data_commands
from mindglm.train_measure import Resume as ResumeMeasuring
from mindglm.train_measure import app as measuring_commands
from mindglm.training_refusals import refusals

if TYPE_CHECKING:
    from training.recipe import Recipe

    AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)

app = typer.Typer(
    help="Train a model: data, tokenizer, pretraining, fine-tuning, reward model, PPO, DPO, evaluation.",
    no_args_is_help=True,
)

app.add_typer(data_commands)
app.add_typer(measuring_commands)

Model = Annotated[Path, typer.Option(help="The directory of the model to begin with.")]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="A YAML file; what it leaves out has defaults.")]
Hours = Annotated[float | None, typer.Option(help="Wall-clock budget; the learning rate falls towards its end.")]
Steps = Annotated[int | None, typer.Option(help="Steps; with --hours, whichever ends first.", min=1)]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in the directory; --hours and --steps prolong it.")
]
Full = Annotated[bool, typer.Option("--full", help="Train all weights (small models) instead of a LoRA adapter.")]
Compared = Annotated[list[Path], typer.Option(help="Comparisons to learn from; may be given several times.")]
HeldOut = Annotated[list[Path], typer.Option(help="Comparisons to measure with.")]


@app.command(epilog="Example: mindglm train pretrain run --data corpus --tokenizer tokenizer --hours 2")
def pretrain(
    target: Target,
    data: Data,
    tokenizer: Annotated[Path, typer.Option(help="A directory of `mindglm train tokenizer`, or of a model.")],
    *,
    source: Annotated[Path | None, typer.Option("--from", help="Go on from these published weights.")] = None,
    recipe: RecipeFile = None,
    hours: Hours = None,
    steps: Steps = None,
    resume: Resume = False,
) -> None:
    """Train a small model from scratch, or further; the result is TARGET/model."""
    with refusals():
        from training import pretrain as phase
        from training.recipe import PretrainRecipe

        inputs = {"corpus": data, "tokenizer": tokenizer, "from": source or "scratch"}
        made = _recipe(PretrainRecipe, target, recipe, inputs, resume=resume, hours=hours, steps=steps)
        phase.pretrain(
            target, data=data, tokenizer=tokenizer, recipe=made, source=source, is_resumed=resume, say=language.echo
        )


@app.command(epilog="Example: mindglm train sft run --model ~/MindGLM --data corpus --hours 8")
def sft(
    target: Target,
    model: Model,
    data: Data,
    *,
    recipe: RecipeFile = None,
    hours: Hours = None,
    steps: Steps = None,
    full: Full = False,
    resume: Resume = False,
    estimate: Annotated[bool, typer.Option("--estimate", help="Only say what it would take.")] = False,
) -> None:
    """Fine-tune on the supporter's words: TARGET/adapter for MINDGLM_ADAPTER, or TARGET/model with --full."""
    with refusals():
        from training import sft as phase
        from training.recipe import SftRecipe

        if estimate:
            _estimate(model, recipe, phase="sft", full=full, tokens=_tokens(data))
            return
        inputs = {"model": model, "corpus": data}
        made = _recipe(SftRecipe, target, recipe, inputs, resume=resume, full=full, hours=hours, steps=steps)
        phase.tune(target, model=model, data=data, recipe=made, is_resumed=resume, say=language.echo)


@app.command(
    epilog="Example: mindglm train reward run --model m --compared c/train.jsonl.gz --held-out c/held_out.jsonl.gz"
)
def reward(
    target: Target,
    model: Model,
    compared: Compared,
    held_out: HeldOut,
    *,
    recipe: RecipeFile = None,
    hours: Hours = None,
    steps: Steps = None,
    full: Full = False,
    resume: Resume = False,
) -> None:
    """Train a reward model from comparisons."""
    with refusals():
        from training import reward as phase
        from training.recipe import RewardRecipe

        inputs = {"model": model, "compared": " ".join(map(str, compared))}
        made = _recipe(RewardRecipe, target, recipe, inputs, resume=resume, full=full, hours=hours, steps=steps)
        phase.train_reward(
            target, model=model, learned=compared, held_out=held_out, recipe=made, is_resumed=resume, say=language.echo
        )


@app.command(epilog="Example: mindglm train ppo run --model sft/model --reward-model reward --data corpus --full")
def ppo(
    target: Target,
    model: Model,
    reward_model: Annotated[Path, typer.Option(help="A directory of `mindglm train reward`.")],
    data: Data,
    *,
    recipe: RecipeFile = None,
    hours: Hours = None,
    steps: Steps = None,
    full: Full = False,
    resume: Resume = False,
) -> None:
    """Optimise the replies for a reward model, held near where they began."""
    with refusals():
        from training import ppo as phase
        from training.recipe import PpoRecipe

        inputs = {"model": model, "reward model": reward_model, "corpus": data}
        made = _recipe(PpoRecipe, target, recipe, inputs, resume=resume, full=full, hours=hours, steps=steps)
        phase.train_ppo(
            target, model=model, reward_model=reward_model, data=data, recipe=made, is_resumed=resume, say=language.echo
        )


@app.command(
    epilog="Example: mindglm train dpo run --model m --compared c/train.jsonl.gz --held-out c/held_out.jsonl.gz"
)
def dpo(
    target: Target,
    model: Model,
    compared: Compared,
    held_out: HeldOut,
    *,
    recipe: RecipeFile = None,
    hours: Hours = None,
    steps: Steps = None,
    full: Full = False,
    resume: Resume = False,
) -> None:
    """Learn from comparisons directly: no reward model, nothing drawn."""
    with refusals():
        from training import dpo as phase
        from training.recipe import DpoRecipe

        inputs = {"model": model, "compared": " ".join(map(str, compared))}
        made = _recipe(DpoRecipe, target, recipe, inputs, resume=resume, full=full, hours=hours, steps=steps)
        phase.train_dpo(
            target, model=model, learned=compared, held_out=held_out, recipe=made, is_resumed=resume, say=language.echo
        )


@app.command("eval", epilog="Example: mindglm train eval report --model run/model --model other --data corpus")
def evaluate(
    target: Target,
    model: Annotated[list[Path], typer.Option(help="A model's directory; several stand side by side.")],
    data: Data,
    *,
    adapter: Annotated[list[Path] | None, typer.Option(help="An adapter of the first model, beside it.")] = None,
    turns: Annotated[Path | None, typer.Option(help="Dialogues whose every turn is answered, e.g. CPsyCounE.")] = None,
    dialogues: Annotated[int, typer.Option(help="Held-out dialogues for the losses.", min=1)] = 500,
    openings: Annotated[int, typer.Option(help="Held-out openings that are answered.", min=1)] = 50,
    reward_model: Annotated[Path | None, typer.Option(help="Measure its accuracy on --compared.")] = None,
    compared: Annotated[Path | None, typer.Option(help="Held-out comparisons.")] = None,
    judge: Annotated[str | None, typer.Option(help="An OpenAI-compatible server that scores the replies.")] = None,
    judge_model: Annotated[str, typer.Option(help="Its name of the model.")] = "",
    judge_key: Annotated[str | None, typer.Option(envvar="MINDGLM_JUDGE_KEY", help="Its key.")] = None,
    resume: ResumeMeasuring = False,
) -> None:
    """Measure models as they are served; TARGET/report.html shows them side by side, report.zh.html in Chinese."""
    with refusals():
        from training.evaluation import evaluate as phase
        from training.evaluation.chat_server import Address
        from training.recipe import TuningRecipe

        plan = phase.Plan(
            candidates=[phase.Candidate(one) for one in model]
            + [phase.Candidate(model[0], one) for one in adapter or ()],
            data=data,
            turns=turns,
            dialogues=dialogues,
            openings=openings,
            reward_model=reward_model,
            preferences=compared,
            judge=Address(judge, judge_model, judge_key) if judge else None,
        )
        phase.evaluate(plan, target, recipe=TuningRecipe(lora=None), say=language.echo, is_resumed=resume)
        language.echo(f"{target / 'report.html'}")
        language.echo(f"{target / 'report.zh.html'}")


@app.command(epilog="Example: mindglm train estimate --tokens 40000000")
def estimate(
    model: Annotated[Path | None, typer.Option(help="A model's directory. Default: the shape of ChatGLM2-6B.")] = None,
    *,
    phase: Annotated[Literal["sft", "reward", "dpo", "ppo"], typer.Option(help="Which phase.")] = "sft",
    recipe: RecipeFile = None,
    full: Full = False,
    tokens: Annotated[int, typer.Option(help="To be trained on.", min=1)] = 10_000_000,
    teraflops: Annotated[
        float | None, typer.Option(help="Of plain products. Default: measured on this machine.")
    ] = None,
) -> None:
    """Memory and time of a phase, before it starts."""
    with refusals():
        _estimate(model, recipe, phase=phase, full=full, tokens=tokens, teraflops=teraflops)


def _recipe(
    kind: "type[AnyRecipe]",
    target: Path,
    file: Path | None,
    inputs: Mapping[str, object],
    *,
    resume: bool,
    full: bool = False,
    hours: float | None = None,
    steps: int | None = None,
) -> "AnyRecipe":
    """The recipe of a new run, or the one that is kept in the directory. Raises `TrainingTrouble`."""
    from training import recipe as recipes

    if resume:
        kept = recipes.kept(kind, target)
        longer = {name: value for name, value in (("hours", hours), ("steps", steps)) if value is not None}
        return kept.model_copy(update=longer)
    named = {name: str(value) for name, value in inputs.items()}
    made = recipes.read(kind, file, {"hours": hours, "steps": steps, "inputs": named})
    return made.model_copy(update={"lora": None}) if full else made


def _estimate(
    model: Path | None, file: Path | None, *, phase: str, full: bool, tokens: int, teraflops: float | None = None
) -> None:
    from training import estimate as arithmetic
    from training import recipe as recipes
    from training.machine import settle

    made = recipes.read(recipes.OF_PHASE[phase], file, {})
    if full:
        made = made.model_copy(update={"lora": None})
    device = settle(made)
    flops = teraflops * 1e12 if teraflops else arithmetic.measured_flops(made, device)
    found = arithmetic.estimate(arithmetic.shape_of(model), made, flops=flops)
    language.echo(f"parameters   {found.parameters / 1e6:,.0f} M, of which {found.trained / 1e6:,.1f} M learn")
    language.echo(
        f"memory       {found.total_gib:.1f} GiB: weights {found.weights_gib:.1f}, "
        f"optimiser {found.optimiser_gib:.1f}, activations {found.activations_gib:.1f}, "
        f"logits {found.logits_gib:.1f}, rollouts {found.rollouts_gib:.1f}"
    )
    hours = found.seconds_per_million * tokens / 1e6 / 3600
    language.echo(
        f"time         {hours:.1f} hours for {tokens / 1e6:.1f} M tokens at {flops / 1e12:.2f} TFLOPS on {device}"
    )


def _tokens(data: Path) -> int:
    """Of a corpus, roughly: 1.6 characters of Chinese to a token."""
    from training.data import corpus

    found = corpus.statistics(corpus.load(data).train)
    return round((found["client_characters"] + found["supporter_characters"]) / 1.6)
