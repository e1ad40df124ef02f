"""Every constraint of memberships, as `tests.core.constraints` has the others: by hand."""

from __future__ import annotations

HOLDER = "FOREIGN KEY (holder_id) REFERENCES holder(id)"
TERM = (
    "FOREIGN KEY (holder_id, partner_id, plan, number) "
    "REFERENCES membership_term(holder_id, partner_id, plan, number)"
)
MEMBERSHIPS = {
    "membership_act": {
        "CHECK (((kind = 1) = (renews IS NULL)))",
        "CHECK (((kind >= 1) AND (kind <= 3)))",
        "CHECK (((length(plan) >= 1) AND (length(plan) <= 50)))",
        "CHECK (((length(renews) >= 1) AND (length(renews) <= 64)))",
        HOLDER,
        TERM,
        "PRIMARY KEY (holder_id, event_id)",
    },
    "membership_term": {
        "CHECK (\n"
        "CASE\n"
        "    WHEN (number = 1) THEN ((after_number IS NULL) AND (after_until IS "
        "NULL))\n"
        "    ELSE ((after_number IS NOT NULL) AND (after_number = (number - 1)) AND "
        "(after_until IS NOT NULL) AND (from_at >= after_until))\n"
        "END)",
        "CHECK ((((kind = 2) = (fee IS NOT NULL)) AND ((kind = 2) = ((amount IS NOT "
        "NULL) OR (points IS NOT NULL))) AND ((amount IS NULL) = (money IS NULL)) "
        "AND ((amount IS NULL) = (payment IS NULL)) AND ((points IS NULL) = "
        "(currency_id IS NULL)) AND ((points IS NULL) = (redemption_id IS NULL))))",
        "CHECK (((kind = 2) OR (number = 1)))",
        "CHECK (((kind >= 1) AND (kind <= 2)))",
        "CHECK (((length(fee) >= 1) AND (length(fee) <= 64)))",
        "CHECK (((length(payment) >= 1) AND (length(payment) <= 200)))",
        "CHECK (((length(per) >= 2) AND (length(per) <= 8)))",
        "CHECK (((length(plan) >= 1) AND (length(plan) <= 50)))",
        "CHECK (((length(renews) >= 1) AND (length(renews) <= 64)))",
        "CHECK ((amount > 0))",
        "CHECK ((grace_until >= until_at))",
        "CHECK ((number >= 1))",
        "CHECK ((points > 0))",
        "CHECK ((until_at > from_at))",
        HOLDER,
        "FOREIGN KEY (holder_id, partner_id, plan, after_number, after_until) "
        "REFERENCES membership_term(holder_id, partner_id, plan, number, until_at)",
        "PRIMARY KEY (holder_id, event_id)",
        "UNIQUE (holder_id, partner_id, payment)",
        "UNIQUE (holder_id, partner_id, plan, number)",
        "UNIQUE (holder_id, partner_id, plan, number, until_at)",
    },
    "perk_use": {
        "CHECK (((amount IS NULL) = (money IS NULL)))",
        "CHECK (((length(external_id) >= 1) AND (length(external_id) <= 200)))",
        "CHECK (((length(perk) >= 1) AND (length(perk) <= 64)))",
        "CHECK ((amount > 0))",
        HOLDER,
        TERM,
        "PRIMARY KEY (holder_id, event_id)",
        "UNIQUE (holder_id, partner_id, perk, external_id)",
    },
}
