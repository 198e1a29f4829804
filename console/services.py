"""The console's composition root: services built once from the settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from care import texts
from care.hotlines import Directory
from care.texts import Texts
from console import words
from console.board import Board
from console.figures import Gatherer
from console.rendering import Templates
from console.sessions import Lifetimes
from console.settings import ConsoleSettings
from console.single_sign_on import IdentityProvider, provider_of
from dialogue.broker.announcer import Announcer
from dialogue.broker.signals import Signals
from dialogue.process import home
from dialogue.process.opening import open_database
from dialogue.process.region import directory_of
from dialogue.storage.clock import Clock, utc_now
from dialogue.storage.database import Database
from dialogue.storage.vault import MasterKeys
from dialogue.telemetry.instruments import Instruments
from dialogue.telemetry.watch import instruments_for


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleServices:
    """Shared by all requests. Leave it by `close`."""

    settings: ConsoleSettings
    database: Database
    keys: MasterKeys
    signals: Signals
    words: dict[str, Texts]
    said_to_people: Texts
    hotlines: Directory
    templates: Templates
    instruments: Instruments
    gatherer: Gatherer
    board: Board
    lifetimes: Lifetimes
    provider: IdentityProvider | None
    channels: Mapping[str, Mapping[str, str]]
    clock: Clock

    @classmethod
    def open(
        cls, settings: ConsoleSettings, *, channels: Mapping[str, Mapping[str, str]], clock: Clock = utc_now
    ) -> Self:
        """Checks the schema and the key; raises `DialogueError`. `channels`: their labels by locale and name."""
        signals = Signals.connect(home.broker_url(settings))
        database, keys = open_database(settings, announce=Announcer(signals))
        instruments = instruments_for(settings)
        return cls(
            settings=settings,
            database=database,
            keys=keys,
            signals=signals,
            words=words.load(),
            said_to_people=texts.load(settings.locale),
            hotlines=directory_of(settings.region),
            templates=Templates(),
            instruments=instruments,
            board=Board(database, minutes=settings.case_minutes, clock=clock),
            gatherer=Gatherer(database, instruments=instruments, clock=clock),
            lifetimes=Lifetimes(
                whole=timedelta(hours=settings.console_session_hours),
                idle=timedelta(minutes=settings.console_idle_minutes),
                requires_second=settings.console_second_factor == "required",
            ),
            provider=provider_of(settings),
            channels=channels,
            clock=clock,
        )

    def close(self) -> None:
        self.gatherer.stop()
        self.signals.close()
        self.database.close()
