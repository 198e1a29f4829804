"""The composition root of a channel's process: database, inbox, broker, maintenance loops."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Self

from bot.executors import Executors
from bot.incoming.consent_terms import gate, versions
from bot.incoming.inbox import Inbox
from bot.incoming.limits import Limits
from bot.incoming.second_reader import Endpoint, SecondReader
from bot.incoming.situation import Spoken
from bot.meters import BotMeters
from bot.outgoing.bounces import Bounces
from bot.outgoing.crisis_alarms import CrisisAlarms
from bot.outgoing.late_texts import LateTexts
from bot.staff.calls.escalation import CallWays, Escalation
from bot.staff.reset_all import ResetAll
from care import languages, texts
from care.hotlines import Directory
from care.scripts import Voice
from care.texts import Texts
from dialogue.admin.office import Office
from dialogue.admin.takeover_timeout import TakeoverTimeout
from dialogue.broker.announcer import Announcer
from dialogue.broker.doorbell import Doorbell
from dialogue.broker.signals import Signals
from dialogue.process import home
from dialogue.process.duty_hours import DutyHours
from dialogue.process.opening import open_database
from dialogue.process.region import directory_of
from dialogue.process.settings import DialogueSettings
from dialogue.storage.clock import utc_now
from dialogue.storage.database import Database
from dialogue.storage.vault import MasterKeys
from dialogue.telemetry.instruments import Instruments
from dialogue.telemetry.traces import traces_for
from dialogue.telemetry.watch import instruments_for
from dialogue.upkeep.forgetting import Forgetting
from dialogue.upkeep.housekeeper import Housekeeper
from dialogue.upkeep.sweeper import Sweeper

_LOCK_SECONDS = 1.0
"""A frozen worker may hold the row of somebody's turn: their message is retried, and nobody else waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotServices:
    """Shared by the channels of one process. Leave it by `close`."""

    database: Database
    keys: MasterKeys
    texts: Texts
    pen: LateTexts
    broker_url: str
    inbox: Inbox
    sweeper: Sweeper
    housekeeper: Housekeeper
    resets: ResetAll
    escalation: Escalation
    signals: Signals
    doorbell: Doorbell
    instruments: Instruments
    meters: BotMeters
    office: Office
    crisis_alarms: CrisisAlarms
    bounces: Bounces
    executors: Executors
    second_reader: SecondReader | None

    @classmethod
    def open(cls, settings: DialogueSettings, *, is_attended: bool = True) -> Self:
        """Checks the schema and the key before anything is received; raises `DialogueError`.

        `is_attended`: staff can answer here. The first message waits for what screening reads and compiles, unless
        somebody called `screening.warm` before.
        """
        endpoint = Endpoint.of(settings)
        broker_url = home.broker_url(settings)
        doorbell = Doorbell(broker_url)
        signals = Signals.connect(broker_url)
        announcer = Announcer(signals, doorbell)
        database, keys = open_database(settings, lock_seconds=_LOCK_SECONDS, announce=announcer)
        words = texts.load(settings.locale)
        instruments = instruments_for(settings)
        meters = BotMeters(instruments, traces_for(settings, "mindglm-bot"))
        sweeper = Sweeper(
            database=database,
            keys=keys,
            apology=words.say("error_failed"),
            max_attempts=settings.max_attempts,
            instruments=instruments,
        )
        executors = Executors()
        office = Office.of(settings, keys, words)
        timeout = TakeoverTimeout(database=database, office=office, minutes=settings.takeover_minutes)
        forgetting = Forgetting(database=database, backups=home.backups(settings))
        housekeeper = Housekeeper(
            database=database,
            retention_days=settings.retention_days,
            instruments=instruments,
            chores=[timeout.end_forgotten, forgetting.keep],
        )
        directory = directory_of(settings.region)
        second_reader = SecondReader(endpoint, database, clock=utc_now) if endpoint is not None else None
        spoken = spoken_in(settings, directory)
        default = spoken[languages.language_of("", before=None, told=None, default=settings.locale)]
        inbox = Inbox(
            database=database,
            keys=keys,
            texts=default.texts,
            voice=default.voice,
            gate=default.gate,
            spoken=spoken,
            max_message_length=settings.max_message_length,
            limits=Limits.read(settings),
            meters=meters,
            office=office,
            shows_texts=settings.admin_texts,
            duty_hours=DutyHours.parse(settings.duty_hours, zone=office.zone),
            is_attended=is_attended,
            max_medium_bytes=settings.media_max_mb * 1_000_000,
            second_reader=second_reader,
            executor=executors.intake,
        )
        if second_reader is not None:
            second_reader.start()
        resets = ResetAll(database=database, office=office, instruments=instruments)
        alarms = CrisisAlarms(office=office)
        escalation = Escalation(
            database=database, office=office, ways=CallWays.of(settings, office), instruments=instruments
        )
        sweeper.start()
        housekeeper.start()
        resets.start()
        escalation.start()
        return cls(
            database=database,
            keys=keys,
            texts=words,
            pen=LateTexts(
                database=database,
                keys=keys,
                texts=words,
                directory=directory,
                forget=forgetting.forget,
                copies_days=home.copies_days(settings),
                link=office.link,
            ),
            broker_url=broker_url,
            inbox=inbox,
            sweeper=sweeper,
            housekeeper=housekeeper,
            resets=resets,
            escalation=escalation,
            signals=signals,
            doorbell=doorbell,
            instruments=instruments,
            meters=meters,
            office=office,
            crisis_alarms=alarms,
            bounces=Bounces(database=database, alarms=alarms, meters=meters, executor=executors.delivery),
            executors=executors,
            second_reader=second_reader,
        )

    def close(self) -> None:
        if self.second_reader is not None:
            self.second_reader.stop()
        self.sweeper.stop()
        self.housekeeper.stop()
        self.resets.stop()
        self.escalation.stop()
        self.executors.close()
        self.doorbell.close()
        self.signals.close()
        self.meters.traces.close()
        self.database.close()


def _is_labelling(settings: DialogueSettings) -> bool:
    """Where nobody is asked for consent, a label must be asked for."""
    return settings.label == "on" or (settings.label == "auto" and settings.consent == "required")


class SpokenByLanguage(Mapping[str, Spoken]):
    """Each language's words are prepared when somebody writes in it: OpenCC's dictionaries take 40 MB."""

    def __init__(self, prepare: Callable[[str], Spoken]) -> None:
        self._prepare = cache(prepare)

    def __getitem__(self, language: str) -> Spoken:
        if language not in languages.ALL:
            raise KeyError(language)
        return self._prepare(language)

    def __iter__(self) -> Iterator[str]:
        return iter(languages.ALL)

    def __len__(self) -> int:
        return len(languages.ALL)


def spoken_in(settings: DialogueSettings, directory: Directory) -> SpokenByLanguage:
    """What we say, by language."""
    every_version = versions(
        directory, retention_days=settings.retention_days, serves_children=settings.guardian_consent
    )
    return SpokenByLanguage(lambda language: _spoken(settings, directory, language, every_version))


def _spoken(settings: DialogueSettings, directory: Directory, language: str, every_version: frozenset[str]) -> Spoken:
    locale = languages.locale_of(language, settings.locale)
    words = texts.load(locale)
    drawn_up = gate(
        words,
        directory,
        retention_days=settings.retention_days,
        is_required=settings.consent == "required",
        serves_children=settings.guardian_consent,
        is_labelling=_is_labelling(settings),
        language=language,
    )
    said = languages.localized(words, language)
    voice = Voice(locale=locale, directory=directory, is_traditional=language == languages.TRADITIONAL)
    return Spoken(texts=said, voice=voice, gate=replace(drawn_up, texts=said, versions=every_version))
