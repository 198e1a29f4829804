"""The engine port over vLLM servers of our own: on this machine, for this process, and gone with it."""

from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from prometheus_client import Metric

from worker.engine.completions import Server
from worker.engine.openai import OpenAI
from worker.engine.port import EngineFailed, Load, Progress, Request
from worker.vllm import metrics
from worker.vllm.replica import Launch, Patience, Replica
from worker.vllm.route import ADDRESS, ServerRoute


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is served, and by which servers."""

    version: str
    server: Server
    launches: Sequence[Launch]


class Vllm:
    """Starts the servers, sends each conversation to one of them, and ends them."""

    def __init__(self, deploy: Callable[[], Deployment], *, capacity: int, patience: Patience | None = None) -> None:
        """`deploy` may take long: it converts the model if needed."""
        self.capacity = capacity
        self._deploy = deploy
        self._patience = patience
        self._deployment: Deployment | None = None
        self._replicas: list[Replica] = []
        self._client: OpenAI | None = None

    @property
    def model_version(self) -> str:
        """Names the weights by their digest, as our own engine does."""
        return self._started()[0].version

    @property
    def prompt_version(self) -> str:
        """Names the prompt format."""
        return self._started()[1].prompt_version

    @property
    def load(self) -> Load:
        """Requests on their way to the servers, and those that wait in a server's queue."""
        if self._client is None:
            return Load(running=0, waiting=0)
        ours, waiting = self._client.load, int(metrics.waiting(self._replicas))
        return Load(running=max(ours.running - waiting, 0), waiting=ours.waiting + waiting)

    def fatal_error(self) -> str | None:
        """None: a server that ends is started again, and a new process would do no better."""
        return None

    def is_ready(self) -> bool:
        """Whether at least one server answers."""
        return any(replica.port is not None for replica in self._replicas)

    def start(self) -> None:
        """Convert the model if needed, start all servers and wait until they answer. Raises `ModelUnusable`."""
        deployment = self._deploy()
        self._replicas = [Replica(launch, patience=self._patience) for launch in deployment.launches]
        try:
            for replica in self._replicas:
                replica.start()
            for replica in self._replicas:
                replica.wait()
            self._client = OpenAI(self._routed(deployment.server), capacity=self.capacity)
            self._client.start()
        except BaseException:
            self.stop()
            raise
        self._deployment = deployment

    def stop(self) -> None:
        """Cancel open requests and end the servers, all at the same time."""
        if self._client is not None:
            self._client.stop()
        if self._replicas:
            with ThreadPoolExecutor(len(self._replicas)) as pool:
                list(pool.map(Replica.stop, self._replicas))
        self._client, self._deployment, self._replicas = None, None, []

    def cancel(self, request_id: str) -> None:
        """Close its connection; the server frees its place."""
        if self._client is not None:
            self._client.cancel(request_id)

    def stream(self, request: Request) -> Generator[Progress, None, None]:
        """Yield the reply as it grows; see the port. Raises also `EngineAway`."""
        return self._started()[1].stream(request)

    def metric_families(self) -> Iterable[Metric]:
        """What the servers measure, as of the last look, each with its server's name."""
        return metrics.families(self._replicas)

    def _routed(self, server: Server) -> Server:
        return replace(
            server, base_url=ADDRESS, transport=lambda: ServerRoute(self._replicas, max_connections=2 * self.capacity)
        )

    def _started(self) -> tuple[Deployment, OpenAI]:
        if self._deployment is None or self._client is None:
            raise EngineFailed("the engine is not running")
        return self._deployment, self._client
