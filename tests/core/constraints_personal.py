"""The constraints that must stand on personal offers and orders ahead, as PostgreSQL tells them."""

from __future__ import annotations

HOLDER = "FOREIGN KEY (holder_id) REFERENCES holder(id)"
PERSONAL = {
    "ahead_order": {
        "CHECK ((length(store) <= 100))",
        "CHECK ((length(tender) <= 64))",
        "CHECK (((placed_at <= pickup_at) AND (pickup_at < until_at)))",
        "CHECK (((purchase_id IS NULL) OR (closed_at IS NOT NULL)))",
        HOLDER,
        "PRIMARY KEY (holder_id, id)",
    },
    "personal_offer": {
        "CHECK (((length(offers) >= 1) AND (length(offers) <= 64)))",
        "CHECK (((length(rule) >= 1) AND (length(rule) <= 64)))",
        "CHECK ((until_at > from_at))",
        "CHECK (((length(because) >= 1) AND (length(because) <= 300)))",
        "CHECK ((control = (attribute_id IS NULL)))",
        "CHECK ((from_at >= period_at))",
        HOLDER,
        "PRIMARY KEY (holder_id, partner_id, offers, period_at, rule)",
    },
}
