"""The books in SQL, continued: what admins do by hand, and the digests that are kept of the heads."""

HAND_TABLES = """
-- Points given or taken by hand. What was said of it in words stands apart and can be erased.
CREATE TABLE adjustment (
    holder_id bigint NOT NULL REFERENCES holder (id),
    event_id bigint NOT NULL,
    at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    currency_id integer NOT NULL,
    seq integer NOT NULL,
    points bigint NOT NULL CHECK (points <> 0),
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 64),
    cause_id bigint,
    counts boolean NOT NULL,
    partner_id integer NOT NULL,
    role text NOT NULL CHECK (role IN ('admin', 'partner', 'programme')),
    caller text NOT NULL CHECK (length(caller) BETWEEN 1 AND 200),
    PRIMARY KEY (holder_id, event_id),
    FOREIGN KEY (holder_id, currency_id, seq) REFERENCES transfer (holder_id, currency_id, seq)
);
CREATE INDEX adjustment_by_time ON adjustment (at, event_id);
CREATE INDEX adjustment_by_caller ON adjustment (caller, currency_id, at);
CREATE TABLE adjustment_note (
    holder_id bigint NOT NULL,
    event_id bigint NOT NULL,
    note text NOT NULL CHECK (length(note) BETWEEN 1 AND 2000),
    PRIMARY KEY (holder_id, event_id)
);
-- Runs that put old lots under their currency's policy of today. Its figures grow batch by batch.
CREATE TABLE lot_move (
    id bigint PRIMARY KEY,
    currency_id integer NOT NULL,
    policy_id integer NOT NULL,
    from_version integer,
    allow_sooner boolean NOT NULL,
    caller text NOT NULL CHECK (length(caller) BETWEEN 1 AND 200),
    at timestamptz NOT NULL,
    done_at timestamptz,
    members bigint NOT NULL DEFAULT 0 CHECK (members >= 0),
    lots bigint NOT NULL DEFAULT 0 CHECK (lots >= members),
    points bigint NOT NULL DEFAULT 0 CHECK (points >= lots),
    sooner bigint NOT NULL DEFAULT 0 CHECK (sooner >= 0),
    later bigint NOT NULL DEFAULT 0 CHECK (later >= 0),
    expired bigint NOT NULL DEFAULT 0 CHECK (expired >= 0),
    CONSTRAINT lot_move_split CHECK (sooner + later <= points AND expired <= sooner)
);
CREATE INDEX lot_move_by_time ON lot_move (at, id);
-- What went wrong with partners' rules, by kind: who is at fault, since when, and how often.
CREATE TABLE rule_fault (
    partner_id integer NOT NULL,
    rule text NOT NULL CHECK (length(rule) <= 64),
    what text NOT NULL CHECK (length(what) BETWEEN 1 AND 200),
    faults bigint NOT NULL CHECK (faults > 0),
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL CHECK (last_at >= first_at),
    PRIMARY KEY (partner_id, rule, what)
);
-- Rules that a partner's staff wrote: each revision as it was saved; once activated it has its stored
-- version (rule_id), and is in force from from_at until before until_at.
CREATE TABLE data_rule (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partner_id integer NOT NULL,
    code text NOT NULL CHECK (length(code) BETWEEN 1 AND 64),
    revision integer NOT NULL CHECK (revision >= 1),
    definition jsonb NOT NULL,
    saved_by text NOT NULL CHECK (length(saved_by) BETWEEN 1 AND 200),
    saved_at timestamptz NOT NULL,
    rule_id integer UNIQUE,
    from_at timestamptz,
    until_at timestamptz CHECK (until_at >= from_at),
    -- Since when a draft judges in shadow.
    shadow_at timestamptz,
    CONSTRAINT data_rule_revision UNIQUE (partner_id, code, revision),
    CONSTRAINT data_rule_activated CHECK ((rule_id IS NULL) = (from_at IS NULL)
        AND (from_at IS NOT NULL OR until_at IS NULL)),
    CONSTRAINT data_rule_shadow CHECK (shadow_at IS NULL OR from_at IS NULL),
    CONSTRAINT data_rule_shadow_alone EXCLUDE USING btree (partner_id WITH =, code WITH =)
        WHERE (shadow_at IS NOT NULL),
    -- Of one rule at most one revision is in force at an instant; the code by its hash, for a text
    -- would need an extension.
    CONSTRAINT data_rule_alone EXCLUDE USING gist (
        int4range(partner_id, partner_id, '[]') WITH &&,
        int8range(hashtextextended(code, 7), hashtextextended(code, 7), '[]') WITH &&,
        tstzrange(from_at, until_at) WITH &&) WHERE (from_at IS NOT NULL)
);
-- Rules that judge in shadow, and book nothing: a run for each set of them, of which a partner has one
-- open. One that ended goes on when its set is wanted again, unless it was reset. Its counts of purchases (currency '') and of points stand in slices, for many transactions
-- count at once. Of what differs, the newest are kept.
CREATE TABLE shadow_run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partner_id integer NOT NULL,
    digest text NOT NULL CHECK (length(digest) = 40),
    version text NOT NULL CHECK (length(version) >= 1),
    since timestamptz NOT NULL,
    paused_at timestamptz,
    ended_at timestamptz,
    reset_at timestamptz,
    CONSTRAINT shadow_run_reset CHECK (reset_at IS NULL OR ended_at IS NOT NULL),
    CONSTRAINT shadow_run_alone EXCLUDE USING btree (partner_id WITH =) WHERE (ended_at IS NULL)
);
CREATE TABLE shadow_count (
    run_id bigint NOT NULL,
    slice smallint NOT NULL CHECK (slice BETWEEN 0 AND 63),
    currency text NOT NULL CHECK (length(currency) <= 64),
    same bigint NOT NULL CHECK (same >= 0),
    different bigint NOT NULL CHECK (different >= 0),
    faults bigint NOT NULL CHECK (faults >= 0),
    live numeric NOT NULL CHECK (live >= 0),
    shadow numeric NOT NULL CHECK (shadow >= 0),
    PRIMARY KEY (run_id, slice, currency),
    CONSTRAINT shadow_count_of CHECK (CASE currency WHEN '' THEN live + shadow = 0
        ELSE same + different + faults = 0 END)
) WITH (fillfactor = 50);
CREATE TABLE shadow_difference (
    run_id bigint NOT NULL,
    event_id bigint NOT NULL,
    holder_id bigint NOT NULL,
    at timestamptz NOT NULL,
    live jsonb NOT NULL,
    shadow jsonb NOT NULL,
    PRIMARY KEY (run_id, event_id),
    CONSTRAINT shadow_difference_differs CHECK (live <> shadow)
);
CREATE INDEX shadow_difference_newest ON shadow_difference (run_id, at, event_id);
-- Runs that judge a partner's history again by other rules: 1 waits, 2 runs, 3 done, 4 cancelled,
-- 5 failed. They book nothing; a worker that runs one gives signs of life.
CREATE TABLE simulation (
    id bigint PRIMARY KEY,
    partner_id integer NOT NULL,
    caller text NOT NULL CHECK (length(caller) BETWEEN 1 AND 200),
    asked jsonb NOT NULL,
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL CHECK (until_at > from_at),
    requested_at timestamptz NOT NULL,
    state smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 5),
    done bigint NOT NULL DEFAULT 0 CHECK (done >= 0),
    total bigint NOT NULL DEFAULT 0 CHECK (total >= 0),
    beat_at timestamptz,
    problem text NOT NULL DEFAULT '' CHECK (length(problem) <= 1000),
    report jsonb,
    attempts smallint NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    CONSTRAINT simulation_done CHECK ((state = 3) = (report IS NOT NULL))
);
CREATE INDEX simulation_open ON simulation (id) WHERE state IN (1, 2);
-- Rewards that rules want to be taken for members as soon as their purchase is booked: done with the
-- redemption, or with the problem why there is none.
CREATE TABLE issue (
    holder_id bigint NOT NULL REFERENCES holder (id),
    event_id bigint NOT NULL,
    rule_id integer NOT NULL,
    place smallint NOT NULL CHECK (place >= 0),
    partner_id integer NOT NULL,
    reward text NOT NULL CHECK (length(reward) BETWEEN 1 AND 64),
    quantity smallint NOT NULL CHECK (quantity BETWEEN 1 AND 100),
    currency text,
    order_id text NOT NULL,
    at timestamptz NOT NULL,
    done_at timestamptz,
    redemption_id bigint,
    problem text NOT NULL DEFAULT '' CHECK (length(problem) <= 1000),
    PRIMARY KEY (holder_id, event_id, place),
    CONSTRAINT issue_done CHECK ((done_at IS NOT NULL) = (redemption_id IS NOT NULL OR problem <> ''))
);
CREATE INDEX issue_open ON issue (at, event_id, place) WHERE done_at IS NULL;
-- Webhooks of partners' own shops as they came: 1 received, 2 done, 3 waiting (it came too early),
-- 4 superseded, 5 refused, 6 ignored. The delivery's name tells one that is sent again; the version
-- orders those of a subject. Personal data: body and headers are dropped a month after it is done.
CREATE TABLE inbound (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partner_id integer NOT NULL,
    adapter text NOT NULL CHECK (length(adapter) BETWEEN 1 AND 64),
    delivery text NOT NULL CHECK (length(delivery) BETWEEN 1 AND 200),
    content_hash bytea NOT NULL CHECK (length(content_hash) = 32),
    subject text NOT NULL CHECK (length(subject) <= 200),
    version bigint,
    received_at timestamptz NOT NULL,
    headers jsonb NOT NULL,
    body bytea,
    state smallint NOT NULL DEFAULT 1 CHECK (state BETWEEN 1 AND 6),
    attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    problem text NOT NULL DEFAULT '' CHECK (length(problem) <= 1000),
    next_at timestamptz,
    done_at timestamptz,
    outcome jsonb NOT NULL DEFAULT '[]',
    whole boolean NOT NULL DEFAULT false,
    conflicts integer NOT NULL DEFAULT 0 CHECK (conflicts >= 0),
    asked_at timestamptz NOT NULL,
    awaits bytea,
    CONSTRAINT inbound_delivery UNIQUE (partner_id, adapter, delivery),
    CONSTRAINT inbound_open CHECK ((state IN (1, 3)) = (done_at IS NULL)
        AND (next_at IS NULL) = (done_at IS NOT NULL)),
    CONSTRAINT inbound_body CHECK (body IS NOT NULL OR done_at IS NOT NULL),
    CONSTRAINT inbound_awaits CHECK (awaits IS NULL OR length(awaits) = 32 AND done_at IS NULL),
    CONSTRAINT inbound_problem CHECK ((state IN (3, 5)) = (problem <> ''))
);
CREATE INDEX inbound_due ON inbound (next_at) WHERE done_at IS NULL;
CREATE INDEX inbound_of_subject ON inbound (partner_id, adapter, subject, version, id);
CREATE INDEX inbound_awaited ON inbound (awaits) WHERE awaits IS NOT NULL;
CREATE INDEX inbound_bodies ON inbound (done_at) WHERE body IS NOT NULL;
-- What each purchase counted under caps (cap:…, or a rule's code) and budgets (budget:…), by rule and
-- currency; what came back of it, and what an edit changed, has rows of its own.
CREATE TABLE cap_use (
    holder_id bigint NOT NULL REFERENCES holder (id),
    partner_id integer NOT NULL,
    key text NOT NULL CHECK (length(key) BETWEEN 1 AND 80),
    event_id bigint NOT NULL,
    rule_id integer NOT NULL,
    currency_id integer NOT NULL,
    at timestamptz NOT NULL,
    points bigint NOT NULL,
    times smallint NOT NULL CHECK (times BETWEEN -1 AND 1),
    period timestamptz NOT NULL,
    PRIMARY KEY (holder_id, partner_id, key, event_id, rule_id, currency_id, period),
    CONSTRAINT cap_use_counts CHECK (points <> 0 OR times <> 0),
    CONSTRAINT cap_use_period CHECK (period = '-infinity' OR key LIKE 'budget:%')
);
CREATE INDEX cap_use_of_event ON cap_use (holder_id, event_id);
-- Budgets for all members, in a period of the calendar or (-infinity) for all time.
CREATE TABLE budget (
    partner_id integer NOT NULL,
    code text NOT NULL CHECK (length(code) BETWEEN 1 AND 64),
    period timestamptz NOT NULL,
    size bigint NOT NULL,
    taken bigint NOT NULL CHECK (taken >= 0),
    PRIMARY KEY (partner_id, code, period),
    CONSTRAINT budget_not_overdrawn CHECK (taken <= size)
) WITH (fillfactor = 50);
-- What a rule carries over from a member's receipts to the next (money in minor units, purchases,
-- units), by its code and the period within which it does (code@instant); below zero where it came
-- back after points were given for it.
CREATE TABLE carry (
    holder_id bigint NOT NULL REFERENCES holder (id),
    partner_id integer NOT NULL,
    rule text NOT NULL CHECK (length(rule) BETWEEN 1 AND 100),
    carried bigint NOT NULL,
    PRIMARY KEY (holder_id, partner_id, rule)
) WITH (fillfactor = 70);
-- What partners have noted of members: by name what stands from an instant on, until another says
-- otherwise; no value: it no longer does. Not of the books: it can be erased.
CREATE TABLE attribute (
    holder_id bigint NOT NULL REFERENCES holder (id),
    partner_id integer NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    at timestamptz NOT NULL,
    id bigint NOT NULL,
    event_id bigint,
    value text CHECK (length(value) BETWEEN 1 AND 100),
    until_at timestamptz CHECK (until_at > at),
    PRIMARY KEY (holder_id, partner_id, name, at, id)
);
CREATE INDEX attribute_of_event ON attribute (holder_id, event_id) WHERE event_id IS NOT NULL;
-- What the engine is to tell rules of: tried from next_at on, gone once it is booked.
CREATE TABLE occasion (
    partner_id integer NOT NULL,
    external_id text NOT NULL CHECK (length(external_id) BETWEEN 1 AND 180),
    holder_id bigint NOT NULL REFERENCES holder (id),
    type text NOT NULL CHECK (length(type) BETWEEN 1 AND 80),
    attributes jsonb NOT NULL,
    at timestamptz NOT NULL,
    next_at timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 12),
    problem text NOT NULL DEFAULT '' CHECK (length(problem) <= 1000),
    PRIMARY KEY (partner_id, external_id)
);
CREATE INDEX occasion_open ON occasion (at, partner_id, external_id) WHERE attempts < 12;
CREATE INDEX occasion_of_holder ON occasion (holder_id);
-- Of each schedule, and of birthdays, the local day up to which members' occasions were made.
CREATE TABLE schedule_day (
    partner_id integer NOT NULL,
    trigger text NOT NULL CHECK (length(trigger) BETWEEN 1 AND 80),
    day date NOT NULL,
    PRIMARY KEY (partner_id, trigger)
);
-- By what code a member refers others, and who referred whom to which partner.
CREATE TABLE referral_code (
    code text PRIMARY KEY CHECK (length(code) BETWEEN 6 AND 32),
    holder_id bigint NOT NULL UNIQUE REFERENCES holder (id),
    at timestamptz NOT NULL
);
CREATE TABLE referral (
    holder_id bigint NOT NULL REFERENCES holder (id),
    partner_id integer NOT NULL,
    referrer_id bigint NOT NULL REFERENCES holder (id),
    at timestamptz NOT NULL,
    PRIMARY KEY (holder_id, partner_id),
    CONSTRAINT referral_of_another CHECK (referrer_id <> holder_id)
);
CREATE INDEX referral_by ON referral (referrer_id);
-- Nothing more is booked up to the last of these instants, whatever clock it comes by.
CREATE TABLE seal (
    at timestamptz PRIMARY KEY
);
-- Each night a keyed digest of the heads of all holders, to be kept elsewhere too.
CREATE TABLE head_digest (
    at timestamptz PRIMARY KEY REFERENCES seal (at),
    holders bigint NOT NULL CHECK (holders >= 0),
    digest bytea NOT NULL CHECK (length(digest) = 32),
    key_id text NOT NULL CHECK (length(key_id) = 16),
    rulebook integer NOT NULL
);
"""
