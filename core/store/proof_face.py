"""The constraints that must stand on what is kept beside the books for who looks at them.

As `core.store.proof` has those of the books: by table the names, without the table's own.
"""

from __future__ import annotations

from core.store.ahead import AHEAD_CONSTRAINTS
from core.store.exports import EXPORT_CONSTRAINTS
from core.store.fulfilments import FULFILMENT_CONSTRAINTS
from core.store.gifts import GIFT_CONSTRAINTS
from core.store.keys import KEY_CONSTRAINTS
from core.store.meetups import MEETUP_CONSTRAINTS
from core.store.members import PARTED_CONSTRAINTS
from core.store.memberships import MEMBERSHIP_APPEND_ONLY, MEMBERSHIP_CONSTRAINTS
from core.store.passcodes import PASSCODE_CONSTRAINTS
from core.store.personal import PERSONAL_CONSTRAINTS
from core.store.surveys import SURVEY_CONSTRAINTS

FACE_CONSTRAINTS = {
    **SURVEY_CONSTRAINTS,
    "pseudonym_key": "pkey partner_id_fkey key_check",
    "outbox": "kind_check",
    "webhook_endpoint": "pkey url_check topics_check query_check state_check disabled saved_by_fkey",
    "webhook_secret": "pkey endpoint_id_fkey number_check secret_check ends",
    "webhook_delivery": "pkey endpoint_id_fkey state_check attempts_check faults_check claims_check once about open",
    "webhook_attempt": "pkey delivery_id_fkey number_check milliseconds_check problem_check",
    **KEY_CONSTRAINTS,
    **EXPORT_CONSTRAINTS,
    **PARTED_CONSTRAINTS,
    **PASSCODE_CONSTRAINTS,
    **MEETUP_CONSTRAINTS,
    **GIFT_CONSTRAINTS,
    **FULFILMENT_CONSTRAINTS,
    **MEMBERSHIP_CONSTRAINTS,
    **PERSONAL_CONSTRAINTS,
    **AHEAD_CONSTRAINTS,
}
#: Of these, too, rows are only ever added.
FACE_APPEND_ONLY = (*MEMBERSHIP_APPEND_ONLY, "gift")
