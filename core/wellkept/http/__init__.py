"""The HTTP kit: what every connector needs and none should write.

`Context.http` makes a `Client`. It signs each try anew (`Bearer`, `Basic`, `Header`, `OAuth2`), keeps the vendor's `RateLimit`
together with all other processes, waits as long as the vendor asks, tries reads again, and tells failures by what may have
happened at the vendor. Pages are walked with `cursor_pages`, `token_pages`, `link_pages` and `ndjson`, and decoded row by row
(`decode_rows`), so that one bad row costs nothing but itself.
"""

from wellkept.http.auth import Auth, Basic, Bearer, Header
from wellkept.http.call import Timing
from wellkept.http.client import Classify, Client
from wellkept.http.concurrency import together
from wellkept.http.errors import NotAllowedError, OutcomeUnknown, StatusError
from wellkept.http.factory import Http, make_http
from wellkept.http.limit import RateLimit
from wellkept.http.messages import Outgoing, Response
from wellkept.http.oauth import OAuth2
from wellkept.http.pages import cursor_pages, link_pages, ndjson, token_pages
from wellkept.http.rows import Envelope, Rows, decode_line, decode_rows

__all__ = [
    "Auth",
    "Basic",
    "Bearer",
    "Classify",
    "Client",
    "Envelope",
    "Header",
    "Http",
    "NotAllowedError",
    "OAuth2",
    "OutcomeUnknown",
    "Outgoing",
    "RateLimit",
    "Response",
    "Rows",
    "StatusError",
    "Timing",
    "cursor_pages",
    "decode_line",
    "decode_rows",
    "link_pages",
    "make_http",
    "ndjson",
    "together",
    "token_pages",
]
