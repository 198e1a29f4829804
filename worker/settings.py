"""The worker's settings beside the dialogue's: which model, on which device, how many replies at once."""

from typing import Literal

from pydantic import Field, SecretStr

from dialogue.process.settings import DialogueSettings


class WorkerSettings(DialogueSettings):
    """The worker's settings; see ``.env.example`` for all of them."""

    engine: Literal["auto", "transformers", "vllm", "openai", "scripted"] = Field(
        default="auto",
        description="transformers: our own engine; vllm: a vLLM server that the worker starts; openai: a server that "
        "others run; scripted: for tests. auto: vllm on a GPU with 24 GB where it is installed, else transformers.",
    )
    model: str | None = Field(
        default=None, description="Hub id or directory, e.g. ZhangCNN/MindGLM. Default: the bundled small model."
    )
    adapter: str | None = Field(
        default=None, description="Directory of a LoRA adapter or P-tuning prefix, or a name of MINDGLM_ADAPTERS."
    )
    adapters: str | None = Field(
        default=None,
        description="Several, by name: calm=/models/calm,brief=/models/brief; `mindglm model use` changes to another.",
    )
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = Field(default="auto", description="Weights' type.")
    quantize: Literal["int8", "int4"] | None = Field(
        default=None, description="Store the linear layers' weights in fewer bits; int4 on GPUs only."
    )
    revision: str | None = Field(
        default=None, description="Commit, tag or branch of MINDGLM_MODEL on the hub. Default: its newest commit."
    )
    hub: Literal["huggingface", "modelscope"] = Field(
        default="huggingface", description="Where a model that is not here is fetched; HF_ENDPOINT names a mirror."
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, cuda:1, mps.")
    prompt_style: Literal["seed", "fullwidth"] = Field(
        default="seed", description="Punctuation of the prompt's frame; `mindglm model probe` measures which fits."
    )
    concurrency: int | None = Field(
        default=None, ge=1, description="Replies generated at once by one worker. Default: by the hardware."
    )
    threads: int | None = Field(default=None, ge=1, description="CPU threads of torch. Default: measured choice.")
    max_reply_tokens: int = Field(default=512, ge=1, description="Tokens of one reply.")
    temperature: float = Field(default=0.8, gt=0, description="The seed's sampling temperature.")
    top_p: float = Field(default=0.8, gt=0, le=1, description="The seed's nucleus.")
    top_k: int = Field(default=50, ge=1, description="The seed's effective top k.")
    guidance: float | None = Field(
        default=None,
        ge=1,
        description="Scale of classifier-free guidance towards the last message, at twice the computation. "
        "1: off. Default: as the model's generation_config.json says, else off; the bundled model has it on.",
    )
    retrieval: bool = Field(
        default=True,
        description="Whether the bundled model answers with replies written beforehand (worker/prewritten) instead of "
        "writing. Other models always write. The name is older: some replies were once retrieved from a collection.",
    )
    turn_seconds: float = Field(default=120, gt=0, description="A reply that takes longer is cancelled and retried.")
    shutdown_seconds: float = Field(
        default=50, ge=0, description="After SIGTERM, how long replies may finish before they are given back."
    )
    vllm_command: str | None = Field(
        default=None,
        description='What starts vLLM, e.g. "/opt/vllm/bin/vllm serve". Default: the `vllm` that is installed here.',
    )
    vllm_arguments: str = Field(default="", description="More arguments for it, e.g. --gpu-memory-utilization 0.8")
    vllm_servers: int | None = Field(
        default=None, ge=1, description="vLLM servers; each conversation stays with one. Default: as many as fit."
    )
    vllm_gpus_per_server: int | None = Field(
        default=None, ge=1, description="GPUs that share one copy of the model. Default: as few as hold it."
    )
    vllm_start_seconds: float = Field(
        default=1200, gt=0, description="How long a vLLM server may take until it answers for the first time."
    )
    openai_base_url: str | None = Field(default=None, description="e.g. http://127.0.0.1:8000/v1")
    openai_api_key: SecretStr | None = Field(default=None, description="Sent as a bearer token.")
    openai_proxy: SecretStr | None = Field(
        default=None,
        description="Proxy to the model's server: http, https or socks5. Default: HTTPS_PROXY and similar variables; "
        "a server on this machine is always asked directly.",
    )
    openai_model: str | None = Field(default=None, description="The server's name of the model.")
    openai_prompt: Literal["rounds", "chat"] | None = Field(
        default=None,
        description="rounds: our own rendered prompt; chat: the server's template. Default: by the model's name.",
    )
    scripted_delay_seconds: float = Field(default=0, ge=0, description="Seconds to the whole scripted reply.")
    scripted_reply: str = Field(
        default="收到：{text}", description="{text}: the person's words; {turns}: earlier turns in the window."
    )
    scripted_tokens_per_second: float | None = Field(
        default=None, gt=0, description="Scripted pace, one token per character, on top of the delay."
    )
    scripted_break_after: int | None = Field(
        default=None, ge=0, description="Scripted replies after which the engine is unrecoverable, to rehearse that."
    )
    scripted_fail_every: int | None = Field(
        default=None, ge=1, description="Every n-th scripted reply fails half-way, to rehearse failures."
    )

    @property
    def is_bundled_model(self) -> bool:
        """Whether replies come from the demonstration model that ships with the project."""
        return self.engine in {"auto", "transformers"} and self.model is None
