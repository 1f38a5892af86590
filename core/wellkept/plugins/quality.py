"""The quality scale: rules that a plugin keeps, each found out by looking, or declared by its author with a reason.

A plugin reaches a level when it keeps the rules of that level and of those below. A rule that does not concern it (streams,
for a plugin without any) counts as kept, and so does one that `PluginInfo.quality` gives a reason for: the reason is shown.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Literal, get_args

from wellkept import deprecation
from wellkept.plugins.examine import Offer, keys_of
from wellkept.plugins.requirements import unmet

Level = Literal["bronze", "silver", "gold"]
State = Literal["kept", "missed", "declared", "none", "unknown"]
LEVELS: tuple[Level, ...] = get_args(Level)

NONE = "none"
"""What a check returns when the plugin has nothing that the rule concerns."""
UNKNOWN = "unknown"
"""What a check returns when it cannot find out: the source tree is not there."""

_SECRET = re.compile(r"(?:^|_)(?:secret|password|token|api_key|private_key|access_key|passphrase)$")
_HTTP = frozenset({"aiohttp", "http.client", "httpx", "requests", "urllib.request", "urllib3"})
_OWN_CLIENTS = ("simulator", "simulation")
"""Modules that are the vendor's side, which talks HTTP in its own way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What was found about one rule.

    Attributes:
        rule: Its name.
        level: The level that it belongs to.
        doc: What it asks for.
        state: ``kept``; ``missed``; ``declared`` with a reason; ``none``: it does not concern this plugin; ``unknown``: it
            needs the source tree.
        reason: What is missing, or the author's reason.
    """

    rule: str
    level: Level
    doc: str
    state: State
    reason: str | None = None

    @property
    def stands(self) -> bool:
        """Whether it holds up no level."""
        return self.state in {"kept", "declared", "none"}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its name, its level, what it asks for, and how that is found out."""

    name: str
    level: Level
    doc: str
    check: Callable[[Offer], str | None]
    """Returns None where it is kept, `NONE`, `UNKNOWN`, or what is missing."""


def verdicts(offer: Offer) -> list[Verdict]:
    """Return what was found about every rule, in the order of the scale."""
    declared = offer.loaded.info.quality
    found = []
    for rule in RULES:
        answer = rule.check(offer)
        state: State = "kept" if answer is None else "missed"
        reason = answer
        if answer == NONE:
            state, reason = "none", None
        elif answer is not None and declared.get(rule.name):
            state, reason = "declared", declared[rule.name]
        elif answer == UNKNOWN:
            state, reason = "unknown", "its source tree is not here"
        found.append(Verdict(rule=rule.name, level=rule.level, doc=rule.doc, state=state, reason=reason))
    return found


def level_of(found: Sequence[Verdict]) -> Level | None:
    """Return the highest level whose rules, and those below, all stand; None for none."""
    reached: Level | None = None
    for level in LEVELS:
        if not all(verdict.stands for verdict in found if verdict.level == level):
            break
        reached = level
    return reached


def undeclarable(offer: Offer) -> list[str]:
    """Return the names in a plugin's declaration that are no rules."""
    return sorted(offer.loaded.info.quality.keys() - {rule.name for rule in RULES})


# --- configuration ---


def _models(offer: Offer) -> Iterator[type[Any]]:
    """Yield the configuration model and those inside of it."""
    from pydantic import BaseModel

    waiting: list[Any] = [offer.loaded.model()]
    seen: set[Any] = {None}
    while waiting:
        model = waiting.pop()
        if model in seen:
            continue
        seen.add(model)
        yield model
        for field in model.model_fields.values():
            waiting += [kind for kind in _parts(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _strict(offer: Offer) -> str | None:
    loose = [model.__name__ for model in _models(offer) if model.model_config.get("extra") != "forbid"]
    return f'without extra="forbid": {", ".join(sorted(loose))}' if loose else None


def _documented_keys(offer: Offer) -> str | None:
    bare = [
        f"{model.__name__}.{name}"
        for model in _models(offer)
        for name, field in model.model_fields.items()
        if not field.description
    ]
    return f"without a sentence: {', '.join(sorted(bare))}" if bare else None


def _secret_keys(offer: Offer) -> str | None:
    from wellkept.secrets import Secret

    plain = [
        f"{model.__name__}.{name}"
        for model in _models(offer)
        for name, field in model.model_fields.items()
        if _SECRET.search(name) and not any(part is Secret for part in _parts(field.annotation))
    ]
    return f"not of the type Secret: {', '.join(sorted(plain))}" if plain else None


# --- what it hands out ---


def _opens(offer: Offer) -> str | None:
    if offer.opened and not offer.problems:
        return None
    return offer.problems[0].reason if offer.problems else "no instance comes of the example"


def _documented_streams(offer: Offer) -> str | None:
    if not offer.streams:
        return NONE
    bare = [stream.name for stream in offer.streams if not stream.doc.strip().endswith(".")]
    return f"without a sentence: {', '.join(bare)}" if bare else None


def _scoped_streams(offer: Offer) -> str | None:
    if not offer.streams:
        return NONE
    bare = [stream.name for stream in offer.streams if not stream.scopes]
    return f"without scopes: {', '.join(bare)}" if bare else None


def _documented_measures(offer: Offer) -> str | None:
    if not offer.measures:
        return NONE
    bare = [measure.name for measure in offer.measures if not measure.doc.strip().endswith(".")]
    return f"without a sentence: {', '.join(bare)}" if bare else None


def _silent(offer: Offer) -> str | None:
    if offer.remarks:
        return offer.remarks[0].reason
    if offer.package is None:
        return UNKNOWN
    places = [
        f"{path.name}:{node.lineno}"
        for path, tree in _trees(offer.package)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    return f"print() at {', '.join(places)}" if places else None


def _webhooks(offer: Offer) -> str | None:
    from wellkept.source import WebhookSource

    if not offer.sources:
        return NONE
    return None if any(isinstance(source, WebhookSource) for source in offer.sources) else "no source takes webhooks"


def _estimates(offer: Offer) -> str | None:
    from wellkept.source import Source

    if not offer.sources:
        return NONE
    bare = [type(source).__name__ for source in offer.sources if type(source).estimate is Source.estimate]
    return f"no estimate: {', '.join(bare)}" if bare else None


def _demo(offer: Offer) -> str | None:
    if not (offer.sources or offer.actions):
        return NONE
    return None if "provide" in offer.loaded.hooks else "it has no hook `provide`"


# --- what it ships ---


def _required(offer: Offer) -> str | None:
    from packaging.requirements import Requirement

    if offer.distribution is None:
        return UNKNOWN
    try:
        texts = distribution(offer.distribution).requires or []
    except PackageNotFoundError:
        return UNKNOWN
    if missing := unmet(offer.distribution):
        return str(missing[0])
    for text in texts:
        requirement = Requirement(text)
        if requirement.name == "wellkept" and requirement.marker is None:
            signs = {specifier.operator for specifier in requirement.specifier}
            return None if signs & {">=", "~="} and signs & {"<", "~="} else f"{text} has no lower or no upper bound"
    return "it does not require wellkept"


def _current(offer: Offer) -> str | None:
    used = [str(item) for item in deprecation.imported_by(offer.package)] if offer.package is not None else []
    used += [remark.reason for remark in offer.remarks if remark.stage == "deprecated"]
    return "; ".join(used) or None


def _typed(offer: Offer) -> str | None:
    if offer.package is None:
        return UNKNOWN
    return None if (offer.package / "py.typed").is_file() else "there is no py.typed"


def _simulated(offer: Offer) -> str | None:
    if not (offer.sources or offer.actions):
        return NONE
    if offer.package is None:
        return UNKNOWN
    there = (offer.package / "simulator.py").is_file() or (offer.package / "simulator").is_dir()
    return None if there else "there is no module `simulator`"


def _clients(offer: Offer) -> str | None:
    if not (offer.sources or offer.actions):
        return NONE
    if offer.package is None:
        return UNKNOWN
    found = {
        f"{name} in {path.name}"
        for path, tree in _trees(offer.package)
        if not {*path.relative_to(offer.package).with_suffix("").parts} & {*_OWN_CLIENTS}
        for node in ast.walk(tree)
        for name in _imported(node)
        if name in _HTTP or name.partition(".")[0] in _HTTP
    }
    return f"imports {', '.join(sorted(found))}" if found else None


def _readme(offer: Offer) -> str | None:
    if not offer.readme:
        return "there is no README"
    keys = [key["key"] for key in keys_of(offer.loaded)]
    missing = [key for key in keys if not re.search(rf"(?<![\w-]){re.escape(key)}(?![\w-])", offer.readme)]
    return f"not a word about {', '.join(missing)}" if missing else None


def _limits(offer: Offer) -> str | None:
    if not (offer.sources or offer.actions):
        return NONE
    return None if re.search(r"(?mi)^#+ .*limits", offer.readme) else "the README has no section about limits"


def _tested(offer: Offer) -> str | None:
    if offer.project is None:
        return UNKNOWN
    wanted = _kits(offer)
    there = {base for tree in _test_trees(offer.project) for base, _ in _cases(tree)}
    missing = sorted(wanted - there)
    return f"no {', no '.join(missing)}" if missing else None if wanted else NONE


def _kits(offer: Offer) -> set[str]:
    from wellkept.source import WebhookSource

    kits = {
        "SourceTests": offer.sources,
        "WebhookTests": [source for source in offer.sources if isinstance(source, WebhookSource)],
        "ActionTests": offer.actions,
        "ScorerTests": offer.scorers,
        "PolicyTests": offer.deciders,
        "JobTests": offer.jobs,
    }
    return {name for name, objects in kits.items() if objects}


def _bad_rows(offer: Offer) -> str | None:
    if not offer.sources:
        return NONE
    if offer.project is None:
        return UNKNOWN
    cases = [case for tree in _test_trees(offer.project) for case in _cases(tree)]
    given = {name for base, names in cases if base == "SourceTests" for name in names}
    missing = [" or ".join(names) for names in (("bad_rows", "spoil_row"), ("change",)) if given.isdisjoint(names)]
    return f"the standard tests of its source do not say: {', '.join(missing)}" if missing else None


def _cases(tree: ast.Module) -> Iterator[tuple[str, set[str]]]:
    """Yield the standard tests that a module subclasses, with what it gives them."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            names = {name for item in node.body for name in _named(item)}
            yield from ((base.id, names) for base in node.bases if isinstance(base, ast.Name))


def _named(item: ast.stmt) -> list[str]:
    """Return what a statement in the body of a class gives it."""
    if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return [item.name]
    targets = item.targets if isinstance(item, ast.Assign) else [item.target] if isinstance(item, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _test_trees(project: Path) -> list[ast.Module]:
    return [tree for path, tree in _trees(project) if path.name.startswith("test_")]


@cache
def _trees(folder: Path) -> tuple[tuple[Path, ast.Module], ...]:
    """Return the Python files of a folder, parsed."""
    return tuple((path, ast.parse(path.read_bytes())) for path in sorted(folder.rglob("*.py")))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []


RULES: tuple[Rule, ...] = (
    Rule("opens", "bronze", "The example of its README is accepted, and all hooks hand out what they should.", _opens),
    Rule("config-strict", "bronze", "Its configuration refuses unknown keys.", _strict),
    Rule("config-documented", "bronze", "Every key has a sentence, which editors show.", _documented_keys),
    Rule("secrets-are-references", "bronze", "Keys named like secrets are secrets, so that they are redacted.", _secret_keys),
    Rule("streams-documented", "bronze", "Every stream says what it reads.", _documented_streams),
    Rule("measures-documented", "bronze", "Every column says what it is.", _documented_measures),
    Rule(
        "requirements",
        "bronze",
        "It requires a bounded range of wellkept, and finds what it requires.",
        _required,
    ),
    Rule("silent", "bronze", "It writes nothing to standard output.", _silent),
    Rule("readme", "bronze", "Its README explains every key.", _readme),
    Rule("standard-tests", "silver", "The standard tests try everything that it offers.", _tested),
    Rule("simulator", "silver", "It ships a simulator of its vendor.", _simulated),
    Rule("typed", "silver", "Its package is typed (py.typed).", _typed),
    Rule("api-current", "silver", "It uses nothing that is deprecated.", _current),
    Rule("streams-scoped", "silver", "Every stream names the permissions that it needs.", _scoped_streams),
    Rule("core-http", "silver", "It calls its vendor through `ctx.http`: limits, retries and redaction are core's.", _clients),
    Rule("limits-told", "gold", "Its README says what it cannot do.", _limits),
    Rule("bad-rows", "gold", "The standard tests get bad rows and changes for its streams.", _bad_rows),
    Rule("webhooks", "gold", "Changes are known at once, by webhooks.", _webhooks),
    Rule("estimate", "gold", "It says beforehand what a read would cost.", _estimates),
    Rule("demo", "gold", "It takes part in `wellkept demo`.", _demo),
)
"""The scale."""
