"""Endpoints: the account, customers, products, prices, coupons."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from wellkept_stripe.simulator import objects
from wellkept_stripe.simulator.calls import Call, deleted, endpoint
from wellkept_stripe.simulator.errors import StripeError, invalid, missing
from wellkept_stripe.simulator.params import (
    anything,
    boolean,
    decimal,
    either,
    fields,
    integer,
    many,
    merged,
    metadata,
    one_of,
    or_empty,
    span,
    text,
    texts,
)
from wellkept_stripe.simulator.state import Obj, State

_ADDRESS = fields(city=text, country=text, line1=text, line2=text, postal_code=text, state=text)
_CUSTOMER = {
    "address": or_empty(_ADDRESS),
    "business_name": or_empty(text),
    "description": or_empty(text),
    "email": or_empty(text),
    "individual_name": or_empty(text),
    "invoice_settings": fields(default_payment_method=or_empty(text)),
    "metadata": metadata,
    "name": or_empty(text),
    "phone": or_empty(text),
    "preferred_locales": texts,
    "tax_exempt": or_empty(text),
}


@endpoint("GET", "/v1/account", "accounts_kyc_basic")
def account(call: Call) -> Obj:
    """Whose key this is."""
    call.read()
    return call.account


@endpoint("GET", "/v1/customers", "customer")
def list_customers(call: Call) -> Obj:
    """All customers that are not deleted."""
    return call.page("customer", {"created": span, "email": text})


@endpoint("POST", "/v1/customers", "customer")
def create_customer(call: Call) -> Obj:
    """A new customer."""
    sent = call.read(**_CUSTOMER, payment_method=text)
    state = call.state
    method = sent.pop("payment_method", None)
    obj = objects.customer(state)
    state.tables["customer"].add(obj)
    _update_customer(call, obj, sent)
    if method is not None:
        found = state.get("payment_method", method, "payment_method")
        found["customer"] = obj["id"]
    state.emit("customer.created", obj)
    return call.show(obj)


@endpoint("GET", "/v1/customers/{}", "customer")
def customer(call: Call) -> Obj:
    """One customer; a deleted one is answered as such."""
    call.read()
    if call.ids[0] in call.state.deleted_customers:
        return {"id": call.ids[0], "object": "customer", "deleted": True}
    return call.show(call.state.get("customer", call.ids[0]))


@endpoint("POST", "/v1/customers/{}", "customer")
def update_customer(call: Call) -> Obj:
    """Changes a customer; metadata are merged."""
    sent = call.read(**_CUSTOMER)
    obj = call.state.get("customer", call.ids[0])
    with call.state.change(obj, "customer.updated"):
        _update_customer(call, obj, sent)
    return call.show(obj)


def _update_customer(call: Call, obj: Obj, sent: dict[str, Any]) -> None:
    if "metadata" in sent:
        obj["metadata"] = merged(obj["metadata"], sent.pop("metadata"))
    if "invoice_settings" in sent:
        settings = sent.pop("invoice_settings")
        if id_ := settings.get("default_payment_method"):
            method = call.state.get("payment_method", id_, "invoice_settings[default_payment_method]")
            if method["customer"] not in {None, obj["id"]} or (method["customer"] is None and obj["created"] != call.state.now):
                raise invalid(
                    "invoice_settings[default_payment_method]", "The customer does not have a payment method with this ID."
                )
            method["customer"] = obj["id"]
        obj["invoice_settings"] = {**obj["invoice_settings"], **settings}
    obj |= sent


@endpoint("DELETE", "/v1/customers/{}", "customer")
def delete_customer(call: Call) -> Obj:
    """Deletes a customer for good and ends its subscriptions."""
    call.read()
    state = call.state
    obj = state.get("customer", call.ids[0])
    for sub in state.all("subscription", customer=obj["id"]):
        if sub["status"] not in {"canceled", "incomplete_expired"}:
            call.billing.cancel(sub)
    for method in state.all("payment_method", customer=obj["id"]):
        method["customer"] = None
    state.remove(obj, "customer.deleted")
    state.deleted_customers.add(obj["id"])
    return deleted(obj)


@endpoint("GET", "/v1/customers/{}/payment_methods", "payment_method")
def customer_methods(call: Call) -> Obj:
    """The payment methods of one customer."""
    id_ = call.ids[0]
    call.state.get("customer", id_)
    return call.page("payment_method", {"type": text}, lambda row, _: row["customer"] == id_)


# --- products ---

_PRODUCT = {
    "active": boolean,
    "description": or_empty(text),
    "images": texts,
    "metadata": metadata,
    "name": text,
    "statement_descriptor": text,
    "unit_label": or_empty(text),
    "url": or_empty(text),
}


@endpoint("GET", "/v1/products", "product")
def list_products(call: Call) -> Obj:
    """All products."""
    filters = {"active": boolean, "created": span, "ids": texts}
    return call.page("product", filters, lambda row, sent: "ids" not in sent or row["id"] in sent["ids"])


@endpoint("POST", "/v1/products", "product")
def create_product(call: Call) -> Obj:
    """A new product."""
    sent = call.read(**_PRODUCT, id=text)
    if "name" not in sent:
        raise StripeError(400, "Missing required param: name.", code="parameter_missing", param="name")
    sent["metadata"] = merged({}, sent.get("metadata"))
    return call.show(call.state.add("product", objects.product(call.state, sent.pop("name"), **sent), "product.created"))


@endpoint("GET", "/v1/products/{}", "product")
def product(call: Call) -> Obj:
    """One product."""
    call.read()
    return call.show(call.state.get("product", call.ids[0]))


@endpoint("POST", "/v1/products/{}", "product")
def update_product(call: Call) -> Obj:
    """Changes a product."""
    sent = call.read(**_PRODUCT, default_price=text)
    obj = call.state.get("product", call.ids[0])
    with call.state.change(obj, "product.updated"):
        _merge(obj, sent)
        obj["updated"] = call.state.now
    return call.show(obj)


@endpoint("DELETE", "/v1/products/{}", "product")
def delete_product(call: Call) -> Obj:
    """Deletes a product that has no prices."""
    call.read()
    obj = call.state.get("product", call.ids[0])
    if call.state.all("price", product=obj["id"]):
        raise StripeError(400, "This product cannot be deleted because it has one or more user-created prices.")
    call.state.remove(obj, "product.deleted")
    return deleted(obj)


def _merge(obj: Obj, sent: dict[str, Any]) -> None:
    if "metadata" in sent:
        obj["metadata"] = merged(obj["metadata"], sent.pop("metadata"))
    obj |= sent


# --- prices ---

_TIER = fields(
    up_to=either("inf", integer), flat_amount=integer, flat_amount_decimal=text, unit_amount=integer, unit_amount_decimal=text
)
_OPTION = fields(unit_amount=integer, unit_amount_decimal=text, tiers=many(_TIER), tax_behavior=text)
_PRICE = {
    "active": boolean,
    "lookup_key": text,
    "metadata": metadata,
    "nickname": text,
    "tax_behavior": one_of("exclusive", "inclusive", "unspecified"),
}


@endpoint("GET", "/v1/prices", "plan")
def list_prices(call: Call) -> Obj:
    """All prices."""
    filters = {"active": boolean, "created": span, "currency": text, "product": text, "type": text, "lookup_keys": texts}
    return call.page("price", filters, lambda row, sent: "lookup_keys" not in sent or row["lookup_key"] in sent["lookup_keys"])


@endpoint("POST", "/v1/prices", "plan")
def create_price(call: Call) -> Obj:
    """A new price."""
    sent = call.read(
        **_PRICE,
        billing_scheme=one_of("per_unit", "tiered"),
        currency=text,
        currency_options=_options,
        product=text,
        recurring=fields(
            interval=one_of("day", "week", "month", "year"),
            interval_count=integer,
            usage_type=one_of("licensed", "metered"),
            meter=text,
        ),
        tiers=many(_TIER),
        tiers_mode=one_of("graduated", "volume"),
        transform_quantity=fields(divide_by=integer, round=one_of("up", "down")),
        unit_amount=integer,
        unit_amount_decimal=text,
    )
    return call.show(new_price(call.state, sent))


def new_price(state: State, sent: dict[str, Any]) -> Obj:
    """Make a price from what was sent for it."""
    for name in ("currency", "product"):
        if name not in sent:
            raise StripeError(400, f"Missing required param: {name}.", code="parameter_missing", param=name)
    state.get("product", sent["product"], "product")
    recurring = sent.pop("recurring", None)
    own = {**sent, "metadata": merged({}, sent.get("metadata"))}
    product_id, currency = own.pop("product"), own.pop("currency")
    amount, exact = own.pop("unit_amount", None), own.pop("unit_amount_decimal", None)
    if exact is None:
        exact = None if amount is None else str(amount)
    elif Decimal(exact) == int(Decimal(exact)):
        amount = int(Decimal(exact))
    if "tiers" in own:
        own["tiers"] = [_tier(tier) for tier in own["tiers"]]
    options = {code: _option(option) for code, option in own.pop("currency_options", {}).items()}
    shape = {"interval_count": 1, "meter": None, "trial_period_days": None, "usage_type": "licensed"}
    own["recurring"] = None if recurring is None else {**shape, **recurring}
    own["type"] = "one_time" if recurring is None else "recurring"
    made = objects.price(state, product_id, currency, amount, unit_amount_decimal=exact, currency_options=options, **own)
    return state.add("price", made, "price.created")


def _options(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(name, "Invalid object")
    return {code: _OPTION(option, f"{name}[{code}]") for code, option in value.items()}


def _tier(tier: dict[str, Any]) -> Obj:
    full: Obj = {"up_to": None if tier["up_to"] == "inf" else tier["up_to"]}
    for kind in ("flat_amount", "unit_amount"):
        amount, exact = tier.get(kind), tier.get(f"{kind}_decimal")
        full[kind] = amount
        full[f"{kind}_decimal"] = exact if exact is not None or amount is None else str(amount)
    return full


def _option(option: dict[str, Any]) -> Obj:
    amount, exact = option.get("unit_amount"), option.get("unit_amount_decimal")
    return {
        "custom_unit_amount": None,
        "tax_behavior": option.get("tax_behavior", "unspecified"),
        "tiers": [_tier(tier) for tier in option["tiers"]] if "tiers" in option else None,
        "unit_amount": amount,
        "unit_amount_decimal": exact if exact is not None or amount is None else str(amount),
    }


@endpoint("GET", "/v1/prices/{}", "plan")
def price(call: Call) -> Obj:
    """One price."""
    call.read()
    return call.show(call.state.get("price", call.ids[0]))


@endpoint("POST", "/v1/prices/{}", "plan")
def update_price(call: Call) -> Obj:
    """Changes a price; its amount never changes."""
    sent = call.read(**_PRICE)
    obj = call.state.get("price", call.ids[0])
    with call.state.change(obj, "price.updated"):
        _merge(obj, sent)
    return call.show(obj)


# --- coupons ---


@endpoint("GET", "/v1/coupons", "coupon")
def list_coupons(call: Call) -> Obj:
    """All coupons."""
    return call.page("coupon", {"created": span})


@endpoint("POST", "/v1/coupons", "coupon")
def create_coupon(call: Call) -> Obj:
    """A new coupon."""
    sent = call.read(
        amount_off=integer,
        applies_to=fields(products=texts),
        currency=text,
        currency_options=anything,
        duration=one_of("forever", "once", "repeating"),
        duration_in_months=integer,
        id=text,
        metadata=metadata,
        name=text,
        percent_off=decimal,
    )
    if ("percent_off" in sent) == ("amount_off" in sent):
        raise invalid("percent_off", "Must provide exactly one of amount_off or percent_off.")
    sent["metadata"] = merged({}, sent.get("metadata"))
    options = {code: {"amount_off": int(option["amount_off"])} for code, option in sent.pop("currency_options", {}).items()}
    id_ = sent.pop("id", None) or call.state.new_id("discount")[4:12].upper()
    made = objects.coupon(call.state, id_, currency_options=options, **sent)
    return call.show(call.state.add("coupon", made, "coupon.created"))


@endpoint("GET", "/v1/coupons/{}", "coupon")
def coupon(call: Call) -> Obj:
    """One coupon."""
    call.read()
    return call.show(call.state.get("coupon", call.ids[0]))


@endpoint("DELETE", "/v1/coupons/{}", "coupon")
def delete_coupon(call: Call) -> Obj:
    """Deletes a coupon; discounts made from it stay."""
    call.read()
    if call.ids[0] not in call.state.tables["coupon"].rows:
        raise missing("coupon", call.ids[0])
    obj = call.state.get("coupon", call.ids[0])
    call.state.remove(obj, "coupon.deleted")
    call.state.deleted_coupons[obj["id"]] = obj
    return deleted(obj)
