"""Does a text say that the customer wants to leave?

Phrases, not words: who asks how to cancel *a meeting* does not leave. A negation just before a phrase takes it back. What is
found here is a flag on the ticket, for people and rules to look at; nobody is contacted because of a phrase alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_OURS = r"(?:my|our|the|this|your|a)?\s*(?:\w+\s+)?(?:subscription|account|plan|contract|membership|service|licen[cs]es?)"

ENGLISH = (
    rf"cancel(?:l?ing|lation of)?\s+{_OURS}",
    rf"(?:close|terminate|end|delete|discontinue)\s+{_OURS}",
    r"(?:switch|switching|move|moving|migrat\w+)\s+(?:away|to\s+(?:a|another|your)\s+(?:\w+\s+)?(?:competitor|vendor|provider|tool|solution))",
    r"(?:looking\s+(?:at|for)|evaluating|considering)\s+(?:\w+\s+)?alternatives",
    r"(?:not|won't|will not)\s+(?:be\s+)?renew(?:ing)?",
    r"(?:want|like|going|need|decided|plan(?:ning)?)\s+to\s+(?:cancel|leave you|churn)\b",
    r"stop\s+using\s+(?:your|the|this)\b",
)
OTHERS = (
    r"(?:abo(?:nnement)?|vertrag|konto)\s+(?:\w+\s+)?k(?:ü|ue)ndigen",
    r"\bk(?:ü|ue)ndig(?:e|en|ung)\b",
    r"r(?:é|e)silier\s+(?:\w+\s+)?(?:abonnement|contrat|compte)",
    r"(?:cancelar|dar de baja)\s+(?:\w+\s+)?(?:suscripci(?:ó|o)n|cuenta|contrato|assinatura)",
    r"(?:取消|终止|停止)(?:订阅|續訂|续订|续费|账号|帳號|合同|服务)",
    r"不(?:再|想|打算)续(?:费|订|约)|不续费|退订|注销账[号户]|换(?:一家|别家|其他家|供应商)",
    r"解約(?:したい|希望|します|を)|退会(?:したい|希望|します)",
    r"(?:구독|계약)\s*(?:을|를)?\s*(?:해지|취소)",
)
NEGATION = re.compile(
    r"(?:\b(?:do not|don't|does not|doesn't|did not|didn't|never|without|not|nicht|kein(?:e[nrs]?)?|ne)\b"
    r"(?:[^\w.,;:!?—(]+\w+){0,3}[^\w.,;:!?—(]*|(?<!不得)[不没](?:想|会|要|打算|需要)?)$",
    re.IGNORECASE,
)
"""Ends a text after which a phrase means its opposite. It does not reach over a comma: *not good, cancel our account*."""

WINDOW = 40
"""Characters before a phrase in which a negation counts."""


class ChurnWords:
    """Finds phrases of leaving, in several languages.

    Args:
        further: Phrases of one's own; words with spaces between them, in any case.
    """

    def __init__(self, further: Iterable[str] = ()) -> None:
        own = [r"\s+".join(re.escape(word) for word in phrase.split()) for phrase in further]
        self._pattern = re.compile("|".join([*ENGLISH, *OTHERS, *own]), re.IGNORECASE)

    def found_in(self, *texts: str | None) -> bool:
        """Say whether one of the texts tells that its writer wants to leave."""
        return any(self._found(text.replace("\u2019", "'")) for text in texts if text)

    def _found(self, text: str) -> bool:
        for match in self._pattern.finditer(text):
            before = text[max(0, match.start() - WINDOW) : match.start()]
            if not NEGATION.search(before.splitlines()[-1] if before.splitlines() else before):
                return True
        return False
