"""What the operator asks of people before their words may be kept and given to the model, and the words for it."""

from dataclasses import dataclass, field

import structlog

from care import languages
from care.age import ADULT, YOUNGEST_SERVED, AgeBand
from care.disclosure import Notice, notice
from care.hotlines import Directory
from care.texts import Texts, load
from care.traditional import to_traditional
from care.visit import MINORS_REST
from dialogue.core.people import KnownPerson
from dialogue.process.settings import DialogueSettings

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The same for everybody who writes to this process."""

    notice: Notice
    texts: Texts
    is_required: bool
    serves_children: bool
    is_labelling: bool
    fillings: dict[str, object] = field(repr=False)
    versions: frozenset[str] = frozenset()
    """Of the same notice in the other languages."""

    def is_open(self, person: KnownPerson) -> bool:
        """Whether that person's words may be kept and given to the model."""
        if person.declined_at is not None or self.turns_away(person.age_band):
            return False
        return not self.is_required or person.consent_version in {self.notice.version, *self.versions}

    def turns_away(self, band: AgeBand | None) -> bool:
        """Whether people of that age are told where to find help, and no more."""
        return band is AgeBand.CHILD and not self.serves_children

    def was_shown_to(self, person: KnownPerson) -> bool:
        """Whether they have seen the notice as it reads now, in any language."""
        return person.asked_version in {self.notice.version, *self.versions}

    def was_shown_here(self, person: KnownPerson) -> bool:
        """Whether they have seen it in the language that they are spoken to in."""
        return person.asked_version == self.notice.version

    def say(self, key: str) -> str:
        """A text of the locale, with the operator's days and the region's telephone numbers."""
        return self.texts.say(key, **self.fillings)


def gate(
    texts: Texts,
    directory: Directory,
    *,
    retention_days: int,
    is_required: bool,
    serves_children: bool,
    is_labelling: bool,
    language: str | None = None,
) -> Gate:
    """The gate of one process in one language; the notice is drawn up once."""
    drawn_up = notice(texts, directory, retention_days=retention_days, has_guardian_consent=serves_children)
    fillings = directory.fillings(texts.locale)
    if language == languages.TRADITIONAL:
        drawn_up = Notice(version=_version(drawn_up, language), text=to_traditional(drawn_up.text))
        fillings = {name: to_traditional(words) for name, words in fillings.items()}
    return Gate(
        notice=drawn_up,
        texts=texts,
        is_required=is_required,
        serves_children=serves_children,
        is_labelling=is_labelling,
        fillings={
            "retention_days": retention_days,
            "minimum_age": YOUNGEST_SERVED,
            "adult_age": ADULT,
            "minutes": int(MINORS_REST.total_seconds() // 60),
            **fillings,
        },
    )


def versions(directory: Directory, *, retention_days: int, serves_children: bool) -> frozenset[str]:
    """Of the notice in every language: an agreement to one of them holds for all."""
    return frozenset(
        _version(
            notice(
                load(languages.locale_of(language, "zh")),
                directory,
                retention_days=retention_days,
                has_guardian_consent=serves_children,
            ),
            language,
        )
        for language in languages.ALL
    )


def _version(drawn_up: Notice, language: str | None) -> str:
    """The same words in another script are another notice."""
    return f"{drawn_up.version}t" if language == languages.TRADITIONAL else drawn_up.version


def warn_if_nobody_is_asked(settings: DialogueSettings) -> None:
    """At every start of a channel: a setting meant for pilots must not be forgotten."""
    if settings.consent == "off":
        log.warning("consent_is_off", hint="MINDGLM_CONSENT=off: nobody is asked before their words are kept")
