"""A plugin whose vendor is a folder: the file ``mode`` says whether it works (``plain``), fails, or refuses us."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from wellkept import Batch, CheckResult, Context, PluginInfo, ReadRequest, Source, Stream, hookimpl
from wellkept.errors import CredentialsError, FatalError
from wellkept.records import Account


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    folder: Path


class FolderSource(Source):
    """Reads one account."""

    def __init__(self, ctx: Context[Config]) -> None:
        self._folder = ctx.config.folder

    def streams(self) -> Sequence[Stream]:
        return [Stream(name="accounts", records=(Account,), doc="Accounts.")]

    async def check(self) -> CheckResult:
        return CheckResult(findings=[], vendor_account="folder", mode="test")

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        mode = (self._folder / "mode").read_text()
        if mode == "fails":
            raise FatalError("the vendor answered HTTP 400 about anna@example.com")
        if mode == "refuses":
            raise CredentialsError("the vendor answered HTTP 401")
        yield Batch(records=[Account(id="a", version=1)], cursor={"at": 1})


class Plugin:
    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(name="folder", api="1.0", summary="Reads a folder.", config=f"{__name__}:Config")

    @hookimpl
    def sources(self, ctx: Context[Config]) -> list[Source]:
        return [FolderSource(ctx)]


plugin = Plugin()
