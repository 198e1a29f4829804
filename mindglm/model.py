"""``mindglm model``: fetch, convert, check and probe the weights; nothing of it needs a database or a broker."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mindglm import language

if TYPE_CHECKING:
    from worker.settings import WorkerSettings

app = typer.Typer(help="The model: fetch, convert, check and probe its weights.", no_args_is_help=True)

_DEFAULT = "ZhangCNN/MindGLM"
_SAMPLE = ("我最近总是失眠，白天没有精神。", "可能是工作压力太大了，不知道怎么办。")


class HubChoice(StrEnum):
    """Where to fetch from."""

    HUGGINGFACE = "huggingface"
    MODELSCOPE = "modelscope"


Model = Annotated[str | None, typer.Option(help="Hub id or directory. Default: MINDGLM_MODEL, or the bundled one.")]


@app.command(epilog="Example: mindglm model fetch ZhangCNN/MindGLM")
def fetch(
    hub_id: Annotated[str, typer.Argument(help="The model on the hub, or a recommended one's short name.")] = _DEFAULT,
    revision: Annotated[str | None, typer.Option(help="Commit, tag or branch. Default: the newest commit.")] = None,
    hub: Annotated[HubChoice | None, typer.Option(help="Default: MINDGLM_HUB, or Hugging Face.")] = None,
    *,
    recommended: Annotated[bool, typer.Option("--recommended", help="Only list small open models.")] = False,
    scored: Annotated[
        list[Path] | None, typer.Option(help="Directories of `mindglm train simulate`, for the list's last column.")
    ] = None,
) -> None:
    """Download a model with progress; a second call goes on where the first one ended."""
    if recommended:
        _list_recommended(scored or ())
        return
    from mindglm.recommended import hub_id_of
    from worker.model.fetch import fetch_model
    from worker.settings import WorkerSettings

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    with _refusals():
        place = hub.value if hub is not None else WorkerSettings.read().hub
        typer.echo(fetch_model(hub_id_of(hub_id), revision=revision, hub=place, is_refreshed=True, tell=tell))


@app.command(epilog="Example: mindglm model convert ~/MindGLM ~/MindGLM-native")
def convert(
    source: Annotated[Path, typer.Argument(help="A directory in ChatGLM2's original form.")],
    target: Annotated[Path, typer.Argument(help="A new directory.")],
) -> None:
    """Write the native form (safetensors, fast tokenizer, chat template), for vLLM, training and safer starts."""
    from worker.model.convert import convert as write

    with _refusals():
        write(source.expanduser(), target.expanduser())
        language.echo(f"{target} holds the native form; set MINDGLM_MODEL to it.")


@app.command(epilog="Example: mindglm model merge ~/MindGLM ~/my-lora ~/MindGLM-mine")
def merge(
    source: Annotated[Path, typer.Argument(help="The base model's directory.")],
    adapter: Annotated[Path, typer.Argument(help="The directory of a LoRA adapter for it.")],
    target: Annotated[Path, typer.Argument(help="A new directory.")],
) -> None:
    """Write the base model with a LoRA adapter merged into it, in the native form."""
    from worker.model.convert import merge as write

    with _refusals():
        write(source.expanduser(), adapter.expanduser(), target.expanduser())
        language.echo(f"{target} holds the merged model; set MINDGLM_MODEL to it.")


@app.command(epilog="Example: mindglm model use calm")
def use(
    name: Annotated[str | None, typer.Argument(help="A name of MINDGLM_ADAPTERS, or none. Default: show them.")] = None,
) -> None:
    """Change the adapter without a restart: workers of this home finish their replies and load it."""
    from worker.engine.adapters import adapters_of
    from worker.settings import WorkerSettings

    adapters = adapters_of(WorkerSettings.read())
    if adapters is None:
        typer.echo("mindglm: MINDGLM_ADAPTERS names no adapters, e.g. calm=/models/calm,brief=/models/brief.", err=True)
        raise typer.Exit(1)
    if name is not None:
        adapters.use(name)
    for known, path in adapters.paths.items():
        mark = "*" if known == adapters.in_use() else " "
        typer.echo(f"{mark} {known}{f'  {path}' if path else ''}")


@app.command(epilog="Example: mindglm model check --model ~/MindGLM")
def check(
    model: Model = None,
    at_once: Annotated[int, typer.Option(help="Conversations for the measurement of speed.", min=1)] = 16,
) -> None:
    """Load the model, compare the engine with it, hold a short conversation, print memory and speed."""
    from worker.model.check import check as examine

    settings = _settings(model)
    with _refusals():
        report = examine(settings, capacity=at_once, texts=_SAMPLE)
    typer.echo(f"engine        {_engine_in_words(settings)}")
    verdict = "as it should be" if report.is_exact_enough else "TOO LARGE: do not serve this model with this engine"
    language.echo(
        f"model         {report.model_version}, {report.dtype} on {report.device}, prompt {report.prompt_version}"
    )
    language.echo(f"loaded in     {report.load_seconds:.1f} s; memory {report.memory_gib:.2f} GiB")
    language.echo(f"cache         {report.cache_tokens} tokens")
    language.echo(f"error         {report.parity_error:.1e} of the logits, {verdict}")
    if report.full_loss is None:
        language.echo(f"loss          {report.loss:.3f} nats per token of eight replies")
    else:
        language.echo(f"loss          {report.loss:.3f} nats per token of eight replies")
        language.echo(f"              {report.full_loss:.3f} without MINDGLM_QUANTIZE")
    language.echo(f"first token   {report.first_token_seconds:.2f} s")
    for count, speed in report.tokens_per_second.items():
        language.echo(f"speed         {speed:.0f} tokens/s with {count} at once")
    for text, reply in report.conversation:
        typer.echo(f"\n求助者: {text}\n支持者: {reply}")
    raise typer.Exit(not report.is_exact_enough)


@app.command(epilog='Example: mindglm model probe dialogues.jsonl   (a line: [["我睡不着", "多久了？"], …])')
def probe(
    dialogues: Annotated[Path, typer.Argument(help="One dialogue a line, a JSON list of [text, reply] pairs.")],
    model: Model = None,
    replies: Annotated[int, typer.Option(help="Replies to measure.", min=2)] = 50,
) -> None:
    """Measure which punctuation of the prompt, ASCII or full-width, the weights were trained on."""
    from worker.engine.assemble import open_model
    from worker.model.probe import probe as measure
    from worker.model.probe import read_dialogues
    from worker.tokenizer import load_tokenizer

    settings = _settings(model)
    with _refusals():
        read = read_dialogues(dialogues)
        examined, loaded = open_model(settings)
        tokenizer = load_tokenizer(examined.directory, has_prefix=True)
        found = measure(loaded, tokenizer, read, instruction=settings.instruction, max_replies=replies)
    for style, loss in found.losses.items():
        language.echo(f"{style:<10} {loss:.4f} nats per token of the supporter's words")
    language.echo(f"difference ±{found.standard_error:.4f} (standard error, {found.reply_count} replies)")
    if found.better is None:
        language.echo("No clear difference: leave MINDGLM_PROMPT_STYLE as it is.")
    else:
        language.echo(f"Set MINDGLM_PROMPT_STYLE={found.better}.")


def _list_recommended(scored: Sequence[Path]) -> None:
    from mindglm import recommended
    from mindglm.admin import printing

    columns = ("name", "on the hub", "licence", "parameters", "download", "memory", "in our evaluation")
    try:
        printing.table("", columns, recommended.rows(scored))
    except (OSError, ValueError, KeyError, StopIteration) as error:
        language.echo(f"mindglm: A directory of results cannot be read ({type(error).__name__}).", to_stderr=True)
        raise typer.Exit(1) from None
    language.echo(
        "memory: the weights at 16 bits, twice that where a processor has no bfloat16; the cache comes on top"
    )
    language.echo("Fetch one: mindglm model fetch qwen3-1.7b; then MINDGLM_MODEL=Qwen/Qwen3-1.7B")
    language.echo("Evaluate it: MINDGLM_MODEL=Qwen/Qwen3-1.7B mindglm train simulate talks")
    language.echo("and show the result: mindglm model fetch --recommended --scored talks")


def _engine_in_words(settings: "WorkerSettings") -> str:
    """What a worker would take; what is checked here is our own engine."""
    from mindglm.doctor import models, words
    from worker.engine.selection import Reason, choose_engine

    choice = choose_engine(settings)
    if choice.reason is Reason.SET:
        return f"MINDGLM_ENGINE={choice.engine}"
    return words.load("en").says(models.reason_for(choice))


def _settings(model: str | None) -> "WorkerSettings":
    from worker.engine.adapters import with_adapter_in_use
    from worker.settings import WorkerSettings

    settings = with_adapter_in_use(WorkerSettings.read())
    return settings if model is None else settings.model_copy(update={"model": model})


@contextmanager
def _refusals() -> Iterator[None]:
    """What is foreseen is one line and exit status 1."""
    from worker.engine.port import ModelUnusable

    try:
        yield
    except ModelUnusable as error:
        language.echo(f"mindglm: {error}", to_stderr=True)
        raise typer.Exit(1) from None
