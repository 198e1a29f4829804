"""The part of ``mindglm train`` that makes what is learned from: corpus, tokenizer, comparisons."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from mindglm import language
from mindglm.training_refusals import refusals

app = typer.Typer()

Target = Annotated[Path, typer.Argument(help="A directory for the result.")]
Data = Annotated[Path, typer.Option(help="A corpus of `mindglm train data`.")]


@app.command(epilog="Example: mindglm train data smilechat.jsonl.gz --into corpus --licence 'SmileChat, CC0-1.0'")
def data(
    files: Annotated[
        list[Path], typer.Argument(help="SmileChat, ShareGPT, EmoLLM, Alpaca, ChatGLM2 and others: docs/training.md.")
    ],
    *,
    into: Annotated[Path, typer.Option(help="A new directory.")],
    licence: Annotated[str, typer.Option(help="Under what terms the dialogues may be trained on.")],
    held_out: Annotated[float, typer.Option(help="Share of the dialogues never trained on.", min=0, max=1)] = 0.01,
    single: Annotated[bool, typer.Option("--single", help="Take dialogues of one exchange too.")] = False,
) -> None:
    """Clean, deduplicate and split dialogues; say what was refused and why."""
    with refusals():
        import yaml

        from training.data import corpus

        card = corpus.build(files, into, held_out=held_out, licence=licence, has_single_turns=single)
        typer.echo(yaml.safe_dump(card, allow_unicode=True, sort_keys=False), nl=False)


@app.command(epilog="Example: mindglm train tokenizer tokenizer --data corpus")
def tokenizer(
    target: Target,
    data: Data,
    size: Annotated[int, typer.Option(help="Ids.", min=512)] = 8192,
    every: Annotated[int, typer.Option(help="Of the dialogues, each n-th is read.", min=1)] = 4,
) -> None:
    """Train a small tokenizer whose prompt frame nobody can type."""
    with refusals():
        from dialogue.process.settings import INSTRUCTION
        from training import vocabulary
        from training.data import corpus

        dialogues = corpus.load(data).train[::every]
        texts = (text for dialogue in dialogues for exchange in dialogue.exchanges for text in exchange)
        vocabulary.save(vocabulary.train(texts, size=size, instruction=INSTRUCTION), target)
        language.echo(f"{target} holds a tokenizer of at most {size} ids.")


@app.command(epilog="Example: mindglm train export swift --for ms-swift --model ~/MindGLM --data corpus")
def export(
    target: Target,
    model: Annotated[Path, typer.Option(help="The directory of the model that is to be trained.")],
    *,
    tool: Annotated[Literal["ms-swift", "llama-factory"], typer.Option("--for", help="Which tool will train.")],
    data: Annotated[Path | None, typer.Option(help="A corpus of `mindglm train data`.")] = None,
    compared: Annotated[list[Path] | None, typer.Option(help="Comparisons for DPO; several times.")] = None,
) -> None:
    """Write examples and recipes for a tool that trains on several GPUs; what comes back is served here."""
    with refusals():
        from training import export as phase

        for name, count in phase.export(target, model=model, tool=tool, data=data, compared=compared or ()).items():
            typer.echo(f"{target / name}.jsonl: {count} examples")
        typer.echo(f"{target}/*.yaml: how to train with them, in the first line of each")


@app.command(epilog="Example: mindglm train compare comparisons --data corpus")
def compare(
    target: Target,
    data: Data,
    count: Annotated[int, typer.Option(help="Comparisons to learn from; a tenth more to measure with.", min=10)] = 8000,
    seed: Annotated[int, typer.Option(help="Of the chance.")] = 20261121,
) -> None:
    """Make synthetic comparisons, published replies against the same made worse, labelled as synthetic."""
    with refusals():
        from training.data import corpus
        from training.data.degradations import synthetic
        from training.data.preferences import write_preferences

        read = corpus.load(data)
        target.mkdir(parents=True, exist_ok=True)
        for name, side, wanted in (("train", read.train, count), ("held_out", read.held_out, count // 10)):
            made = write_preferences(target / f"{name}.jsonl.gz", synthetic(side, count=wanted, seed=seed))
            language.echo(f"{target / name}.jsonl.gz: {made} synthetic comparisons")


@app.command(epilog="Example: MINDGLM_TRAINING_KEY=$(mindglm key) mindglm train feedback ratings.sealed")
def feedback(target: Annotated[Path, typer.Argument(help="A new file, sealed with MINDGLM_TRAINING_KEY.")]) -> None:
    """Export comparisons from 👍 and 👎 of people who agreed to exactly that; nobody has unless they said so."""
    with refusals():
        from dialogue.process import home
        from dialogue.process.key_file import master_keys
        from dialogue.process.settings import DialogueSettings
        from dialogue.storage.database import connect
        from training.data import feedback as source

        key = source.training_key()
        settings = DialogueSettings.read()
        database = connect(home.database_url(settings))
        try:
            with database.begin() as session:
                found = source.comparisons(session, master_keys(settings), settings)
            language.echo(f"{target}: {source.write_sealed(target, found, key)} comparisons")
        finally:
            database.close()
