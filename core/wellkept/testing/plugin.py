"""The pytest plugin: what the standard tests share in a session. It is active wherever `wellkept` is installed for testing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option with which an author accepts what rows become."""
    parser.getgroup("wellkept").addoption(
        "--accept-records",
        action="store_true",
        help="Write down what the rows of simulators become, for the conformance kit to hold later runs against.",
    )


@pytest.fixture(autouse=True)
def wellkept_forgets_secrets() -> Iterator[None]:
    """Let the redactor forget each test's secrets: the next test may use the same words for something else."""
    redact = sys.modules.get("wellkept.redact")
    if redact is None:
        yield
        return
    with redact.REDACTOR.forgetting():
        yield


@pytest.fixture(scope="session")
def simulator_server() -> Iterator[tuple[Any, str]]:
    """One server for all simulators of a session, and its address: put yours into ``app``, and None when your test is over."""
    from wellkept.testing.switch import serve

    yield from serve()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each standard test of a stream once for every stream, and those of faults once for every fault."""
    if "stream" in metafunc.fixturenames and metafunc.cls is not None and hasattr(metafunc.cls, "cursor_names"):
        from wellkept.testing.conformance.sources import parametrize

        parametrize(metafunc)
    for name in ("borne", "doubtful"):
        if name in metafunc.fixturenames and hasattr(metafunc.cls, name):
            metafunc.parametrize(name, getattr(metafunc.cls, name))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out the standard tests that mean nothing for what is tried, such as those of HTTP for a folder of files."""
    items[:] = [item for item in items if _means_something(item)]


def _means_something(item: pytest.Item) -> bool:
    case = getattr(item, "cls", None)
    if not isinstance(item, pytest.Function) or not hasattr(case, "over_http"):
        return True
    if "stream" in item.fixturenames and not isinstance(item.callspec.params["stream"], str):
        return False  # there is no stream for which it means anything
    from wellkept.testing.conformance.case import applies

    return applies(case, item.function, item.fixturenames)
