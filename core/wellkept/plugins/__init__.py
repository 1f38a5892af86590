"""Plugins: finding, loading and calling them, so that none of them can harm another."""

from wellkept.plugins.discover import Found, find
from wellkept.plugins.load import HOOKS, Loaded, Plugins, load_named, load_plugins, manifest_of

__all__ = ["HOOKS", "Found", "Loaded", "Plugins", "find", "load_named", "load_plugins", "manifest_of"]
