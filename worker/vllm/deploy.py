"""From the settings to servers: the model, the GPUs, the command lines."""

from collections.abc import Iterator

from dialogue.errors import Misconfigured
from dialogue.process import home
from worker.engine.completions import Server
from worker.settings import WorkerSettings
from worker.vllm import command
from worker.vllm.engine import Deployment
from worker.vllm.gpus import Layout, lay_out, visible_gpus
from worker.vllm.model import Servable, servable
from worker.vllm.replica import Launch
from worker.vllm.route import ADDRESS


def refuse_what_vllm_has_not(settings: WorkerSettings) -> None:
    """No setting is passed over without a word. Raises `Misconfigured`."""
    if settings.quantize is not None:
        raise Misconfigured(
            "MINDGLM_QUANTIZE is our own engine's. With MINDGLM_ENGINE=vllm use MINDGLM_VLLM_ARGUMENTS, e.g. "
            "--quantization bitsandbytes."
        )
    if (settings.guidance or 1) > 1:
        raise Misconfigured("vLLM has no guidance: leave MINDGLM_GUIDANCE out, or set MINDGLM_ENGINE=transformers.")
    if settings.device not in {"auto", "cuda", "cpu"}:
        raise Misconfigured(
            f"MINDGLM_DEVICE={settings.device} is our own engine's. With MINDGLM_ENGINE=vllm name the GPUs in "
            "CUDA_VISIBLE_DEVICES."
        )
    command.extra_arguments(settings)
    if command.find_command(settings) is None:
        raise Misconfigured(
            "vLLM is not installed here. Install it into an environment of its own (pip install vllm) and set "
            'MINDGLM_VLLM_COMMAND, e.g. "/opt/vllm/bin/vllm serve".'
        )


def deploy(settings: WorkerSettings) -> Deployment:
    """Prepare the model and plan the servers. Raises `ModelUnusable`, `Misconfigured`."""
    model = servable(settings, max_context=command.MAX_LENGTH)
    gpus = [] if settings.device == "cpu" else visible_gpus()
    layout = lay_out(
        gpus,
        weight_bytes=model.weight_bytes,
        per_server=settings.vllm_gpus_per_server,
        servers=settings.vllm_servers,
    )
    return Deployment(
        version=model.version,
        server=Server(
            base_url=ADDRESS,
            model=command.SERVED_NAME,
            prompter=model.prompter,
            temperature=settings.temperature,
            top_p=settings.top_p,
            top_k=settings.top_k,
        ),
        launches=list(_launches(settings, model, layout)),
    )


def _launches(settings: WorkerSettings, model: Servable, layout: Layout) -> Iterator[Launch]:
    start = command.find_command(settings) or []
    logs = home.home(settings) / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    for number, gpus in enumerate(layout.groups):
        name = f"vllm-{number}"
        yield Launch(
            name=name,
            argv=lambda port, gpus=gpus: command.argv(  # type: ignore[misc]  # bound now, for each server
                start,
                model.directory,
                port=port,
                context=model.context,
                dtype=settings.dtype,
                gpus=gpus,
                extra=command.extra_arguments(settings),
            ),
            environment=lambda key, gpus=gpus: command.environment(key, gpus),  # type: ignore[misc]  # as above
            log=logs / f"{name}.log",
        )
