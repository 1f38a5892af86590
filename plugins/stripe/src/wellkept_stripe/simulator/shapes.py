"""What shows of an object: references and lists embedded, expansions, and the shapes of older API versions."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from wellkept_stripe.simulator.errors import StripeError

if TYPE_CHECKING:
    from wellkept_stripe.simulator.state import State

Obj = dict[str, Any]

DEEPEST = 4
"""Levels of a path that can be expanded, ``data`` of a list among them. Source: docs.stripe.com/api/expanding_objects."""

EMBEDDED = 10
"""Rows of a list inside another object."""

INCLUDABLE = {
    "price": ("tiers", "currency_options"),
    "coupon": ("applies_to", "currency_options"),
    "invoice": ("payments",),
    "customer": ("tax_ids",),
}
"""Fields that show only where they are asked for."""

BASIL = "2025-03-31.basil"
CLOVER = "2025-09-30.clover"
VERSIONS = ("2022-11-15", "2024-06-20", "2024-09-30.acacia", BASIL, CLOVER, "2026-03-25.dahlia", "2026-10-28.endive")
"""API versions that can be asked for."""


def list_of(rows: list[Obj], url: str, *, has_more: bool = False) -> Obj:
    """Return a list object."""
    return {"object": "list", "data": rows, "has_more": has_more, "url": url}


def render(state: State, obj: Obj) -> Obj:
    """Return an object as the newest API version shows it without expansions. Values are shared with the state."""
    kind = obj["object"]
    hidden = INCLUDABLE.get(kind, ())
    shown = {name: value for name, value in obj.items() if name[0] != "_" and name not in hidden}
    if kind == "subscription":
        items = [render(state, state.get("subscription_item", id_)) for id_ in obj["_items"]]
        url = f"/v1/subscription_items?subscription={obj['id']}"
        shown["items"] = list_of(items[:EMBEDDED], url, has_more=len(items) > EMBEDDED)
    elif kind == "subscription_item":
        price = state.get("price", obj["price"])
        shown["price"] = render(state, price)
        shown["plan"] = _plan(price)
    return shown


def _plan(price: Obj) -> Obj:
    """Return the older twin of a price."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": price["livemode"],
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": price["tiers_mode"],
        "transform_usage": price["transform_quantity"],
        "trial_period_days": None,
        "usage_type": recurring["usage_type"],
    }


def expand(state: State, shown: Obj, paths: list[str]) -> Obj:
    """Return a rendered object with the references at these paths replaced by what they refer to."""
    if not paths:
        return shown
    grown = copy.deepcopy(shown)
    for path in paths:
        steps = path.split(".")
        if len(steps) > DEEPEST:
            raise StripeError(400, f"You cannot expand more than 4 levels of a property (property: {path}).")
        _expand(state, grown, steps, path)
    return grown


def _expand(state: State, node: Any, steps: list[str], path: str) -> None:
    if not steps or node is None:
        return
    if isinstance(node, list):
        for place, item in enumerate(node):
            if isinstance(item, str):
                node[place] = _referred(state, item, path)
            _expand(state, node[place], steps, path)
        return
    name, rest = steps[0], steps[1:]
    if name not in node:
        if name not in INCLUDABLE.get(node.get("object", ""), ()):
            raise StripeError(400, f"This property cannot be expanded ({path}).")
        node[name] = _included(state, node, name)
    value = node[name]
    if isinstance(value, str):
        node[name] = value = _coupon(state, value) if name == "coupon" else _referred(state, value, path)
    elif isinstance(value, list) and not rest:
        node[name] = [_referred(state, item, path) if isinstance(item, str) else item for item in value]
        return
    _expand(state, value, rest, path)


def _referred(state: State, id_: str, path: str) -> Obj:
    found = state.find(id_)
    if found is None:
        raise StripeError(400, f"This property cannot be expanded ({path}).")
    return copy.deepcopy(render(state, found))


def _coupon(state: State, id_: str) -> Obj:
    return copy.deepcopy(render(state, state.coupon(id_)))


def _included(state: State, node: Obj, name: str) -> Any:
    """Return a field that shows only where it is asked for."""
    kind = node["object"]
    if kind == "invoice":
        rows = [render(state, state.get("invoice_payment", id_)) for id_ in state.get("invoice", node["id"])["_payments"]]
        return list_of(rows[:EMBEDDED], f"/v1/invoice_payments?invoice={node['id']}", has_more=len(rows) > EMBEDDED)
    if kind == "customer":
        return list_of(
            [render(state, row) for row in state.all("tax_id", customer=node["id"])], f"/v1/customers/{node['id']}/tax_ids"
        )
    owner = state.coupon(node["id"]) if kind == "coupon" else state.get(kind, node["id"])
    return copy.deepcopy(owner.get(name))


def older(shown: Obj, version: str, state: State) -> Obj:
    """Return a rendered object in the shape of an older API version."""
    if version >= CLOVER:
        return shown
    kind = shown.get("object")
    old = copy.deepcopy(shown)
    if version < CLOVER:
        _inline_coupons(old, state)
    if version >= BASIL:
        return old
    if kind == "subscription":
        _old_subscription(old, state)
    elif kind == "invoice":
        _old_invoice(old, state)
    elif kind in {"charge", "payment_intent"}:
        intent = old["payment_intent"] if kind == "charge" else old["id"]
        payments = [row for row in state.tables["invoice_payment"].rows.values() if row["payment"]["payment_intent"] == intent]
        old["invoice"] = payments[0]["invoice"] if payments else None
    return old


def _inline_coupons(node: Any, state: State) -> None:
    """Before clover a discount had its coupon in place."""
    if isinstance(node, list):
        for item in node:
            _inline_coupons(item, state)
    elif isinstance(node, dict):
        if node.get("object") == "discount" and "source" in node:
            coupon = node.pop("source")["coupon"]
            node["coupon"] = _coupon(state, coupon) if isinstance(coupon, str) else coupon
        for value in node.values():
            _inline_coupons(value, state)


def _old_subscription(old: Obj, state: State) -> None:
    first = old["items"]["data"][0]
    old["current_period_start"] = first["current_period_start"]
    old["current_period_end"] = first["current_period_end"]
    old["plan"], old["quantity"] = first["plan"], first["quantity"]
    for item in old["items"]["data"]:
        del item["current_period_start"], item["current_period_end"]
    ids = [item if isinstance(item, str) else item["id"] for item in old["discounts"]]
    discount = render(state, state.get("discount", ids[0])) if ids else None
    old["discount"] = copy.deepcopy(discount)
    _inline_coupons(old["discount"], state)
    for new in ("billing_schedules", "status_details"):
        old.pop(new, None)


def _old_invoice(old: Obj, state: State) -> None:
    parent = old.pop("parent", None) or {}
    old["subscription"] = (parent.get("subscription_details") or {}).get("subscription")
    links = [state.get("invoice_payment", id_) for id_ in state.get("invoice", old["id"])["_payments"]]
    intent = next((link["payment"]["payment_intent"] for link in links), None)
    old["payment_intent"] = intent
    old["charge"] = state.get("payment_intent", intent)["latest_charge"] if intent else None
    old["paid"] = old["status"] == "paid"
    old["paid_out_of_band"] = False
    for new in ("status_details", "amount_overpaid", "confirmation_secret"):
        old.pop(new, None)
