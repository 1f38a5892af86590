"""Checks requests and answers against a vendor's OpenAPI description, in process.

Why this exists: simulators and connectors that are only tested against each other drift together. With the vendor's own
description between them, a misspelt parameter or an answer of the wrong shape fails the test that meets it.

Schemas are compiled by `jsonschema_rs` when an operation is met for the first time (tens of milliseconds for a large one), and
then cost some ten microseconds a message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import unquote, urlsplit

from wellkept.testing.forms import coerce, nest, parse_pairs, types_of

if TYPE_CHECKING:
    import jsonschema_rs

METHODS = ("get", "post", "put", "patch", "delete")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
ROOT = "urn:wellkept:description"
FORM = "application/x-www-form-urlencoded"
LONGEST_REASON = 300


class SpecMismatch(AssertionError):  # noqa: N818 - it is a finding of a test, as AssertionError is
    """A request or an answer does not fit the description.

    Attributes:
        operation: Such as ``POST /v1/customers/{customer}``; ``POST /v1/nothing`` when there is no such operation.
        pointer: Where, as a JSON pointer that starts with ``/path``, ``/query``, ``/header``, ``/body`` or ``/answer``.
        reason: What is wrong there.
    """

    def __init__(self, operation: str, pointer: str, reason: str) -> None:
        short = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}..."
        super().__init__(f"{operation} at {pointer}: {short}")
        self.operation = operation
        self.pointer = pointer
        self.reason = short


@dataclass(frozen=True)
class Operation:
    """One method of one path of a description.

    Attributes:
        name: ``POST /v1/customers/{customer}``.
        parameters: Parameter objects by (place, name); the place is ``path``, ``query`` or ``header``.
        bodies: Schema pointer per content type of the request.
        body_required: Whether there must be a body.
        answers: Per status (``200``, ``2XX``, ``default``), the schema pointer per content type.
    """

    name: str
    pattern: re.Pattern[str]
    placeholders: int
    parameters: Mapping[tuple[str, str], Mapping[str, Any]]
    parameter_pointers: Mapping[tuple[str, str], str]
    bodies: Mapping[str, str]
    body_required: bool
    answers: Mapping[str, Mapping[str, str]]

    @cached_property
    def query_names(self) -> frozenset[str]:
        """The names that a query may have."""
        return frozenset(name for place, name in self.parameters if place == "query")


@dataclass
class Spec:
    """A vendor's description, ready to check with. Make it with `Spec.load`.

    Attributes:
        document: The description, an OpenAPI 3.0 or 3.1 object.
        unknown_names: What to do with query names that the description lacks: ``fail``, or ``allow`` for a description that is
            known to be incomplete.
        strip_suffix: Removed from the end of a path before it is matched, such as ``.json`` for Zendesk.
    """

    document: dict[str, Any]
    unknown_names: Literal["fail", "allow"] = "fail"
    strip_suffix: str = ""
    _validators: dict[str, jsonschema_rs.Validator] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, path: Path, *, unknown_names: Literal["fail", "allow"] = "fail", strip_suffix: str = "") -> Spec:
        """Read a description from a JSON file, or from a YAML file (``.yaml``, ``.yml``; needs PyYAML).

        Raises:
            ValueError: It is not OpenAPI 3.0 or 3.1.
        """
        document = _read_yaml(path) if path.suffix in {".yaml", ".yml"} else json.loads(path.read_bytes())
        version = str(document.get("openapi", ""))
        if not version.startswith(("3.0", "3.1")):
            raise ValueError(f"{path.name} is not OpenAPI 3.0 or 3.1: its 'openapi' is {version or 'missing'}")
        if version.startswith("3.0"):
            document = _as_json_schema(document)
        return cls(document, unknown_names, strip_suffix)

    def find(self, method: str, path: str) -> Operation:
        """Return the operation that answers a path: of several, the one with the fewest placeholders.

        Raises:
            SpecMismatch: There is none.
        """
        for candidate in self._candidates(path):
            for operation in self._operations.get((method.upper(), candidate.count("/")), ()):
                if operation.pattern.fullmatch(candidate):
                    return operation
        raise SpecMismatch(f"{method.upper()} {path}", "/path", "the description has no such operation")

    def check_request(
        self,
        method: str,
        url: str,
        *,
        query: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Operation:
        """Check one request and return its operation.

        Args:
            method: The HTTP method, in any case.
            url: A path, or a whole address.
            query: The query string; that of `url` when left out.
            headers: The headers; names in any case.
            body: The body as sent.

        Raises:
            SpecMismatch: It does not fit.
        """
        split = urlsplit(url)
        operation = self.find(method, split.path)
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        self._check_path(operation, split.path)
        self._check_query(operation, split.query if query is None else query)
        for place, name in operation.parameters:
            if place == "header" and name.lower() in lower:
                self._check_parameter(operation, (place, name), lower[name.lower()])
            elif place == "header" and operation.parameters[place, name].get("required"):
                raise SpecMismatch(operation.name, f"/header/{name}", "a required header is missing")
        self._check_body(operation, lower.get("content-type", ""), body)
        return operation

    def check_response(
        self, method: str, url: str, *, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Operation:
        """Check one answer and return its operation. Arguments as for `check_request`.

        Raises:
            SpecMismatch: It does not fit, or the description knows no such status.
        """
        operation = self.find(method, urlsplit(url).path)
        contents = None
        for key in (str(status), f"{status // 100}XX", "default"):
            if key in operation.answers:
                contents = operation.answers[key]
                break
        if contents is None:
            raise SpecMismatch(operation.name, "/answer", f"the description has no status {status}")
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        kind = _media(lower.get("content-type", ""))
        pointer = contents.get(kind) or contents.get("*/*")
        if pointer is None:
            if contents and body:
                raise SpecMismatch(operation.name, "/answer", f"content type {kind or 'missing'}, not {' or '.join(contents)}")
            return operation
        if "json" in kind:
            self._validate(operation, pointer, _json(operation, "/answer", body), "/answer")
        return operation

    def check_object(self, name: str, value: Any) -> None:
        """Check a value against ``#/components/schemas/NAME``.

        Raises:
            SpecMismatch: It does not fit; its `operation` is the schema's name.
        """
        for error in self._validator(f"/components/schemas/{_escape(name)}").iter_errors(value):
            raise SpecMismatch(name, _pointer("", error.instance_path), error.message)

    @cached_property
    def _operations(self) -> dict[tuple[str, int], list[Operation]]:
        found: dict[tuple[str, int], list[Operation]] = {}
        for template, item in self.document["paths"].items():
            path = template.split("#", 1)[0]
            for method in METHODS:
                if method in item:
                    operation = self._operation(template, path, method)
                    found.setdefault((method.upper(), path.count("/")), []).append(operation)
        for operations in found.values():
            operations.sort(key=lambda operation: operation.placeholders)
        return found

    @cached_property
    def _bases(self) -> tuple[str, ...]:
        paths = {urlsplit(server.get("url", "")).path.rstrip("/") for server in self.document.get("servers", ())}
        return tuple(sorted(path for path in paths if path and "{" not in path))

    def _candidates(self, path: str) -> Iterable[str]:
        stripped = path[: -len(self.strip_suffix)] if self.strip_suffix and path.endswith(self.strip_suffix) else path
        yield stripped
        for base in self._bases:
            if stripped.startswith(f"{base}/"):
                yield stripped[len(base) :]

    def _operation(self, template: str, path: str, method: str) -> Operation:
        start = f"/paths/{_escape(template)}"
        item, operation = self.document["paths"][template], self.document["paths"][template][method]
        parameters: dict[tuple[str, str], Mapping[str, Any]] = {}
        pointers: dict[tuple[str, str], str] = {}
        for owner, prefix in ((item, start), (operation, f"{start}/{method}")):
            for index, raw in enumerate(owner.get("parameters", ())):
                parameter, pointer = self._follow(raw, f"{prefix}/parameters/{index}")
                key = (parameter["in"], parameter["name"])
                parameters[key], pointers[key] = parameter, f"{pointer}/schema"
        body, body_pointer = self._follow(operation.get("requestBody", {}), f"{start}/{method}/requestBody")
        answers = {}
        for status, raw in operation.get("responses", {}).items():
            answer, pointer = self._follow(raw, f"{start}/{method}/responses/{status}")
            answers[str(status).upper().replace("DEFAULT", "default")] = _schemas(answer, pointer)
        pieces = re.split(r"(\{[^{}]+\})", path)
        pattern = "".join("([^/]+)" if piece.startswith("{") else re.escape(piece) for piece in pieces)
        return Operation(
            name=f"{method.upper()} {template}",
            pattern=re.compile(pattern),
            placeholders=path.count("{"),
            parameters=parameters,
            parameter_pointers=pointers,
            bodies=_schemas(body, body_pointer),
            body_required=bool(body.get("required")),
            answers=answers,
        )

    def _follow(self, node: Mapping[str, Any], pointer: str) -> tuple[Mapping[str, Any], str]:
        """Follow references until there is an object; return it and where it stands."""
        while "$ref" in node:
            pointer = node["$ref"].removeprefix("#")
            node = self._at(pointer)
        return node, pointer

    def _at(self, pointer: str) -> Any:
        node: Any = self.document
        for part in pointer.split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            node = node[int(name)] if isinstance(node, list) else node[name]
        return node

    def _target(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._follow(schema, "")[0]

    def _check_path(self, operation: Operation, path: str) -> None:
        names = re.findall(r"\{([^{}]+)\}", operation.name.split(" ", 1)[1].split("#", 1)[0])
        for candidate in self._candidates(path):
            match = operation.pattern.fullmatch(candidate)
            if match is not None:
                for name, text in zip(names, match.groups(), strict=True):
                    if ("path", name) in operation.parameter_pointers:
                        self._check_parameter(operation, ("path", name), unquote(text))
                return

    def _check_query(self, operation: Operation, query: str) -> None:
        literal: list[tuple[str, str]] = []
        plain: list[tuple[str, str]] = []
        for name, value in parse_pairs(query):
            (literal if "[" in name and name in operation.query_names else plain).append((name, value))
        nested = {**_nested(operation, "/query", plain), **dict(literal)}
        for name, value in nested.items():
            if name in operation.query_names:
                self._check_parameter(operation, ("query", name), value)
            elif self.unknown_names == "fail":
                raise SpecMismatch(operation.name, f"/query/{_escape(name)}", "the description has no such parameter")
        for place, name in operation.parameters:
            if place == "query" and name not in nested and operation.parameters[place, name].get("required"):
                raise SpecMismatch(operation.name, f"/query/{_escape(name)}", "a required parameter is missing")

    def _check_parameter(self, operation: Operation, key: tuple[str, str], value: Any) -> None:
        parameter, pointer = operation.parameters[key], operation.parameter_pointers[key]
        schema = parameter.get("schema")
        if schema is None:
            return
        if isinstance(value, str) and "array" in types_of(self._target(schema)):
            value = value.split(",") if parameter.get("explode") is False else [value]
        self._validate(operation, pointer, coerce(value, schema, self._target), f"/{key[0]}/{_escape(key[1])}")

    def _check_body(self, operation: Operation, content_type: str, body: bytes) -> None:
        if not body:
            if operation.body_required:
                raise SpecMismatch(operation.name, "/body", "a body is required")
            return
        kind = _media(content_type)
        pointer = operation.bodies.get(kind) or operation.bodies.get("*/*")
        if pointer is None:
            wanted = " or ".join(operation.bodies) or "no body"
            raise SpecMismatch(operation.name, "/body", f"content type {kind or 'missing'}, not {wanted}")
        if kind == FORM:
            value: Any = coerce(_nested(operation, "/body", parse_pairs(body)), {"$ref": f"#{pointer}"}, self._target)
        elif "json" in kind:
            value = _json(operation, "/body", body)
        else:
            return
        self._validate(operation, pointer, value, "/body")

    @cached_property
    def _registry(self) -> jsonschema_rs.Registry:
        import jsonschema_rs

        return jsonschema_rs.Registry([(ROOT, self.document)])

    def _validator(self, pointer: str) -> jsonschema_rs.Validator:
        """Compile the schema at a pointer; one that is nothing but a reference shares what it refers to."""
        import jsonschema_rs

        found = self._validators.get(pointer)
        if found is None:
            node = self._at(pointer)
            if isinstance(node, dict) and node.keys() == {"$ref"}:
                found = self._validator(node["$ref"].removeprefix("#"))
            else:
                schema = {"$schema": DIALECT, "$ref": f"{ROOT}#{pointer}"}
                found = jsonschema_rs.Draft202012Validator(schema, registry=self._registry)
            self._validators[pointer] = found
        return found

    def _validate(self, operation: Operation, pointer: str, value: Any, place: str) -> None:
        for error in self._validator(pointer).iter_errors(value):
            raise SpecMismatch(operation.name, _pointer(place, error.instance_path), error.message)


def _read_yaml(path: Path) -> Any:
    """Read YAML as JSON would say it: a date is a text, and a key is one as well (``200`` among the statuses)."""
    yaml: Any = import_module("yaml")

    class Loader(yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, Any]]]] = {
            first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return _with_text_keys(yaml.load(path.read_bytes(), Loader))


def _with_text_keys(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_text_keys(item) for item in node]
    return {str(key): _with_text_keys(value) for key, value in node.items()} if isinstance(node, dict) else node


def _media(content_type: str) -> str:
    return content_type.split(";", 1)[0].strip().lower()


def _schemas(owner: Mapping[str, Any], pointer: str) -> dict[str, str]:
    """Return the schema pointer per content type of a request body or an answer."""
    return {
        _media(kind): f"{pointer}/content/{_escape(kind)}/schema"
        for kind, content in owner.get("content", {}).items()
        if "schema" in content
    }


def _json(operation: Operation, place: str, body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError as error:
        raise SpecMismatch(operation.name, place, f"not JSON: {error}") from error


def _nested(operation: Operation, place: str, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    try:
        return nest(pairs)
    except ValueError as error:
        raise SpecMismatch(operation.name, place, str(error)) from error


def _escape(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1").replace("%", "%25").replace("{", "%7B").replace("}", "%7D")


def _pointer(place: str, path: Sequence[str | int]) -> str:
    return "/".join([place, *(str(part).replace("~", "~0").replace("/", "~1") for part in path)])


def _as_json_schema(node: Any) -> Any:
    """Rewrite OpenAPI 3.0's own words (``nullable``, boolean ``exclusiveMinimum``) as JSON Schema 2020-12."""
    if isinstance(node, list):
        return [_as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    new = {key: _as_json_schema(value) for key, value in node.items()}
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(new.get(exclusive), bool) and new.pop(exclusive) and bound in new:
            new[exclusive] = new.pop(bound)
    if new.get("nullable") is True:
        del new["nullable"]
        return {"anyOf": [new, {"type": "null"}]}
    return new
