"""What a plugin keeps in `ctx.state` has a version; a newer plugin brings what an older one left into its own shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from wellkept.errors import ConfigError
from wellkept.plugins.guard import guard
from wellkept.store.view import encoded

if TYPE_CHECKING:
    from wellkept.plugins.load import Loaded, Plugins
    from wellkept.store import Reader, Store, Tx

_KEY = "plugin_state_version:"


def upgrade_state(plugins: Plugins, store: Store, instance: str, plugin: str) -> bool:
    """Bring an instance's state up to its plugin's version, in one transaction; say whether the instance may run.

    One whose state cannot be brought up is told as a problem and left out: it would misread what it finds.
    """
    loaded = plugins.loaded[plugin]
    with store.read() as reader:
        if _version(reader, instance) == loaded.info.state_version:
            return True
    who: dict[str, Any] = {"instance": instance, "plugin": plugin, "distribution": loaded.distribution}
    with guard(plugins.problems.append, stage="state", what="its state cannot be used", remark=plugins.remarks.append, **who):
        store.write_now(lambda tx: _upgrade(tx, plugins, loaded, instance), durable=True)
        return True
    return False


def _version(reader: Reader, instance: str) -> int:
    return int(reader.value("SELECT value FROM meta WHERE key = ?", (f"{_KEY}{instance}",)) or 1)


def _upgrade(tx: Tx, plugins: Plugins, loaded: Loaded, instance: str) -> None:
    """Replace the state by what the plugin makes of it.

    Raises:
        ConfigError: It is newer than the plugin, or the plugin does not say what becomes of it.
        RejectedError: What the plugin returned is not plain JSON.
    """
    version, wanted = _version(tx, instance), loaded.info.state_version
    if version > wanted:
        raise ConfigError(
            f"it is of version {version}, and this plugin knows {wanted}",
            guidance="install the newer version of the plugin again, or restore the store from before it",
        )
    rows = tx.all("SELECT key, value FROM plugin_state WHERE instance = ?", (instance,))
    if rows:
        if "upgrade_state" not in loaded.hooks:
            raise ConfigError(
                f"it is of version {version}, the plugin's of version {wanted}",
                guidance="its author should implement the hook `upgrade_state`",
            )
        state = {key: msgspec.json.decode(value) for key, value in rows}
        made: object = plugins.call(loaded.name, "upgrade_state", state=state, version=version)
        if not isinstance(made, dict) or not all(isinstance(key, str) for key in made):
            raise ConfigError(
                f"the hook 'upgrade_state' returned a {type(made).__name__}", guidance="return a dict of keys and plain values"
            )
        kept = [(instance, key, encoded(instance, key, value)) for key, value in made.items() if value is not None]
        tx.execute("DELETE FROM plugin_state WHERE instance = ?", (instance,))
        tx.many("INSERT INTO plugin_state (instance, key, value) VALUES (?, ?, ?)", kept)
    tx.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (f"{_KEY}{instance}", str(wanted)),
    )
