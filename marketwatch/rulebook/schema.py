"""The rule language as a JSON Schema, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marketwatch.rulebook import Rulebook
from marketwatch.rulebook.model import DEFAULT_EVASION, EVASIONS, PAGE_TYPES, PLATFORM_TYPES, TEXT_FIELDS


def pack_schema(book: Rulebook) -> dict[str, Any]:
    """JSON Schema (2020-12) of a pack, with the topics and lists of `book` filled in."""
    text = {"type": ["string", "number"]}
    texts = {"anyOf": [text, {"type": "array", "items": text}]}
    lists = {"anyOf": [{"enum": sorted(book.lists)}, {"type": "array", "items": {"type": "string"}}]}
    fields = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    window = _object(
        {"word": texts, "list": lists, "within": {"type": "integer", "minimum": 0, "maximum": 200}}
    )
    condition = {"$ref": "#/$defs/condition"}
    conditions = {"type": "array", "items": condition, "minItems": 1}
    law = {
        "type": "array",
        "items": _object({"name": {"type": "string"}, "article": {"type": "string"}}, ["name"]),
    }
    number = {"type": ["number", "string"]}
    operator = {"enum": ["<", "<=", ">", ">=", "==", "!="]}
    defs: dict[str, Any] = {
        "condition": _object(
            {
                "all": conditions,
                "any": conditions,
                "not": condition,
                "word": texts,
                "list": lists,
                "regex": texts,
                "near": _object({"within": {"type": "integer"}, "all": conditions}, ["within", "all"]),
                "present": fields,
                "empty": fields,
                "absent": fields,
                "compare": _object(
                    {
                        "field": {"type": "string"}, "is": {"type": "boolean"}, "regex": {"type": "string"},
                        "times": {"type": "string"}, "op": operator, "number": number, "percent": number,
                        "of": {"type": "string"}, "days": {"type": "integer"},
                    }
                ),
                "date": _object(
                    {"field": {"type": "string"}, "before": {}, "since": {}, "within_days": {"type": "integer"}}, ["field"]
                ),
                "identifier": _object({"field": {"type": "string"}, "valid": texts, "invalid": texts}, ["field"]),
                "differs": _object({"names": fields, "addresses": fields}),
                "count": _object(
                    {"by": {"type": "string"}, "distinct": {"type": "string"}, "at_least": {"type": "integer"}},
                    ["by", "distinct", "at_least"],
                ),
                "in": {"anyOf": [{"enum": list(TEXT_FIELDS)}, {"type": "array", "items": {"enum": list(TEXT_FIELDS)}}]},
            }
        )
    }  # fmt: skip
    excepts = {
        "type": "array",
        "items": _object(
            {
                "phrase": texts,
                "list": lists,
                "before": window,
                "after": window,
                "anywhere": {},
                "unless": window,
            }
        ),
    }
    examples = {"type": "array", "items": {"type": ["string", "object", "number"]}}
    shared: dict[str, Any] = {
        "status": {"enum": ["draft", "trial", "stable", "retired"]},
        "severity": {"enum": ["low", "mid", "high"]},
        "law": law,
        "valid": _object({"from": {}, "to": {}}),
        "scope": _object(
            {
                "page_types": {"type": "array", "items": {"enum": list(PAGE_TYPES)}},
                "platform_types": {"type": "array", "items": {"enum": list(PLATFORM_TYPES)}},
                "categories": texts,
                "not_categories": texts,
                "fields": {"type": "array", "items": {"enum": list(TEXT_FIELDS)}},
            }
        ),
        "except": excepts,
        "evasion": {"type": "array", "items": {"enum": list(EVASIONS)}, "default": sorted(DEFAULT_EVASION)},
        "boundary": {"type": "boolean"},
        "confidence": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "tier": {"enum": ["lead", "review"]},
    }
    rule = _object(
        {
            "id": {"type": "string", "pattern": r"^[A-Za-z0-9][\w.-]{1,79}$"},
            "topic": {"enum": sorted(book.topics)} if book.topics else {"type": "string"},
            "title": {"type": "string"},
            "reason": {"type": "string"},
            "references": {},
            "when": condition,
            "replaced_by": {"type": "string"},
            "examples": _object({"flag": examples, "pass": examples}),
        }
        | shared,
        ["id", "topic", "title", "when"],
    )
    defs["rule"] = rule
    rules = {"type": "array", "items": {"$ref": "#/$defs/rule"}}
    pack = _object({"title": {"type": "string"}, "defaults": _object(shared), "rules": rules}, ["rules"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "anyOf": [rules, pack], "$defs": defs}


def _object(properties: Mapping[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return out | {"required": required} if required else out
