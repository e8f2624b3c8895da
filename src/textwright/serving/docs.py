"""`/docs`: every route and schema as a page, made from the OpenAPI document.

FastAPI's own page loads Swagger UI from a CDN: it is blank without a network, and the CDN sees who
opens it. This page has no script, and its Content-Security-Policy allows an icon at most.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, TypeAlias

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from textwright.serving.responses import json_response

Schema: TypeAlias = Mapping[str, Any]

PATH = "/docs"

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h2 { border-top: 1px solid #8886; margin-top: 2.5rem; padding-top: 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { background: #8882; overflow-wrap: anywhere; padding: .7rem; white-space: pre-wrap; }
table { border-collapse: collapse; }
th { font-weight: normal; padding-right: 1.5rem; text-align: left; vertical-align: top; }
td { padding-right: 1.5rem; vertical-align: top; }
"""

_POLICY = (
    "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; style-src 'sha256-"
    f"{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)

_LIMITS = {
    "minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}",
    "minLength": "≥ {} characters", "maxLength": "≤ {} characters",
    "minItems": "≥ {} items", "maxItems": "≤ {} items",
}  # fmt: skip


def router() -> APIRouter:
    """The routes of the page and of the document, which threads make."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/openapi.json")
    def document(http: Request) -> Response:
        return json_response(http.app.openapi())

    @routes.get(PATH)
    def show(http: Request) -> Response:
        page = as_page(http.app.openapi(), str(http.base_url).rstrip("/"))
        return HTMLResponse(page, headers={"content-security-policy": _POLICY})

    return routes


def as_page(document: Schema, url: str) -> str:
    """An OpenAPI document as HTML.

    Args:
        document: the document, with schemas under `components/schemas`.
        url: the server's base URL, for the commands.
    """
    schemas: Schema = document["components"]["schemas"]
    title = escape(document["info"]["title"])
    routes = [
        (method, path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    parts = [
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width">\n<link rel="icon" href="data:,">\n'
        f"<style>{_STYLE}</style>\n<h1>{title} {escape(document['info']['version'])}</h1>\n",
        _prose(document["info"].get("description", "")),
        '<p>The same for programs: <a href="openapi.json">openapi.json</a>.</p>\n<ul>\n',
        *(f'<li><a href="#{_anchor(*route[:2])}">{_name(*route[:2])}</a></li>\n'
          for route in routes),
        "</ul>\n",
        *(_route(*route, schemas, url) for route in routes),
        *(_object(name, schema) for name, schema in schemas.items()),
    ]  # fmt: skip
    return "".join(parts)


def _route(method: str, path: str, operation: Schema, schemas: Schema, url: str) -> str:
    """A route: its description, parameters and responses, and a command with an example."""
    parameters, responses = operation.get("parameters", ()), operation["responses"]
    rows = [(escape(parameter["name"]), _type(parameter["schema"])) for parameter in parameters]
    content = operation.get("requestBody", {}).get("content", {})
    rows += [("body", _type(media["schema"])) for media in content.values()]
    for status, response in responses.items():
        types = [_type(media.get("schema", {})) for media in response.get("content", {}).values()]
        rows.append((escape(status), " ".join([*types, escape(response["description"])])))
    command = ["curl", url + path]
    if "security" in operation:
        command += ["-H", "Authorization: Bearer KEY"]
    if body := content.get("application/json"):
        example = json.dumps(_example(body["schema"], schemas), ensure_ascii=False)
        command += ["-H", "Content-Type: application/json", "-d", example]
    return (
        f'<h2 id="{_anchor(method, path)}">{_name(method, path)}</h2>\n'
        f"{_prose(operation.get('description', ''))}{_table(rows)}"
        f"<pre>{escape(shlex.join(command))}</pre>\n"
    )


def _object(name: str, schema: Schema) -> str:
    """The fields of a body or a response."""
    rows = []
    for field, inner in schema.get("properties", {}).items():
        parts = [_type(inner), *_limits(inner)]
        if field in schema.get("required", ()):
            parts.append("required")
        elif inner.get("default") is not None:
            parts.append(f"default <code>{escape(json.dumps(inner['default']))}</code>")
        rows.append((escape(field), ", ".join(parts), _markup(inner.get("description", ""))))
    text = _prose(schema.get("description", ""))
    return f'<h2 id="{escape(name)}">{escape(name)}</h2>\n{text}{_table(rows)}'


def _type(schema: Schema) -> str:
    """A schema's type in words; a named one as a link."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return " or ".join(_type(member) for member in schema[union])
    if "const" in schema or "enum" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in values)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(inner := schema.get("additionalProperties"), Mapping):
        return f"object of {_type(inner)}"
    return escape(schema.get("type", "anything"))


def _limits(schema: Schema) -> Iterable[str]:
    """The bounds of a value, including those of a union's members."""
    for part in (schema, *schema.get("anyOf", ())):
        for key, words in _LIMITS.items():
            if key in part:
                yield escape(words.format(f"{part[key]:.12g}"))


def _example(schema: Schema, schemas: Schema) -> Any:
    """An example value, whose fields are those that are required or have an example."""
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if schema.get("examples"):
        return schema["examples"][0]
    if "properties" in schema:
        return {
            name: _example(field, schemas)
            for name, field in schema["properties"].items()
            if name in schema.get("required", ()) or field.get("examples")
        }
    if schema.get("type") == "array":
        return [_example(schema["items"], schemas)]
    return schema.get("default", {"string": "", "integer": 1, "number": 1}.get(schema["type"]))


def _anchor(method: str, path: str) -> str:
    return escape(method + path)


def _name(method: str, path: str) -> str:
    return f"<code>{escape(method.upper())} {escape(path)}</code>"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    """A table of rows of HTML, with the first cell of each as its heading."""
    lines = [
        f"<tr><th><code>{first}</code></th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"
        for first, *cells in rows
    ]
    return f"<table>\n{''.join(lines)}</table>\n" if lines else ""


def _prose(text: str) -> str:
    return f"<p>{_markup(text)}</p>\n" if text else ""


def _markup(text: str) -> str:
    """Escaped text, with code between backticks as such."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
