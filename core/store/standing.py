"""The constraints that must stand, for `laurels check`: of each table, by name.

Knows nothing of what they say.
"""

from __future__ import annotations

from core.store.proof_face import FACE_CONSTRAINTS

#: Of each table of the books, the constraints that must stand.
_CONSTRAINTS = {
    "event": "pkey natural_key total_check content_hash_check external_id_check tender_check",
    "event_line": "pkey event_id_fkey line_check amount_check quantity_check discount_check tax "
    "points_paid kind_check",
    "holder": "pkey head",
    "decision": "pkey holder_id_fkey head_check",
    "ledger": "pkey holder_id_fkey seq_check active_check reserved_check pending_check "
    "arrears_check no_points_beside_arrears",
    "transfer": "pkey holder_id_booked_at_fkey holder_id_currency_id_fkey amount_check check "
    "happened",
    "lot": "pkey holder_id_currency_id_seq_fkey amount_check check lives waits",
    "lot_change": "pkey holder_id_booked_at_fkey holder_id_currency_id_lot_seq_fkey",
    "waiting": "pkey external_id_check content_hash_check",
    "allocation": "pkey holder_id_currency_id_seq_fkey holder_id_currency_id_lot_seq_fkey "
    "amount_check",
    "qualification": "pkey holder_id_fkey amount_check counts",
    "assignment": "pkey holder_id_fkey kind_check rank_check check reason_check end ended_once",
    "adjustment": "pkey holder_id_fkey holder_id_currency_id_seq_fkey points_check reason_check "
    "role_check caller_check",
    "adjustment_note": "pkey note_check",
    "lot_move": "pkey caller_check members_check check check1 sooner_check later_check expired_check "
    "split",
    "seal": "pkey",
    "head_digest": "pkey at_fkey holders_check digest_check key_id_check",
    "standing": "pkey holder_id_fkey rank_check",
    "tier_change": "pkey holder_id_fkey check",
    "redemption": "pkey holder_id_fkey quantity_check points_check worth_check cash_check "
    "status_check order_id_check reason_check check check1 check2 hold reversed",
    "voucher": "pkey code_check state_check owned",
    "stock_move": "pkey kind_check amount_check of_redemption",
    "relation": "pkey holder_id_fkey purchases_check",
    "reward_stock": "pkey not_overdrawn",
    "request_key": "pkey key_check",
    "cap_use": "pkey holder_id_fkey key_check times_check counts period",
    "inbound": "pkey adapter_check delivery_check content_hash_check subject_check state_check "
    "attempts_check problem_check conflicts_check delivery open body problem awaits",
    "issue": "pkey holder_id_fkey place_check reward_check quantity_check problem_check done",
    "budget": "pkey code_check taken_check not_overdrawn",
    "carry": "pkey holder_id_fkey rule_check",
    "attribute": "pkey holder_id_fkey name_check value_check check",
    "occasion": "pkey holder_id_fkey external_id_check type_check attempts_check problem_check",
    "schedule_day": "pkey trigger_check",
    "referral_code": "pkey holder_id_fkey holder_id_key code_check",
    "referral": "pkey holder_id_fkey referrer_id_fkey of_another",
    "shadow_run": "pkey digest_check version_check reset alone",
    "shadow_count": "pkey slice_check currency_check same_check different_check faults_check "
    "live_check shadow_check of",
    "shadow_difference": "pkey differs",
} | FACE_CONSTRAINTS
#: (table, constraint) of each, as rows of VALUES.
STANDING = ", ".join(
    f"('{table}', '{table}_{name}')"
    for table, names in _CONSTRAINTS.items()
    for name in names.split()
)
