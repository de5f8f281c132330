"""Settings: environment MARKETWATCH_*, then `marketwatch.toml` in the home folder, then the defaults below."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from marketwatch.errors import ConfigError, Place


def find_home() -> Path:
    """The folder that holds rules/, data/ and spiders/: MARKETWATCH_HOME, or the nearest one upwards with a
    scrapy.cfg, or the checkout this package runs from."""
    if named := os.environ.get("MARKETWATCH_HOME"):
        return Path(named).resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "scrapy.cfg").is_file() and (folder / "rules").is_dir():
            return folder
    return Path(__file__).resolve().parent.parent


@cache
def reference(name: str) -> tuple[tuple[str, ...], ...]:
    """The rows of a table of data/reference/, parted at blanks; without comments."""
    lines = (find_home() / "data" / "reference" / name).read_text("utf-8").splitlines()
    return tuple(tuple(line.split()) for line in lines if line and not line.startswith("#"))


class Settings(BaseSettings):
    """All settings. Sizes in bytes, times in seconds."""

    model_config = SettingsConfigDict(env_prefix="MARKETWATCH_", extra="forbid", frozen=True)

    home: Path = Path()
    var: Path | None = None  # made at run time: database, archive, objects; default <home>/data/var
    database_url: str | None = None  # None: the embedded PostgreSQL in var/
    chromium: Path | None = None  # a browser to drive; default: what is found
    user_agent: str = "marketwatch/0.1 (+market regulator monitoring; contact in campaign)"
    heartbeat: float = 10.0  # of a worker, into the database
    dead_after: float = 60.0  # a worker without heartbeat for so long is dead; its targets go to others
    database_patience: float = 30.0  # a database away for less only costs time
    segment_bytes: int = 256 * 1024 * 1024
    segment_age: float = 3600.0
    max_page_bytes: int = 16 * 1024 * 1024
    page_timeout: float = 30.0
    min_free_bytes: int = 200 * 1024 * 1024  # below it a crawl stops cleanly and can be resumed

    @property
    def var_dir(self) -> Path:
        return self.var or self.home / "data" / "var"

    @property
    def platforms_dir(self) -> Path:
        return self.home / "spiders" / "platforms"

    @property
    def rules_dir(self) -> Path:
        return self.home / "rules"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls, find_home() / "marketwatch.toml")
        return init_settings, env_settings, toml


@cache
def settings() -> Settings:
    """The settings of this process, read once. Raises ConfigError that names the faulty setting."""
    try:
        return Settings(home=find_home())
    except ValidationError as exc:
        first = exc.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise ConfigError(
            first["msg"],
            place=Place(f"MARKETWATCH_{name.upper()} / marketwatch.toml", field=name),
            hint="correct the setting or remove it",
        ) from None
