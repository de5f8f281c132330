"""Many rows as one JSON parameter: one call of a C encoder here instead of a thousand bound values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import Column, Text, bindparam, cast, func
from sqlalchemy import column as named
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.selectable import TableValuedAlias

KEY_CHARACTERS = 200  # a B-tree refuses long keys, and a page may claim any number

Row = dict[str, Any]


def given(*columns: Column[Any]) -> TableValuedAlias:
    """The rows handed over with `rows()`, as a table with these columns; a key a row lacks is NULL."""
    shape = [named(column.name, column.type) for column in columns]
    parameter = cast(bindparam("rows", type_=Text()), JSONB)
    return (
        func.jsonb_to_recordset(parameter).table_valued(*shape, name="given").render_derived(with_types=True)
    )


def rows(found: Sequence[Row]) -> dict[str, str]:
    """The parameter for `given`. NUL and lone surrogates, which PostgreSQL does not take, become U+FFFD."""
    try:
        encoded = to_json(found, inf_nan_mode="null")
    except PydanticSerializationError:
        encoded = to_json(_sound(found), inf_nan_mode="null")
    if b"\\u0000" in encoded:
        encoded = to_json(_sound(found), inf_nan_mode="null")
    return {"rows": encoded.decode()}


def key(text: str) -> str:
    """Text as it can stand in an index."""
    text = _sound(text)
    if len(text) > KEY_CHARACTERS:
        return f"{text[: KEY_CHARACTERS - 33]}#{sha256(text.encode()).hexdigest()[:32]}"
    return text


def _sound(value: Any) -> Any:
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                value = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return value.replace("\0", "\ufffd")
    if isinstance(value, Mapping):
        return {_sound(name): _sound(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_sound(member) for member in value]
    return value
