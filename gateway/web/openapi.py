"""The API's description: every operation with its key, its parameters and every answer it can give."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gateway.web.bodies import SHAPES
from gateway.web.problems import MEDIA_TYPE, ProblemDocument

Json = dict[str, Any]

_DESCRIPTION = """\
Reads what the gateway keeps of one account, the account of the API key, checks how its mailboxes forward, lets go or
deletes what was held back, and tries and publishes its policy.

Every answer that is no success is a problem document (RFC 9457). Lists come newest first, a page at a time: give
`next_cursor` of a page as `cursor` to get the next. Times are RFC 3339 in UTC. What belongs to another account looks like
what never was. Fields may be added to objects; none is renamed.
"""
_PROBLEMS = {
    "400": "A parameter or a field is unknown, or its value does not fit; `errors` names each with its cure.",
    "401": "No API key, or none that is valid.",
    "404": "Nothing here, for this key.",
    "500": "An error of ours.",
    "503": "The database or the message's content cannot be read just now.",
}


def describe(app: FastAPI) -> Json:
    """The document of OpenAPI 3.1."""
    document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {}) | {"ProblemDocument": problem}
    schemas |= {name: shape.model_json_schema() for name, shape in SHAPES.items()}
    components["responses"] = {f"Problem{status}": _problem(text) for status, text in _PROBLEMS.items()}
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"key": []}]
    for path in document["paths"].values():
        for operation in path.values():
            _complete(operation)
    return document


def withheld(text: str) -> Json:
    """A problem of one route, for its `responses`."""
    return _problem(text)


def query_names(document: Json) -> dict[str, frozenset[str]]:
    """What each route takes in its query: that, and nothing undocumented."""
    return {
        path: frozenset(
            p["name"]
            for operation in operations.values()
            for p in operation.get("parameters", ())
            if p["in"] == "query"
        )
        for path, operations in document["paths"].items()
    }


def _problem(text: str) -> Json:
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {"description": text, "content": content}


def _complete(operation: Json) -> None:
    """The framework's own 422 never leaves this house: `problems` makes it 400 or 404."""
    responses = operation["responses"]
    if MEDIA_TYPE not in responses.get("422", {}).get("content", {}):
        responses.pop("422", None)
    for status in _PROBLEMS:
        responses[status] = {"$ref": f"#/components/responses/Problem{status}"}
