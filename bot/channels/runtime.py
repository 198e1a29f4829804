"""A channel's adapter while it runs."""

from collections.abc import Callable, Mapping
from typing import Protocol

from dialogue.tables import Figure


class Runtime(Protocol):
    """What listens and speaks on one platform."""

    async def run(self, on_ready: Callable[[], None]) -> None:
        """Until stopped; raises `Misconfigured` for what no restart mends, `Deaf` for what one may."""

    def stop(self) -> None: ...

    def figures(self) -> Mapping[str, Figure]: ...

    def trouble(self) -> str | None: ...
