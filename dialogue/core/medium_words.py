"""What a person showed, where only words can stand for it."""

from care.texts import Texts
from dialogue.core import content_types
from dialogue.core.media import SeenMedium
from dialogue.states import MediumState


def named(medium: SeenMedium, texts: Texts) -> dict[str, str]:
    """`kind` and `name` for a sentence."""
    name = texts.say("medium_named", name=medium.name) if medium.name else ""
    return {"kind": texts.say(f"medium_{medium.kind}"), "name": name}


def in_brackets(medium: SeenMedium, texts: Texts) -> str:
    """As a line of a conversation, with the reason why it cannot be seen."""
    why = texts.say(f"medium_lost_{medium.loss}") if medium.loss is not None else ""
    if medium.state is MediumState.WANTED:
        why = texts.say("medium_wanted")
    return texts.say("medium_in_words", why=why, **named(medium, texts))


def file_name(medium: SeenMedium) -> str:
    """What the content is called where it is a file."""
    otherwise = f"{medium.kind}-{medium.received_at:%Y%m%d-%H%M%S}"
    return content_types.file_name(medium.name, content_type=medium.content_type, otherwise=otherwise)
