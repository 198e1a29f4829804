"""What the adapters must know besides the dialogue's settings."""

from dialogue.settings import DialogueSettings


class BotSettings(DialogueSettings):
    """The adapters' settings; each channel adds its own."""
