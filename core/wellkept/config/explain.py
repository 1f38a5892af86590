"""From pydantic's errors to ours: the exact place in the file, what is wrong in plain words, and the nearest valid key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from wellkept.config.document import Document
from wellkept.config.locate import KeyPath
from wellkept.errors import ConfigError
from wellkept.secrets import BUILT_IN, MARK, SHORTEST, split

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Schema = Mapping[str, Any]

_SECRET_NAME = re.compile(r"secret|token|passw|passphrase|pwd|key|credential|private|auth|cookie|dsn", re.IGNORECASE)


def explain(
    document: Document,
    base: KeyPath,
    value: object,
    errors: Iterable[ErrorDetails],
    schema: Schema,
    *,
    also: Iterable[str] = (),
) -> list[ConfigError]:
    """Return one error per place, in the order of the file.

    No value of the file is repeated if its key sounds secret, or if it should have been a reference to a secret.

    Args:
        document: The file.
        base: Where the validated value stands in it.
        value: The validated value.
        errors: What pydantic said about it; without inputs.
        schema: The JSON schema of the model, for the names of valid keys.
        also: Keys that are valid at the top beside those of the schema.
    """
    hidden = sorted(_secret_values(value, schema), key=len, reverse=True)
    found: dict[KeyPath, tuple[list[str], str | None]] = {}
    for error in errors:
        place = _place(error, value)
        message, guidance = _phrase(error, place, value, schema, also)
        for text in hidden:
            message = message.replace(text, "***")
        messages, _ = found.setdefault(place, ([], guidance))
        if message not in messages:
            messages.append(message)
    result = [document.error(base + place, " or ".join(messages), guidance) for place, (messages, guidance) in found.items()]
    return sorted(result, key=lambda error: error.line or 0)


def leaked(value: object, schema: Schema) -> list[str]:
    """Return texts that stand where a reference to a secret should: secrets, in all likelihood."""
    return [text for place, text in _texts(value, ()) if _is_secret(schema, place) and split(text) is None]


def nearest(word: str, words: Iterable[str]) -> str | None:
    """Return the word that was probably meant, or None."""
    folded = {candidate.casefold().replace("-", "_"): candidate for candidate in words}
    close = difflib.get_close_matches(word.casefold().replace("-", "_"), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def suggest(word: str, words: Iterable[str], *, kind: str = "valid keys") -> str:
    """Return guidance for a word that is not among `words`."""
    words = list(words)
    close = nearest(word, words)
    if close:
        return f"did you mean {close!r}?"
    return f"{kind}: {', '.join(sorted(words))}" if words else "remove it"


def _place(error: ErrorDetails, value: Any) -> KeyPath:
    """Return where an error stands in the data: pydantic's location without its names for branches of unions."""
    place: KeyPath = ()
    *parents, last = error["loc"] or ("",)
    for part in parents:
        inside = _child(value, part)
        if inside is not None:
            place += (part,)
            value = inside[0]
    if error["type"] in {"missing", "extra_forbidden"} or (error["loc"] and _child(value, last) is not None):
        place += (last,)
    return place


def _child(value: Any, part: str | int) -> tuple[Any] | None:
    if isinstance(value, dict) and part in value:
        return (value[part],)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return (value[part],)
    return None


def _at(value: Any, place: KeyPath) -> Any:
    for part in place:
        child = _child(value, part)
        if child is None:
            return None
        value = child[0]
    return value


def _phrase(error: ErrorDetails, place: KeyPath, value: Any, schema: Schema, also: Iterable[str]) -> tuple[str, str | None]:
    """Return what is wrong, and what to do."""
    if error["type"] == "extra_forbidden":
        keys = {key for node in _nodes(schema, place[:-1]) for key in node.get("properties", {})}
        return "unknown key", suggest(str(place[-1]), keys if place[:-1] else {*keys, *also})
    doc = next((node["description"] for node in _nodes(schema, place) if "description" in node), "")
    first = " ".join(re.split(r"(?<=[.;])\s", doc, maxsplit=1)[0].split()) or None
    if error["type"] == "missing":
        return "this key is required", f"add it: {first}" if first else f"add `{place[-1]} = ...`"
    message = re.sub(r"^(Value error|Assertion failed), ", "", error["msg"])
    message = re.sub(r"^Input should be", "should be", message)
    allowed = {str(item) for node in _nodes(schema, place) for item in (*node.get("enum", ()), node.get("const"))} - {"None"}
    given = _at(value, place)
    close = nearest(given, allowed) if isinstance(given, str) and not _is_secret(schema, place) else None
    return message[:1].lower() + message[1:], f"did you mean {close!r}?" if close else first


def _nodes(schema: Schema, place: KeyPath) -> Iterator[Schema]:
    """Yield the schemas that may describe the value at a place: one for each branch of a union."""
    yield from _descend(schema, schema, place)


def _descend(root: Schema, node: Schema, place: KeyPath, seen: frozenset[str] = frozenset()) -> Iterator[Schema]:
    if not isinstance(node, Mapping):
        return
    reference = node.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        target: Any = root
        for name in reference.removeprefix("#/").split("/"):
            target = target.get(name, {})
        if not place:
            yield {key: item for key, item in node.items() if key != "$ref"}  # a description beside the reference
        yield from _descend(root, target, place, seen | {reference})
    for branch in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
        yield from _descend(root, branch, place, seen)
    if not place:
        yield node
        return
    part, rest = place[0], place[1:]
    if isinstance(part, int):
        prefix = node.get("prefixItems", ())
        child = prefix[part] if part < len(prefix) else node.get("items")
    else:
        child = node.get("properties", {}).get(part, node.get("additionalProperties"))
    if child is not None:
        yield from _descend(root, child, rest)


def _is_secret(schema: Schema, place: KeyPath) -> bool:
    return any(node.get("format") == MARK for node in _nodes(schema, place))


def _texts(value: object, place: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*place, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*place, index))


def _secret_values(value: object, schema: Schema) -> set[str]:
    """Return texts that no message may repeat."""
    return {
        text
        for place, text in _texts(value, ())
        if (split(text) or ("",))[0] not in BUILT_IN
        and len(text) >= SHORTEST
        and (any(isinstance(part, str) and _SECRET_NAME.search(part) for part in place) or _is_secret(schema, place))
    }
