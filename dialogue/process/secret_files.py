"""Reads secrets from files, the way containers and systemd provide them.

For each secret setting ``MINDGLM_X``, ``MINDGLM_X_FILE`` may name the file that holds its value.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from dialogue.errors import Misconfigured

_MAX_BYTES = 64 * 1024  # secrets are short; a longer file was named by mistake


def is_secret(field: FieldInfo) -> bool:
    """Whether this setting's value must not be shown."""
    return SecretStr in {field.annotation, *get_args(field.annotation)}


class SecretFiles(PydanticBaseSettingsSource):
    """Reads the files that ``…_FILE`` variables of the environment or of ``.env`` name; raises `Misconfigured`."""

    def __init__(self, settings: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(settings)
        self._variables = variables

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        values = {name: self.get_field_value(field, name)[0] for name, field in fields.items() if is_secret(field)}
        return {name: value for name, value in values.items() if value is not None}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        del field
        variable = f"{self.config.get('env_prefix', '')}{field_name}".lower()
        file = self._variables.get(f"{variable}_file")
        if not file:
            return None, field_name, False
        if self._variables.get(variable):
            raise Misconfigured(f"{variable.upper()} and {variable.upper()}_FILE are both set; one of them is enough.")
        return _read(Path(file), f"{variable}_file".upper()), field_name, False


def _read(file: Path, variable: str) -> str:
    """One line, without the line ending."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_BYTES + 1)
        text = content.decode("utf-8").strip()
    except OSError as error:
        raise Misconfigured(f"{variable} cannot be read: {error.strerror}: {file}") from error
    except UnicodeDecodeError:
        raise Misconfigured(f"{variable} names a file that is not text: {file}") from None
    if not text or len(content) > _MAX_BYTES or "\n" in text:
        raise Misconfigured(f"{variable} names a file that is not a single line of text: {file}")
    return text
