from pydantic import Field

from dialogue.process.settings import DialogueSettings


class PigeonSettings(DialogueSettings):
    pigeon_loft: str | None = Field(default=None, description="host:port of a loft; switches pigeons on.")
