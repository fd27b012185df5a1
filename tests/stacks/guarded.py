"""A deployment with everything that guards it."""

from typing import Any

KEY = "arn:aws:kms:us-west-2:123456789012:key/0a1b2c3d-0000-1111-2222-333344445555"
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
GUARDED: dict[str, Any] = {
    "kms_key": KEY,
    "permissions_boundary": BOUNDARY,
    "tags": {"team": "research"},
    "log_retention_days": 7,
    "waf": True,
    "custom_domain": {
        "name": "rft.example.com",
        "certificate_arn": "arn:aws:acm:us-west-2:123456789012:certificate/0a1b2c3d",
        "hosted_zone_id": "Z0123456789ABC",
    },
    "grader_prefixes": ["my-graders-"],
}
"""Its settings."""
