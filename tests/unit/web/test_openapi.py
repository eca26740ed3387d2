"""The description of the API is whole: what it refers to is there, and every answer is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from gateway.web.app import make_app
from gateway.web.figures import LoopLag
from gateway.web.readiness import Readiness
from tests.conftest import ROOT

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    """Made without a database: nothing of it may depend on one."""
    nothing: Any = None
    app: FastAPI = make_app(
        store=nothing, blobs=nothing, pool=nothing, checks=nothing, readiness=Readiness({}), figures=nothing,
        lag=LoopLag(),
    )  # fmt: skip
    return app.openapi()


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in document["paths"].items():
        assert set(methods) <= {"get", "post", "put", "delete"}, path
        for operation in methods.values():
            yield path, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolved(document: Json, reference: str) -> Json:
    assert reference.startswith("#/")
    found = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


def test_every_reference_leads_somewhere_and_nothing_is_left_over(document: Json) -> None:
    used = set(references(document))
    for reference in used:
        resolved(document, reference)
    for kind in ("schemas", "responses"):
        assert {f"#/components/{kind}/{name}" for name in document["components"][kind]} <= used


def test_it_is_openapi_3_1_with_a_key_for_every_operation(document: Json) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"]
    assert document["security"] == [{"key": []}]
    assert document["components"]["securitySchemes"]["key"] == {"type": "http", "scheme": "bearer"}


def test_every_operation_has_a_name_of_its_own_and_words(document: Json) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert all(operation["description"] for _, operation in operations(document))


def test_every_parameter_of_a_path_is_described(document: Json) -> None:
    for path, operation in operations(document):
        described = [p for p in operation.get("parameters", ()) if p["in"] == "path"]
        assert {f"{{{p['name']}}}" for p in described} == {s for s in path.split("/") if s.startswith("{")}
        assert all(p["required"] and p["description"] for p in described)


def test_every_operation_tells_its_answer_and_its_problems(document: Json) -> None:
    for path, operation in operations(document):
        responses = operation["responses"]
        assert {"400", "401", "404", "500", "503"} <= set(responses), path
        (good,) = {"200", "201"} & set(responses)
        (answer,) = responses[good]["content"].values()
        octets = path.endswith(("/raw", "/{n}", "/{content_id}"))
        assert not octets or answer == {}
        assert octets or answer["schema"]["$ref"].startswith("#/components/schemas/")
        for status, response in responses.items():
            if status != good:
                whole = resolved(document, response["$ref"]) if "$ref" in response else response
                assert set(whole["content"]) == {"application/problem+json"}


def test_every_body_is_described_and_may_be_too_large(document: Json) -> None:
    bodies = {path: o for path, o in operations(document) if "requestBody" in o}
    assert len(bodies) >= 7
    for operation in bodies.values():
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        assert resolved(document, schema["$ref"])["additionalProperties"] is False
        assert "413" in operation["responses"]


def test_a_withheld_file_is_told_of(document: Json) -> None:
    files = document["paths"]["/api/v1/accounts/{account}/messages/{message_id}/attachments/{n}"]["get"]
    assert "403" in files["responses"]
    assert set(files["responses"]["200"]["content"]) == {"application/octet-stream"}


def test_lists_are_paged_alike(document: Json) -> None:
    for path, operation in operations(document):
        good = operation["responses"].get("200", {"content": {}})
        schema = good["content"].get("application/json", {}).get("schema", {}).get("$ref", "")
        query = {p["name"]: p["schema"] for p in operation.get("parameters", ()) if p["in"] == "query"}
        is_paged = "/Page_" in schema and path != "/api/v1/accounts"
        assert ({"cursor", "limit"} <= set(query)) == is_paged, path
        if is_paged:
            assert query["limit"] == query["limit"] | {"minimum": 1, "maximum": 200, "default": 50}


_ROW = re.compile(r"^\| `([A-Z]+) ?(\S*)` \| ([a-z ]+) \|", re.MULTILINE)


def test_the_page_told_of_no_way_to_write_and_of_wrong_keys(document: Json) -> None:
    """Its table has each method of each path, and whom the program refuses is told so."""
    below = "/api/v1/accounts/{account}"
    page = (ROOT / "docs" / "api" / "README.md").read_text(encoding="utf-8")
    rows = {(method, f"{below}/{path}".rstrip("/")): key for method, path, key in _ROW.findall(page)}
    has = {
        (method.upper(), path): "403" in operation["responses"]
        for path, methods in document["paths"].items()
        if path.startswith(below)
        for method, operation in methods.items()
    }
    assert set(rows) == set(has)
    assert {row for row, key in rows.items() if key == "any"} == {row for row, refuses in has.items() if not refuses}
