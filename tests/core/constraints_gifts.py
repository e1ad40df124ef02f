"""The constraints of what is between two: as `tests.core.constraints` has the others, by hand."""

from __future__ import annotations

BETWEEN = {
    "referral": {
        "CHECK ((referrer_id <> holder_id))",
        "FOREIGN KEY (holder_id) REFERENCES holder(id)",
        "FOREIGN KEY (referrer_id) REFERENCES holder(id)",
        "PRIMARY KEY (holder_id, partner_id)",
    },
    "gift": {
        "CHECK (((length(value) >= 1) AND (length(value) <= 64)))",
        "CHECK ((giver_id <> receiver_id))",
        "CHECK ((points > 0))",
        "FOREIGN KEY (giver_id) REFERENCES holder(id)",
        "FOREIGN KEY (receiver_id) REFERENCES holder(id)",
        "PRIMARY KEY (giver_id, id)",
    },
    "gift_message": {
        "CHECK (((length(message) >= 1) AND (length(message) <= 1000)))",
        "PRIMARY KEY (giver_id, gift_id)",
    },
    "fulfilment": {
        "CHECK (((length(caller) >= 1) AND (length(caller) <= 200)))",
        "CHECK (((length(reason) >= 1) AND (length(reason) <= 500)))",
        "CHECK ((((decided_at IS NULL) = (approved IS NULL)) AND ((caller IS NULL) = "
        "(approved IS NULL)) AND ((reason IS NULL) OR (NOT approved))))",
        "FOREIGN KEY (holder_id, redemption_id) REFERENCES redemption(holder_id, id)",
        "PRIMARY KEY (holder_id, redemption_id)",
    },
}
