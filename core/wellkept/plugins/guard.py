"""The guard around everything that a plugin runs synchronously: what it raises becomes a `Problem`."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from wellkept.errors import ConfigError
from wellkept.plugins.acting import Actor, acting
from wellkept.problems import Problem, Stage

_log = logging.getLogger(__name__)

Report = Callable[[Problem], None]


@contextmanager
def guard(
    report: Report,
    *,
    stage: Stage,
    what: str = "",
    mend: str | None = None,
    instance: str | None = None,
    plugin: str | None = None,
    distribution: str | None = None,
    remark: Report | None = None,
) -> Iterator[None]:
    """Turn whatever the body raises into a problem; only an interrupt from the keyboard passes.

    What the body prints goes to the log.

    Args:
        report: Is given the problem.
        stage: See `Problem`.
        what: What was being done, in front of the reason.
        mend: What to do, for exceptions that do not say.
        instance: See `Problem`.
        plugin: See `Problem`.
        distribution: See `Problem`.
        remark: Is given what keeps nothing from working: that it wrote to standard output.
    """
    doing = what.partition(" failed")[0] if " failed" in what else f"the stage {stage!r}"

    def tell(text: str) -> None:
        if remark is not None:
            remark(Problem(stage="stdout", reason=text, instance=instance, plugin=plugin, distribution=distribution))

    try:
        with acting(Actor(instance or plugin or "a plugin", doing, tell)):
            yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may even call sys.exit
        problem = Problem.of(error, stage=stage, instance=instance, plugin=plugin, distribution=distribution)
        _log.debug("%s", problem, exc_info=error)
        reason = "it tried to end the program" if isinstance(error, SystemExit) else problem.reason
        report(
            Problem(
                stage=stage,
                reason=f"{what}: {reason}" if what else reason,
                mend=problem.mend or mend,
                instance=instance,
                plugin=plugin,
                distribution=distribution,
            )
        )


def plain(result: object) -> object:
    """Return what a hook returned.

    Raises:
        ConfigError: It is a coroutine: the hook was declared `async`, and nobody would wait for it.
    """
    if inspect.iscoroutine(result):
        result.close()
        raise ConfigError("it returned a coroutine", guidance="its author should remove `async`: hooks are plain functions")
    return result


def as_list(result: object) -> list[object]:
    """Return what a hook returned as a list; it is consumed here, so that a generator fails inside the guard.

    Raises:
        ConfigError: It is not a sequence of objects.
    """
    result = plain(result)
    if isinstance(result, (str, bytes, Mapping)) or not isinstance(result, Iterable):
        raise ConfigError(f"it returned {_kind(result)}", guidance="return a list")
    return list(result)


def wrong_kind(item: object, kind: type, *, subclass: bool) -> str | None:
    """Say what is wrong with one item of a hook's result, or None.

    Args:
        item: The item.
        kind: What it should be an instance of,
        subclass: or a subclass of.
    """
    if subclass:
        right = inspect.isclass(item) and issubclass(item, kind)
        wanted = f"subclasses of {kind.__name__}"
    else:
        right = isinstance(item, kind)
        wanted = f"{kind.__name__} objects"
    return None if right else f"it returned {_kind(item)} among its {wanted}"


def _kind(value: object) -> str:
    if value is None:
        return "None"
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
