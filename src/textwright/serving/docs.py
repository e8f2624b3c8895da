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
    """The page's route."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(PATH)
    def show(http: Request) -> Response:
        page = as_page(http.app.openapi(), str(http.base_url).rstrip("/"))
        return HTMLResponse(page, headers={"content-security-policy": _POLICY})

    return routes


def as_page(document: Schema, url: str) -> str:
    """An OpenAPI document as HTML.

    Args:
        document: with the schemas of bodies and answers under `components/schemas`.
        url: the server's base URL, for the commands.
    """
    shapes: Schema = document["components"]["schemas"]
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
        *(_route(*route, shapes, url) for route in routes),
        *(_shape(name, shape) for name, shape in shapes.items()),
    ]  # fmt: skip
    return "".join(parts)


def _route(method: str, path: str, operation: Schema, shapes: Schema, url: str) -> str:
    """A route: what it does, what it takes and answers, and a command that asks it."""
    rows = [(escape(one["name"]), _type(one["schema"])) for one in operation.get("parameters", ())]
    content = operation.get("requestBody", {}).get("content", {})
    rows += [("body", _type(one["schema"])) for one in content.values()]
    for status, answer in operation["responses"].items():
        said = [_type(one.get("schema", {})) for one in answer.get("content", {}).values()]
        rows.append((escape(status), " ".join([*said, escape(answer["description"])])))
    command = ["curl", url + path]
    if "security" in operation:
        command += ["-H", "Authorization: Bearer KEY"]
    if body := content.get("application/json"):
        example = json.dumps(_example(body["schema"], shapes), ensure_ascii=False)
        command += ["-H", "Content-Type: application/json", "-d", example]
    return (
        f'<h2 id="{_anchor(method, path)}">{_name(method, path)}</h2>\n'
        f"{_prose(operation.get('description', ''))}{_table(rows)}"
        f"<pre>{escape(shlex.join(command))}</pre>\n"
    )


def _shape(name: str, shape: Schema) -> str:
    """The fields of a body or an answer."""
    rows = []
    for field, schema in shape.get("properties", {}).items():
        facts = [_type(schema), *_limits(schema)]
        if field in shape.get("required", ()):
            facts.append("required")
        elif schema.get("default") is not None:
            facts.append(f"default <code>{escape(json.dumps(schema['default']))}</code>")
        rows.append((escape(field), ", ".join(facts), _marked(schema.get("description", ""))))
    text = _prose(shape.get("description", ""))
    return f'<h2 id="{escape(name)}">{escape(name)}</h2>\n{text}{_table(rows)}'


def _type(schema: Schema) -> str:
    """What a value may be, in words; another shape as a link."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    for values in ("const", "enum"):
        if values in schema:
            found = schema[values] if values == "enum" else [schema[values]]
            return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in found)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if isinstance(inner := schema.get("additionalProperties"), Mapping):
        return f"object of {_type(inner)}"
    return escape(schema.get("type", "anything"))


def _limits(schema: Schema) -> Iterable[str]:
    """The bounds of a value, of each form that it may have."""
    for part in (schema, *schema.get("anyOf", ())):
        for key, words in _LIMITS.items():
            if key in part:
                yield escape(words.format(f"{part[key]:.12g}"))


def _example(schema: Schema, shapes: Schema) -> Any:
    """A value that fits, with what is required or has an example."""
    if "$ref" in schema:
        return _example(shapes[schema["$ref"].rpartition("/")[2]], shapes)
    if schema.get("examples"):
        return schema["examples"][0]
    if "properties" in schema:
        return {
            name: _example(field, shapes)
            for name, field in schema["properties"].items()
            if name in schema.get("required", ()) or field.get("examples")
        }
    if schema.get("type") == "array":
        return [_example(schema["items"], shapes)]
    return schema.get("default", {"string": "", "integer": 1, "number": 1}.get(schema["type"]))


def _anchor(method: str, path: str) -> str:
    return escape(method + path)


def _name(method: str, path: str) -> str:
    return f"<code>{escape(method.upper())} {escape(path)}</code>"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of HTML, the first cell of each its heading."""
    lines = [
        f"<tr><th><code>{first}</code></th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>\n"
        for first, *cells in rows
    ]
    return f"<table>\n{''.join(lines)}</table>\n" if lines else ""


def _prose(text: str) -> str:
    return f"<p>{_marked(text)}</p>\n" if text else ""


def _marked(text: str) -> str:
    """Text, with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
