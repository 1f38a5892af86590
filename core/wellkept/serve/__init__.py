"""`wellkept serve`: the server that runs what is due, and takes in what vendors and people send.

There are three kinds of threads. The main one answers HTTP, keeps the time and decides what runs next. Each run has a thread
with an event loop of its own, so that long computing, or a plugin that blocks, holds up nobody else. Heartbeats have theirs.
"""

from wellkept.serve.server import Ending, Server

__all__ = ["Ending", "Server"]
