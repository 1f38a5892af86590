"""Rows of every kind: each price, discount, tax, state, payment method, customer and bill that an account may have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wellkept_stripe.simulator import objects, payment_objects
from wellkept_stripe.simulator.app import StripeSimulator
from wellkept_stripe.simulator.state import Obj

HOUR, DAY = 3600, 86_400


class Variety:
    """Puts rows of every kind into an account, without events of them.

    Args:
        vendor: The account.
    """

    def __init__(self, vendor: StripeSimulator) -> None:
        self.vendor, self.state, self.billing = vendor, vendor.state, vendor.billing
        self.now = vendor.state.now
        self.product = vendor.state.all("product")[0]["id"]

    def price(self, amount: int | None = 5000, currency: str = "usd", **fields: Any) -> Obj:
        """Add a price that recurs every month, unless `fields` say otherwise."""
        recurring = {
            "interval": "month",
            "interval_count": 1,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        }
        fields["recurring"] = {**recurring, **fields.pop("recurring", {})}
        return self.state.add(
            "price", objects.price(self.state, fields.pop("product", self.product), currency, amount, **fields)
        )

    def discount(self, **coupon: Any) -> str:
        """Add a coupon, and a discount from it; ``start`` and ``end`` are the discount's. Returns the discount's id."""
        lasts = {name: coupon.pop(name) for name in ("start", "end") if name in coupon}
        made = objects.coupon(self.state, f"C{len(self.state.tables['coupon'].rows)}", **coupon)
        self.state.add("coupon", made)
        return str(self.state.add("discount", objects.discount(self.state, made["id"], **lasts))["id"])

    def customer(self, **fields: Any) -> Obj:
        """Add a customer."""
        return self.state.add("customer", objects.customer(self.state, **fields))

    def subscribe(self, *items: tuple[Obj, int | None] | Obj, **fields: Any) -> Obj:
        """Add a customer with a subscription; an item is a price with its quantity, or fields with the ``price`` among them."""
        customer = self.state.all("customer")[-1]
        parts: list[Obj] = [
            {"price": item[0], "quantity": item[1]} if isinstance(item, tuple) else {"quantity": 1, **item} for item in items
        ]
        currency = fields.pop("currency", parts[0]["price"]["currency"])
        sub = objects.subscription(self.state, customer["id"], currency)
        for part in parts:
            self.billing.add_item(sub, **part)
        return self.state.add("subscription", sub | fields)

    def attempt(self, bill: Obj, **intent: Any) -> tuple[Obj, Obj]:
        """Add a payment of an invoice, with its intent, but without a charge."""
        fields = {"customer_id": bill["customer"], **intent}
        made = payment_objects.payment_intent(self.state, bill["amount_due"], bill["currency"], **fields)
        self.state.add("payment_intent", made)
        payment = {"type": "payment_intent", "payment_intent": made["id"], "charge": None}
        link = payment_objects.invoice_payment(self.state, bill["id"], bill["amount_due"], bill["currency"], payment)
        bill["_payments"] = [*bill["_payments"], link["id"]]
        return self.state.add("invoice_payment", link), made

    def every_price(self) -> None:
        """Subscriptions to prices of every kind, in currencies with decimals of every kind."""
        for interval, count in (("day", 1), ("day", 30), ("week", 2), ("month", 3), ("year", 1), ("year", 2)):
            self.subscribe((self.price(6018, recurring={"interval": interval, "interval_count": count}), 3))
        for currency, amount in (("jpy", 5000), ("kwd", 12_340), ("isk", 250_050), ("ugx", 370_000), ("mga", 500)):
            self.subscribe((self.price(amount, currency), 1))
        self.subscribe((self.price(18, recurring={"interval": "year"}), 1))
        self.subscribe((self.price(6, recurring={"interval": "year"}), 1))
        self.subscribe((self.price(None, unit_amount_decimal="0.125", nickname="A bit"), 1001))
        self.subscribe((self.price(None, "isk", unit_amount_decimal="0.5", lookup_key="half"), 1))
        for round_ in ("up", "down"):
            pack = self.price(1000, transform_quantity={"divide_by": 10, "round": round_}, product=self.unnamed())
            self.subscribe((pack, 25))
            self.subscribe((pack, 20))
        self.subscribe((self.price(700, recurring={"usage_type": "metered"}), None), (self.price(900), 2))
        self.subscribe((self.price(0), 1), (self.price(0), 7), metadata={"team": "red"})
        self.subscribe(*((self.price(100 + number), 1) for number in range(12)))
        tier = {"flat_amount": None, "flat_amount_decimal": None, "unit_amount": None, "unit_amount_decimal": None}
        tiers = [
            {**tier, "up_to": 10, "unit_amount": 400},
            {**tier, "up_to": 5, "flat_amount": 1000, "unit_amount_decimal": "500"},
            {**tier, "up_to": 20, "flat_amount_decimal": "7.5", "unit_amount": 300},
        ]
        for mode in ("graduated", "volume"):
            ends = self.price(None, billing_scheme="tiered", tiers_mode=mode, tiers=tiers)
            goes_on = self.price(
                None, billing_scheme="tiered", tiers_mode=mode, tiers=[{**tier, "up_to": None, "unit_amount": 9}, *tiers]
            )
            for quantity in (0, 5, 6, 11, 20, 21):
                self.subscribe((goes_on, quantity))
            self.subscribe((ends, 21))
        self.subscribe((self.price(None, billing_scheme="tiered", tiers_mode="volume", tiers=[]), 1))
        option = {
            "custom_unit_amount": None,
            "tax_behavior": "unspecified",
            "tiers": None,
            "unit_amount": 4500,
            "unit_amount_decimal": "4500",
        }
        foreign = self.price(5000, currency_options={"eur": option})
        self.subscribe((foreign, 2), currency="eur")
        self.subscribe((foreign, 2), currency="gbp")
        steps = {"eur": {**option, "tiers": tiers, "unit_amount": None}}
        both = self.price(None, billing_scheme="tiered", tiers_mode="volume", tiers=tiers[:1], currency_options=steps)
        self.subscribe((both, 6), currency="eur")
        self.subscribe((both, 6))
        self.subscribe((self.price(None), 1))

    def unnamed(self) -> str:
        """Return a product that is known by its id alone."""
        return "prod_of_nobody"

    def every_discount(self) -> None:
        """Subscriptions with discounts of every kind, on all of it, on some products, and on items."""
        other = self.state.add("product", objects.product(self.state, "Support", unit_label="hour"))["id"]
        euros = {"amount_off": 900, "currency": "eur", "currency_options": {"usd": {"amount_off": 1000}}}
        coupons: list[Obj] = [
            {"percent_off": 33.33},
            {"percent_off": 25.0, "duration": "once"},
            {"percent_off": 25.0, "duration": "repeating", "duration_in_months": 3, "end": self.now + DAY},
            {"percent_off": 25.0, "start": self.now + DAY},
            {"percent_off": 25.0, "end": self.now},
            {"amount_off": 1500, "currency": "usd"},
            {"amount_off": 15_000, "currency": "usd"},
            {"amount_off": 1500, "currency": "gbp"},
            euros,
            {"percent_off": 50.0, "applies_to": {"products": [other]}},
            {"amount_off": 300, "currency": "usd", "applies_to": {"products": [other]}},
            {"percent_off": 10.0, "applies_to": {"products": ["prod_other"]}},
        ]
        for coupon in coupons:
            prices = self.price(5000), self.price(2400, product=other, recurring={"interval": "year"})
            self.subscribe((prices[0], 2), (prices[1], 1), discounts=[self.discount(**coupon)])
        several = [
            self.discount(percent_off=50.0),
            self.discount(amount_off=1000, currency="usd"),
            self.discount(percent_off=10.0),
        ]
        self.subscribe((self.price(5000), 2), discounts=several)
        on_item = {"price": self.price(10_000), "discounts": [self.discount(amount_off=1000, currency="usd")]}
        self.subscribe(on_item, (self.price(2000, product=other), 1), discounts=[self.discount(percent_off=50.0)])
        self.subscribe({**on_item, "discounts": [self.discount(percent_off=25.0, duration="once")]})
        self.subscribe(
            (self.price(700, recurring={"usage_type": "metered"}), None), discounts=[self.discount(percent_off=50.0)]
        )

    def every_tax(self) -> None:
        """Subscriptions with tax in the price, at known rates and at such as only an invoice shows."""
        rate = {"object": "tax_rate", "active": True, "display_name": "VAT", "inclusive": True, "livemode": False}
        vat = self.state.add("tax_rate", {**rate, "id": self.state.new_id("tax_rate"), "created": 0, "percentage": 20.0})
        more = {**vat, "inclusive": False}
        price = self.price(12_000, tax_behavior="inclusive")
        self.subscribe((price, 1), default_tax_rates=[vat])
        self.subscribe((price, 1), default_tax_rates=[vat, {**vat, "percentage": 5.5}, more])
        self.subscribe((price, 1), default_tax_rates=[more])
        self.subscribe({"price": price, "tax_rates": [vat]}, (price, 1), default_tax_rates=[more])
        self.subscribe({"price": price, "tax_rates": [more]}, default_tax_rates=[vat])
        off = self.discount(amount_off=1200, currency="usd")
        self.subscribe((price, 1), default_tax_rates=[vat], discounts=[off])
        self.subscribe({"price": price, "tax_rates": [vat]}, (self.price(6000), 1), discounts=[off])
        automatic = {"disabled_reason": None, "enabled": True, "liability": None}
        for total, net in ((11_900, 10_000), (0, 0), (11_900, None), (None, None)):
            sub = self.subscribe((price, 1), automatic_tax=automatic)
            if total is not None:
                customer = self.state.get("customer", sub["customer"])
                bill = objects.invoice(self.state, customer, "usd", subtotal=total, subtotal_excluding_tax=net)
                sub["latest_invoice"] = self.state.add("invoice", bill)["id"]
        self.subscribe((self.price(12_000, tax_behavior="exclusive"), 1), automatic_tax=automatic)
        self.subscribe((price, 1), automatic_tax={**automatic, "enabled": False})

    def every_status(self) -> None:
        """Subscriptions in every state, in trials, pauses, and on the way out."""
        for status in ("trialing", "active", "past_due", "unpaid", "paused", "incomplete", "incomplete_expired", "canceled"):
            self.subscribe((self.price(5000), 1), status=status, ended_at=self.now - DAY if "c" in status else None)
        for behavior, until in (("void", None), ("keep_as_draft", self.now + HOUR), ("keep_as_draft", self.now - 1)):
            self.subscribe((self.price(5000), 1), pause_collection={"behavior": behavior, "resumes_at": until})
        trial = {"start_date": self.now - DAY, "end_date": self.now + 1, "trial_offer": "to_1"}
        self.subscribe({"price": self.price(5000), "current_trial": trial}, (self.price(300), 1))
        self.subscribe({"price": self.price(5000), "current_trial": {**trial, "end_date": self.now}})
        for reason in ("payment_failed", "payment_disputed", "cancellation_requested", "canceled_by_retention_policy"):
            details = {"comment": None, "feedback": "too_complex", "feedback_option": None, "reason": reason}
            sub = self.subscribe((self.price(5000), 1), status="canceled", ended_at=self.now, cancellation_details=details)
            sub |= {
                "trial_end": self.now - 1,
                "cancel_at": self.now + 2,
                "canceled_at": self.now + 3,
                "start_date": self.now - 4,
            }
        self.subscribe((self.price(5000), 1), start_date=None, default_source="card_1", cancel_at_period_end=True)
        self.subscribe((self.price(5000), 1), start_date=None, customer=None)
        self.subscribe((self.price(5000), 1), default_payment_method=self.method()["id"], default_source="card_2")

    def method(self, **fields: Any) -> Obj:
        """Add a card, or what `fields` make of it."""
        return self.state.add("payment_method", payment_objects.payment_method(self.state, **fields))

    def every_method(self) -> None:
        """Cards that end when they like, bank accounts of every scheme, defaults of both kinds, and a detached card."""
        owner = self.customer(name="Owner", default_source="pm_default")
        bank = {"last4": "6789", "fingerprint": "f_1", "bank_name": "BANK"}
        for scheme in ("sepa_debit", "us_bank_account", "bacs_debit", "au_becs_debit", "acss_debit"):
            self.method(type=scheme, card=None, customer=owner["id"], metadata={"of": scheme}, **{scheme: bank})
        for month, year in ((2, 2028), (12, 2027), (1, 2030), (13, 2030), (0, 2030), (None, 2030)):
            method = self.method(customer=owner["id"])
            method["card"] = {**method["card"], "exp_month": month, "exp_year": year}
        other = self.method(customer=owner["id"], type="link", card=None)
        owner["default_source"] = other["id"]
        self.method()
        self.method(customer=self.customer(invoice_settings=None)["id"])

    def every_customer(self) -> None:
        """Customers with every field, and with none."""
        address = {"city": None, "country": "DE", "line1": None, "line2": None, "postal_code": None, "state": None}
        names = {"business_name": "Business", "individual_name": "Ina Individual", "name": "Name"}
        self.customer(
            **names, email="i@x.example", phone="+49 1", address=address, preferred_locales=["de", "en"], delinquent=True
        )
        self.customer(name="Name", business_name="Business", phone="+49 2", metadata={"account_id": "our-1", "crm_id": "crm-1"})
        self.customer(individual_name="Ina", email="ina@x.example", metadata={"account_id": ""}, delinquent=None)
        taxed = self.customer(name="Nobody", preferred_locales=None, metadata=None)
        for value, country in (("DE123", "DE"), ("123", "CH"), ("456", None), ("", "FR"), ("EL9", "GR")):
            self.state.add("tax_id", objects.tax_id(self.state, taxed["id"], value) | {"country": country})

    def every_bill(self) -> None:
        """Invoices in every state and currency, paid by charges, outside, in doubt, after several tries, or not at all."""
        times = {
            "finalized_at": self.now + 1,
            "paid_at": self.now + 2,
            "voided_at": self.now + 3,
            "marked_uncollectible_at": self.now + 4,
        }
        customer = self.customer(name="Billed", email="b@x.example")
        for status in ("draft", "open", "paid", "void", "uncollectible"):
            fields: Obj = {
                "status": status,
                "status_transitions": times,
                "amount_due": 1999,
                "amount_paid": 1000,
                "amount_remaining": 999,
            }
            bill = objects.invoice(self.state, customer, "isk" if status == "paid" else "mga", **fields)
            self.state.add("invoice", bill)
        plain = objects.invoice(self.state, customer, "usd", status="open", amount_due=700, number="A-1", due_date=self.now + 9)
        plain |= {
            "collection_method": "send_invoice",
            "attempt_count": 3,
            "next_payment_attempt": self.now + 8,
            "metadata": {"po": "7"},
        }
        self.state.add("invoice", plain)
        self.state.add("invoice", objects.invoice(self.state, customer, "usd", status=None))
        self.state.add(
            "invoice", objects.invoice(self.state, customer, "usd", status="open", customer=None, status_transitions=None)
        )
        for status in ("requires_action", "requires_payment_method", "processing"):
            self.attempt(plain, status=status)
        error = {
            "code": "authentication_required",
            "decline_code": "do_not_honor",
            "type": "card_error",
            "payment_method": None,
        }
        self.attempt(plain, status="requires_action", last_payment_error=error, payment_method=self.method()["id"])
        self.tried(plain, [("failed", 0, "insufficient_funds"), ("failed", 100, "expired_card"), ("succeeded", 200, None)])
        self.tried(plain, [("succeeded", 10, None)])
        self.tried(plain, [("succeeded", 11, None)])
        self.tried(plain, [("pending", 1, None)])
        self.tried(plain, [("failed", 1, "generic_decline")], outcome=None)
        for status, paid, at in (("paid", 650, self.now + 5), ("open", None, None), ("canceled", None, None)):
            payment = {"type": "payment_record", "payment_record": "pr_1", "payment_intent": None, "charge": None}
            link = payment_objects.invoice_payment(
                self.state, plain["id"], 700, "isk", payment, status=status, amount_paid=paid
            )
            link["status_transitions"] = {"canceled_at": None, "paid_at": at}
            self.state.add("invoice_payment", link)
        charge = self.tried(plain, [("failed", 3, "lost_card")])[0]
        payment = {"type": "charge", "charge": charge["id"], "payment_intent": None}
        self.state.add("invoice_payment", payment_objects.invoice_payment(self.state, plain["id"], 700, "usd", payment))

    def tried(self, bill: Obj, tries: Sequence[tuple[str, int, str | None]], **fields: Any) -> list[Obj]:
        """Add a payment of an invoice that was tried so often: status, seconds after its beginning, and the decline code."""
        intent = self.attempt(bill, status="succeeded")[1]
        made = []
        for status, after, decline in tries:
            card = self.method(decline=decline, customer=bill["customer"])
            charge = payment_objects.charge(self.state, intent, card, status=status, created=self.now + after, **fields)
            made.append(self.state.add("charge", charge))
            intent |= {"latest_charge": charge["id"], "payment_method": card["id"]}
            if decline:
                code = {
                    "code": "card_declined",
                    "decline_code": decline,
                    "advice_code": "try_again_later",
                    "charge": charge["id"],
                }
                intent["last_payment_error"] = {
                    **code,
                    "network_decline_code": "51",
                    "network_advice_code": "03",
                    "type": "card_error",
                }
        return made
