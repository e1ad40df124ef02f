"""The books in SQL: the append-only tables, their guards, and what the posting path updates.

Composite keys, CHECKs, triggers and grants are beyond the ORM's migrations, so they stand here
as text. Keys of the holder's tables begin with the holder (`research`: they spread over Citus).
"""

from core.store.audit import AUDIT_TABLES
from core.store.hand import HAND_TABLES

TABLES = """
CREATE SEQUENCE IF NOT EXISTS laurels_id INCREMENT BY 1024 START WITH 1024 CACHE 1;

CREATE TABLE event (
    id bigint PRIMARY KEY,
    holder_id bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    total bigint CHECK (total >= 0),
    partner_id integer NOT NULL,
    kind smallint NOT NULL,
    money char(3),
    content_hash bytea NOT NULL CHECK (length(content_hash) = 16),
    external_id text NOT NULL CHECK (length(external_id) BETWEEN 1 AND 300),
    store text NOT NULL DEFAULT '',
    purchase_id bigint,
    -- How a purchase was paid; NULL where that wasn't said.
    tender text CHECK (length(tender) BETWEEN 1 AND 64),
    CONSTRAINT event_natural_key UNIQUE (partner_id, kind, external_id)
);
-- What came back of a purchase, and its later revisions.
CREATE INDEX event_of_purchase ON event (purchase_id) WHERE purchase_id IS NOT NULL;
CREATE TABLE event_line (
    event_id bigint NOT NULL REFERENCES event (id),
    line integer NOT NULL CHECK (line >= 1),
    amount bigint NOT NULL CHECK (amount >= 0),
    quantity bigint NOT NULL CHECK (quantity >= 0),
    product_type text NOT NULL,
    sku text NOT NULL,
    -- What few lines say; NULL is none, and goods.
    discount bigint CHECK (discount > 0),
    tax bigint,
    points_paid bigint,
    kind smallint CHECK (kind BETWEEN 2 AND 4),
    PRIMARY KEY (event_id, line),
    CONSTRAINT event_line_tax CHECK (tax BETWEEN 1 AND amount),
    CONSTRAINT event_line_points_paid CHECK (points_paid BETWEEN 1 AND amount)
);

CREATE TABLE holder (
    id bigint PRIMARY KEY,
    kind smallint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    -- When its last decision was booked, and the hash of that one.
    booked_at timestamptz,
    head bytea,
    -- Since when nobody knows who it was.
    erased_at timestamptz,
    CONSTRAINT holder_head CHECK ((head IS NULL) = (booked_at IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX holder_erased ON holder (id) WHERE erased_at IS NOT NULL;
CREATE TABLE decision (
    holder_id bigint NOT NULL REFERENCES holder (id),
    booked_at timestamptz NOT NULL,
    event_id bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    partner_id integer NOT NULL,
    rulebook integer NOT NULL,
    kind smallint NOT NULL,
    head bytea NOT NULL CHECK (length(head) = 16),
    content text NOT NULL,
    PRIMARY KEY (holder_id, booked_at)
);
CREATE TABLE ledger (
    holder_id bigint NOT NULL REFERENCES holder (id),
    currency_id integer NOT NULL,
    seq integer NOT NULL CHECK (seq >= 0),
    active bigint NOT NULL CHECK (active >= 0),
    reserved bigint NOT NULL CHECK (reserved >= 0),
    pending bigint NOT NULL CHECK (pending >= 0),
    arrears bigint NOT NULL CHECK (arrears >= 0),
    -- When the latest thing happened that moved it: at any later instant it stands as it is.
    latest_at timestamptz NOT NULL,
    PRIMARY KEY (holder_id, currency_id),
    CONSTRAINT ledger_no_points_beside_arrears CHECK (active = 0 OR arrears = 0)
) WITH (fillfactor = 70);
CREATE TABLE transfer (
    holder_id bigint NOT NULL,
    currency_id integer NOT NULL,
    seq integer NOT NULL,
    booked_at timestamptz NOT NULL,
    occurred_at timestamptz NOT NULL,
    event_id bigint NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    partner_id integer NOT NULL,
    rule_id integer,
    kind smallint NOT NULL,
    source smallint NOT NULL,
    target smallint NOT NULL CHECK (target <> source),
    PRIMARY KEY (holder_id, currency_id, seq),
    -- But for a till's clock that runs ahead of ours.
    CONSTRAINT transfer_happened CHECK (occurred_at - booked_at <= interval '5 minutes'),
    FOREIGN KEY (holder_id, booked_at) REFERENCES decision (holder_id, booked_at),
    FOREIGN KEY (holder_id, currency_id) REFERENCES ledger (holder_id, currency_id)
);
-- Reserved points and arrears at any instant, without reading a ledger's whole past.
CREATE INDEX transfer_aside ON transfer (holder_id, currency_id, occurred_at)
    WHERE source IN (3, 4) OR target IN (3, 4);
-- What expired, for the balances of the past.
CREATE INDEX transfer_expired ON transfer (holder_id, currency_id, seq) WHERE kind = 3;
CREATE TABLE lot (
    holder_id bigint NOT NULL,
    currency_id integer NOT NULL,
    seq integer NOT NULL,
    rule_id integer,
    amount bigint NOT NULL CHECK (amount > 0),
    remaining bigint NOT NULL CHECK (remaining BETWEEN 0 AND amount),
    occurred_at timestamptz NOT NULL,
    active_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL DEFAULT 'infinity',
    lapses_at timestamptz NOT NULL DEFAULT 'infinity',
    partner_id integer NOT NULL,
    policy_id integer NOT NULL,
    -- Its policy at first: it may be moved under another.
    opened_under integer NOT NULL,
    pending boolean NOT NULL,
    -- With what a balance of the past asks of each: a member's lots lie scattered over the table.
    PRIMARY KEY (holder_id, currency_id, seq)
        INCLUDE (amount, occurred_at, active_at, expires_at, lapses_at, pending),
    FOREIGN KEY (holder_id, currency_id, seq) REFERENCES transfer (holder_id, currency_id, seq),
    CONSTRAINT lot_lives CHECK (expires_at > active_at OR active_at = 'infinity'),
    -- What waits for an event has a deadline; nothing else has one.
    CONSTRAINT lot_waits CHECK (pending OR active_at < 'infinity')
) WITH (fillfactor = 85);
-- What time itself will do next to a lot that still holds points: of everybody, for the nightly run,
-- and of one member, for its balance and for what it spends.
CREATE INDEX lot_due ON lot ((CASE WHEN pending THEN least(active_at, lapses_at) ELSE expires_at END))
    WHERE remaining > 0;
CREATE INDEX lot_open ON lot (holder_id,
    (CASE WHEN pending THEN least(active_at, lapses_at) ELSE expires_at END)) WHERE remaining > 0;
-- Each change of a lot's instants after it opened: an event came, an activity renewed it, a grace.
CREATE TABLE lot_change (
    holder_id bigint NOT NULL,
    currency_id integer NOT NULL,
    lot_seq integer NOT NULL,
    booked_at timestamptz NOT NULL,
    event_id bigint NOT NULL,
    active_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    policy_id integer NOT NULL,
    PRIMARY KEY (holder_id, currency_id, lot_seq, booked_at),
    FOREIGN KEY (holder_id, booked_at) REFERENCES decision (holder_id, booked_at),
    FOREIGN KEY (holder_id, currency_id, lot_seq) REFERENCES lot (holder_id, currency_id, seq)
);
CREATE TABLE allocation (
    holder_id bigint NOT NULL,
    currency_id integer NOT NULL,
    seq integer NOT NULL,
    lot_seq integer NOT NULL,
    at timestamptz NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (holder_id, currency_id, seq, lot_seq) INCLUDE (at, amount),
    FOREIGN KEY (holder_id, currency_id, seq) REFERENCES transfer (holder_id, currency_id, seq),
    FOREIGN KEY (holder_id, currency_id, lot_seq) REFERENCES lot (holder_id, currency_id, seq)
);
CREATE INDEX allocation_by_lot ON allocation (holder_id, currency_id, lot_seq);
CREATE TABLE qualification (
    holder_id bigint NOT NULL REFERENCES holder (id),
    ladder_id integer NOT NULL,
    at timestamptz NOT NULL,
    counts_from timestamptz NOT NULL,
    event_id bigint NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (holder_id, ladder_id, counts_from, event_id),
    -- A return takes from the day of the purchase, but from judgments after it only.
    CONSTRAINT qualification_counts CHECK (counts_from >= at)
);
CREATE INDEX qualification_returned ON qualification (holder_id, ladder_id, at)
    WHERE at <> counts_from;
CREATE TABLE standing (
    holder_id bigint NOT NULL REFERENCES holder (id),
    ladder_id integer NOT NULL,
    measured_at timestamptz NOT NULL,
    value bigint NOT NULL,
    rank smallint NOT NULL CHECK (rank >= 0),
    since timestamptz,
    due_at timestamptz NOT NULL,
    terms integer NOT NULL,
    PRIMARY KEY (holder_id, ladder_id)
) WITH (fillfactor = 70);
-- Whose rank time itself may change, and when: the nightly review reads no other.
CREATE INDEX standing_due ON standing (due_at, holder_id, ladder_id) WHERE due_at < 'infinity';
-- Which standings were measured by terms that their ladder no longer has.
CREATE INDEX standing_terms ON standing (ladder_id, terms, holder_id);
CREATE TABLE tier_change (
    holder_id bigint NOT NULL REFERENCES holder (id),
    ladder_id integer NOT NULL,
    booked_at timestamptz NOT NULL,
    at timestamptz NOT NULL,
    from_rank smallint NOT NULL,
    to_rank smallint NOT NULL CHECK (to_rank <> from_rank),
    event_id bigint NOT NULL,
    PRIMARY KEY (holder_id, ladder_id, booked_at, at, from_rank)
);
-- Ranks given by hand (1) or for a status held elsewhere (2), and their ends before time (3).
CREATE TABLE assignment (
    holder_id bigint NOT NULL REFERENCES holder (id),
    event_id bigint NOT NULL,
    ladder_id integer NOT NULL,
    booked_at timestamptz NOT NULL,
    kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 3),
    rank smallint NOT NULL CHECK (rank >= 0),
    from_at timestamptz NOT NULL,
    until_at timestamptz CHECK (until_at > from_at),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 64),
    ends bigint,
    PRIMARY KEY (holder_id, event_id),
    CONSTRAINT assignment_end CHECK ((kind = 3) = (ends IS NOT NULL)),
    CONSTRAINT assignment_ended_once UNIQUE (holder_id, ends)
);
CREATE TABLE redemption (
    holder_id bigint NOT NULL REFERENCES holder (id),
    id bigint NOT NULL,
    partner_id integer NOT NULL,
    reward_id integer,
    rule text,
    currency_id integer NOT NULL,
    quantity smallint NOT NULL CHECK (quantity BETWEEN 1 AND 100),
    points bigint NOT NULL CHECK (points > 0),
    worth bigint CHECK (worth > 0),
    money char(3),
    cash bigint CHECK (cash > 0),
    cash_money char(3),
    status smallint NOT NULL CHECK (status BETWEEN 1 AND 5),
    stocked boolean NOT NULL,
    pooled boolean NOT NULL,
    seq integer NOT NULL,
    order_id text CHECK (length(order_id) BETWEEN 1 AND 200),
    reversible text,
    requested_at timestamptz NOT NULL,
    hold_until timestamptz,
    settled_at timestamptz,
    reversed_at timestamptz,
    reason text CHECK (length(reason) BETWEEN 1 AND 64),
    written_off boolean NOT NULL DEFAULT false,
    PRIMARY KEY (holder_id, id),
    CHECK ((reward_id IS NULL) <> (rule IS NULL)),
    CHECK ((status = 1) = (settled_at IS NULL)),
    CHECK (status <> 1 OR hold_until IS NOT NULL),
    CONSTRAINT redemption_hold CHECK (hold_until > requested_at),
    CONSTRAINT redemption_reversed CHECK ((status = 5) = (reversed_at IS NOT NULL)
        AND (status = 5) = (reason IS NOT NULL) AND (status = 5 OR NOT written_off))
);
CREATE INDEX redemption_held ON redemption (hold_until) WHERE status = 1;
CREATE INDEX redemption_held_of ON redemption (holder_id) WHERE status = 1;
CREATE INDEX redemption_by_order ON redemption (partner_id, order_id) WHERE order_id IS NOT NULL;
-- What a member shows at a till: 1 in the pool, 2 issued, 3 voided, 4 set aside for a hold.
CREATE TABLE voucher (
    partner_id integer NOT NULL,
    code text NOT NULL CHECK (length(code) BETWEEN 1 AND 200),
    reward_id integer,
    state smallint NOT NULL CHECK (state BETWEEN 1 AND 4),
    holder_id bigint,
    redemption_id bigint,
    at timestamptz NOT NULL,
    PRIMARY KEY (partner_id, code),
    CONSTRAINT voucher_owned CHECK ((state = 1) = (redemption_id IS NULL)
        AND (holder_id IS NULL) = (redemption_id IS NULL) AND (state <> 1 OR reward_id IS NOT NULL))
) WITH (fillfactor = 85);
CREATE INDEX voucher_pool ON voucher (reward_id, code) WHERE state = 1;
CREATE INDEX voucher_of_redemption ON voucher (holder_id, redemption_id)
    WHERE redemption_id IS NOT NULL;
CREATE TABLE rulebook (
    version integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest text NOT NULL UNIQUE,
    at timestamptz NOT NULL
);
CREATE TABLE reward_stock (
    reward_id integer NOT NULL,
    slice smallint NOT NULL,
    remaining bigint NOT NULL CONSTRAINT reward_stock_not_overdrawn CHECK (remaining >= 0),
    PRIMARY KEY (reward_id, slice)
);
-- What became of the stock: 1 what there was at first, 2 taken, 3 returned, 4 written off.
CREATE TABLE stock_move (
    reward_id integer NOT NULL,
    slice smallint NOT NULL,
    event_id bigint NOT NULL,
    kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 4),
    amount bigint NOT NULL CHECK (amount >= 0),
    holder_id bigint,
    redemption_id bigint,
    PRIMARY KEY (reward_id, slice, event_id),
    CONSTRAINT stock_move_of_redemption CHECK ((kind = 1) = (redemption_id IS NULL)
        AND (holder_id IS NULL) = (redemption_id IS NULL))
);
CREATE INDEX stock_move_by_redemption ON stock_move (holder_id, redemption_id)
    WHERE redemption_id IS NOT NULL;
CREATE TABLE request_key (
    caller text NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    input_hash bytea NOT NULL,
    outcome jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (caller, key)
);
-- What members were told ahead of time: 1 points will expire, 2 a tier will be lost.
CREATE TABLE notice (
    holder_id bigint NOT NULL REFERENCES holder (id),
    kind smallint NOT NULL CHECK (kind IN (1, 2)),
    subject_id integer NOT NULL,
    due_at timestamptz NOT NULL,
    lead text NOT NULL,
    amount bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (holder_id, kind, subject_id, due_at, lead)
);
-- Returns and cancels whose purchase isn't known yet. They become events when it is.
CREATE TABLE waiting (
    partner_id integer NOT NULL,
    kind smallint NOT NULL,
    external_id text NOT NULL CHECK (length(external_id) BETWEEN 1 AND 300),
    purchase text NOT NULL,
    occurred_at timestamptz NOT NULL,
    content_hash bytea NOT NULL CHECK (length(content_hash) = 16),
    content jsonb NOT NULL,
    since timestamptz NOT NULL,
    problem text NOT NULL DEFAULT '',
    PRIMARY KEY (partner_id, kind, external_id)
);
CREATE INDEX waiting_by_purchase ON waiting (partner_id, purchase);
CREATE TABLE relation (
    holder_id bigint NOT NULL REFERENCES holder (id),
    partner_id integer NOT NULL,
    purchases bigint NOT NULL CHECK (purchases >= 0),
    PRIMARY KEY (holder_id, partner_id)
) WITH (fillfactor = 70);
"""
TABLES += HAND_TABLES + AUDIT_TABLES

_APPEND_ONLY = (
    "event",
    "event_line",
    "decision",
    "transfer",
    "allocation",
    "qualification",
    "tier_change",
    "assignment",
    "adjustment",
    "lot_change",
    "seal",
    "head_digest",
    "notice",
    "stock_move",
    "cap_use",
    "audit",
    "audit_outcome",
)

GUARDS = """
CREATE FUNCTION laurels_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are only ever added', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', HINT = 'book a new event that corrects the old one';
END $$;
""" + "".join(
    f"CREATE TRIGGER {table}_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
    f"FOR EACH STATEMENT EXECUTE FUNCTION laurels_refuse();\n"
    for table in _APPEND_ONLY
)

# Roles belong to the whole server, databases share them: another database may have made them, now.
ROLES = """
DO $$ BEGIN
    CREATE ROLE laurels_app NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
GRANT laurels_app TO CURRENT_USER;
"""

GRANTS = (
    """
GRANT USAGE ON SCHEMA public TO laurels_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO laurels_app;
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO laurels_app;
REVOKE DELETE ON holder, ledger, lot, standing, relation, redemption, voucher, reward_stock, budget,
    carry, issue, inbound FROM laurels_app;
"""
    # What a revision says never changes; when it is in force does.
    + "REVOKE UPDATE, DELETE, TRUNCATE ON data_rule FROM laurels_app;\n"
    + "GRANT UPDATE (rule_id, from_at, until_at, shadow_at) ON data_rule TO laurels_app;\n"
    + f"REVOKE UPDATE, DELETE, TRUNCATE ON {', '.join(_APPEND_ONLY)} FROM laurels_app;\n"
)
APPEND_ONLY = _APPEND_ONLY
