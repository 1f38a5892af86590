"""What plugin authors test with: virtual time, a server for simulators, and the checks against a vendor's description."""

from wellkept.testing.clock import FakeClock
from wellkept.testing.context import EmptyStore, MemoryState, MemorySuppressions, MemoryTokens, make_context
from wellkept.testing.faults import Answer, Fault, Faults, Log
from wellkept.testing.forms import nest, parse_pairs
from wellkept.testing.reader import Reader
from wellkept.testing.recording import Recording
from wellkept.testing.server import Server
from wellkept.testing.simulator import Gate, Simulator
from wellkept.testing.spec import Operation, Spec, SpecMismatch

__all__ = [
    "Answer",
    "EmptyStore",
    "FakeClock",
    "Fault",
    "Faults",
    "Gate",
    "Log",
    "MemoryState",
    "MemorySuppressions",
    "MemoryTokens",
    "Operation",
    "Reader",
    "Recording",
    "Server",
    "Simulator",
    "Spec",
    "SpecMismatch",
    "make_context",
    "nest",
    "parse_pairs",
]
