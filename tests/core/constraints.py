"""Every constraint that the tables must have, and no other: written by hand, not read back."""

from __future__ import annotations

HOLDER = "FOREIGN KEY (holder_id) REFERENCES holder(id)"
TRANSFER = "REFERENCES transfer(holder_id, currency_id, seq)"
LOT = "REFERENCES lot(holder_id, currency_id, seq)"
CONSTRAINTS = {
    "allocation": {
        "CHECK ((amount <> 0))",
        f"FOREIGN KEY (holder_id, currency_id, lot_seq) {LOT}",
        f"FOREIGN KEY (holder_id, currency_id, seq) {TRANSFER}",
        "PRIMARY KEY (holder_id, currency_id, seq, lot_seq) INCLUDE (at, amount)",
    },
    "assignment": {
        "CHECK (((kind = 3) = (ends IS NOT NULL)))",
        "CHECK (((kind >= 1) AND (kind <= 3)))",
        "CHECK (((length(reason) >= 1) AND (length(reason) <= 64)))",
        "CHECK ((rank >= 0))",
        "CHECK ((until_at > from_at))",
        HOLDER,
        "PRIMARY KEY (holder_id, event_id)",
        "UNIQUE (holder_id, ends)",
    },
    "budget": {
        "CHECK (((length(code) >= 1) AND (length(code) <= 64)))",
        "CHECK ((taken <= size))",
        "CHECK ((taken >= 0))",
        "PRIMARY KEY (partner_id, code, period)",
    },
    "cap_use": {
        "CHECK (((length(key) >= 1) AND (length(key) <= 80)))",
        "CHECK (((points <> 0) OR (times <> 0)))",
        "CHECK (((period IS NULL) OR (key ~~ 'budget:%'::text)))",
        "CHECK (((times >= '-1'::integer) AND (times <= 1)))",
        HOLDER,
        "PRIMARY KEY (holder_id, partner_id, key, event_id, rule_id, currency_id)",
    },
    "carry": {
        "CHECK (((length(rule) >= 1) AND (length(rule) <= 64)))",
        HOLDER,
        "PRIMARY KEY (holder_id, partner_id, rule)",
    },
    "currency": {"PRIMARY KEY (id)", "UNIQUE (code)"},
    "data_rule": {
        "CHECK (((length(code) >= 1) AND (length(code) <= 64)))",
        "CHECK (((length(saved_by) >= 1) AND (length(saved_by) <= 200)))",
        "CHECK ((((rule_id IS NULL) = (from_at IS NULL)) AND ((from_at IS NOT NULL) OR "
        "(until_at IS NULL))))",
        "CHECK ((revision >= 1))",
        "CHECK ((until_at >= from_at))",
        "EXCLUDE USING gist (int4range(partner_id, partner_id, '[]'::text) WITH &&, "
        "int8range(hashtextextended(code, (7)::bigint), hashtextextended(code, (7)::bigint), "
        "'[]'::text) WITH &&, tstzrange(from_at, until_at) WITH &&) "
        "WHERE ((from_at IS NOT NULL))",
        "PRIMARY KEY (id)",
        "UNIQUE (partner_id, code, revision)",
        "UNIQUE (rule_id)",
    },
    "decision": {
        "CHECK ((length(head) = 16))",
        HOLDER,
        "PRIMARY KEY (holder_id, booked_at)",
    },
    "event": {
        "CHECK (((length(external_id) >= 1) AND (length(external_id) <= 300)))",
        "CHECK ((length(content_hash) = 16))",
        "CHECK ((total >= 0))",
        "PRIMARY KEY (id)",
        "UNIQUE (partner_id, kind, external_id)",
    },
    "event_line": {
        "CHECK ((amount >= 0))",
        "CHECK ((line >= 1))",
        "CHECK ((quantity >= 0))",
        "FOREIGN KEY (event_id) REFERENCES event(id)",
        "PRIMARY KEY (event_id, line)",
    },
    "holder": {"CHECK (((head IS NULL) = (booked_at IS NULL)))", "PRIMARY KEY (id)"},
    "identifier": {"PRIMARY KEY (id)", "UNIQUE (kind, scope, value)"},
    "ladder": {"PRIMARY KEY (id)", "UNIQUE (code)"},
    "ledger": {
        "CHECK (((active = 0) OR (arrears = 0)))",
        "CHECK ((active >= 0))",
        "CHECK ((arrears >= 0))",
        "CHECK ((pending >= 0))",
        "CHECK ((reserved >= 0))",
        "CHECK ((seq >= 0))",
        HOLDER,
        "PRIMARY KEY (holder_id, currency_id)",
    },
    "lot": {
        "CHECK (((remaining >= 0) AND (remaining <= amount)))",
        "CHECK ((amount > 0))",
        "CHECK (((expires_at > active_at) OR (active_at = 'infinity'::timestamp with time zone)))",
        "CHECK ((pending OR (active_at < 'infinity'::timestamp with time zone)))",
        f"FOREIGN KEY (holder_id, currency_id, seq) {TRANSFER}",
        "PRIMARY KEY (holder_id, currency_id, seq) "
        "INCLUDE (amount, occurred_at, active_at, expires_at, lapses_at, pending)",
    },
    "member": {"PRIMARY KEY (holder_id)"},
    "partner": {"PRIMARY KEY (id)", "UNIQUE (code)"},
    "programme": {"PRIMARY KEY (version)"},
    "qualification": {
        "CHECK ((amount <> 0))",
        "CHECK ((counts_from >= at))",
        HOLDER,
        "PRIMARY KEY (holder_id, ladder_id, counts_from, event_id)",
    },
    "redemption": {
        "CHECK ((((status = 5) = (reversed_at IS NOT NULL)) "
        "AND ((status = 5) = (reason IS NOT NULL)) AND ((status = 5) OR (NOT written_off))))",
        "CHECK (((length(order_id) >= 1) AND (length(order_id) <= 200)))",
        "CHECK (((length(reason) >= 1) AND (length(reason) <= 64)))",
        "CHECK (((quantity >= 1) AND (quantity <= 100)))",
        "CHECK ((cash > 0))",
        "CHECK (((reward_id IS NULL) <> (rule IS NULL)))",
        "CHECK (((status <> 1) OR (hold_until IS NOT NULL)))",
        "CHECK ((hold_until > requested_at))",
        "CHECK (((status = 1) = (settled_at IS NULL)))",
        "CHECK (((status >= 1) AND (status <= 5)))",
        "CHECK ((points > 0))",
        "CHECK ((worth > 0))",
        HOLDER,
        "PRIMARY KEY (holder_id, id)",
    },
    "relation": {"CHECK ((purchases >= 0))", HOLDER, "PRIMARY KEY (holder_id, partner_id)"},
    "request_key": {
        "CHECK (((length(key) >= 1) AND (length(key) <= 255)))",
        "PRIMARY KEY (caller, key)",
    },
    "reward": {"PRIMARY KEY (id)", "UNIQUE (partner_id, code)"},
    "reward_stock": {"CHECK ((remaining >= 0))", "PRIMARY KEY (reward_id, slice)"},
    "rule": {"PRIMARY KEY (id)", "UNIQUE (partner_id, code, version)"},
    "rulebook": {"PRIMARY KEY (version)", "UNIQUE (digest)"},
    "rule_fault": {
        "CHECK ((faults > 0))",
        "CHECK ((last_at >= first_at))",
        "CHECK ((length(rule) <= 64))",
        "CHECK (((length(what) >= 1) AND (length(what) <= 200)))",
        "PRIMARY KEY (partner_id, rule, what)",
    },
    "seal": {"PRIMARY KEY (at)"},
    "standing": {"CHECK ((rank >= 0))", HOLDER, "PRIMARY KEY (holder_id, ladder_id)"},
    "stock_move": {
        "CHECK ((((kind = 1) = (redemption_id IS NULL)) "
        "AND ((holder_id IS NULL) = (redemption_id IS NULL))))",
        "CHECK (((kind >= 1) AND (kind <= 4)))",
        "CHECK ((amount >= 0))",
        "PRIMARY KEY (reward_id, slice, event_id)",
    },
    "tier_change": {
        "CHECK ((to_rank <> from_rank))",
        HOLDER,
        "PRIMARY KEY (holder_id, ladder_id, booked_at, at, from_rank)",
    },
    "transfer": {
        "CHECK ((amount > 0))",
        "CHECK ((target <> source))",
        "CHECK (((occurred_at - booked_at) <= '00:05:00'::interval))",
        "FOREIGN KEY (holder_id, booked_at) REFERENCES decision(holder_id, booked_at)",
        "FOREIGN KEY (holder_id, currency_id) REFERENCES ledger(holder_id, currency_id)",
        "PRIMARY KEY (holder_id, currency_id, seq)",
    },
    "voucher": {
        "CHECK ((((state = 1) = (redemption_id IS NULL)) "
        "AND ((holder_id IS NULL) = (redemption_id IS NULL)) "
        "AND ((state <> 1) OR (reward_id IS NOT NULL))))",
        "CHECK (((length(code) >= 1) AND (length(code) <= 200)))",
        "CHECK (((state >= 1) AND (state <= 4)))",
        "PRIMARY KEY (partner_id, code)",
    },
    "adjustment": {
        "CHECK (((length(caller) >= 1) AND (length(caller) <= 200)))",
        "CHECK (((length(reason) >= 1) AND (length(reason) <= 64)))",
        "CHECK ((points <> 0))",
        "CHECK ((role = ANY (ARRAY['admin'::text, 'partner'::text])))",
        HOLDER,
        f"FOREIGN KEY (holder_id, currency_id, seq) {TRANSFER}",
        "PRIMARY KEY (holder_id, event_id)",
    },
    "adjustment_note": {
        "CHECK (((length(note) >= 1) AND (length(note) <= 2000)))",
        "PRIMARY KEY (holder_id, event_id)",
    },
    "head_digest": {
        "CHECK ((holders >= 0))",
        "FOREIGN KEY (at) REFERENCES seal(at)",
        "CHECK ((length(digest) = 32))",
        "CHECK ((length(key_id) = 16))",
        "PRIMARY KEY (at)",
    },
    "lot_change": {
        "FOREIGN KEY (holder_id, booked_at) REFERENCES decision(holder_id, booked_at)",
        f"FOREIGN KEY (holder_id, currency_id, lot_seq) {LOT}",
        "PRIMARY KEY (holder_id, currency_id, lot_seq, booked_at)",
    },
    "lot_move": {
        "CHECK ((((sooner + later) <= points) AND (expired <= sooner)))",
        "CHECK (((length(caller) >= 1) AND (length(caller) <= 200)))",
        "CHECK ((expired >= 0))",
        "CHECK ((later >= 0))",
        "CHECK ((lots >= members))",
        "CHECK ((members >= 0))",
        "CHECK ((points >= lots))",
        "CHECK ((sooner >= 0))",
        "PRIMARY KEY (id)",
    },
    "notice": {
        "CHECK ((kind = ANY (ARRAY[1, 2])))",
        HOLDER,
        "PRIMARY KEY (holder_id, kind, subject_id, due_at, lead)",
    },
    "policy": {"PRIMARY KEY (id)", "UNIQUE (currency_id, version)"},
    "waiting": {
        "CHECK (((length(external_id) >= 1) AND (length(external_id) <= 300)))",
        "CHECK ((length(content_hash) = 16))",
        "PRIMARY KEY (partner_id, kind, external_id)",
    },
}
