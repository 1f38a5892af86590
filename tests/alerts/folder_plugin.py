"""A plugin whose vendor is a folder: ``mode`` says whether it works (``plain``), fails, refuses us, or has odd rows.

``ends`` says when the credential ends, epoch ms, where the file is there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from wellkept import Batch, CheckResult, Context, PluginInfo, ReadRequest, Reject, Source, Stream, hookimpl
from wellkept.errors import CredentialsError, FatalError
from wellkept.records import Account
from wellkept.secrets import Secret


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    folder: Path
    key: Secret | None = None


class FolderSource(Source):
    """Reads one account."""

    def __init__(self, ctx: Context[Config]) -> None:
        self._folder = ctx.config.folder

    def streams(self) -> Sequence[Stream]:
        return [Stream(name="accounts", records=(Account,), doc="Accounts.")]

    async def check(self) -> CheckResult:
        ends = self._folder / "ends"
        at = int(ends.read_text()) if ends.exists() else None
        return CheckResult(findings=[], vendor_account="folder", mode="test", expires_at=at)

    async def read(self, request: ReadRequest) -> AsyncIterator[Batch]:
        mode = (self._folder / "mode").read_text()
        if mode == "fails":
            raise FatalError("the vendor answered HTTP 400 about anna@example.com")
        if mode == "refuses":
            raise CredentialsError("the vendor answered HTTP 401")
        rejects = [Reject(raw=b"anna@example.com", reason="no id")] if mode == "odd" else []
        yield Batch(records=[Account(id="a", version=1)], rejects=rejects, cursor={"at": 1})


class Plugin:
    @hookimpl
    def describe(self) -> PluginInfo:
        return PluginInfo(name="folder", api="1.0", summary="Reads a folder.", config=f"{__name__}:Config")

    @hookimpl
    def sources(self, ctx: Context[Config]) -> list[Source]:
        return [FolderSource(ctx)]


plugin = Plugin()
