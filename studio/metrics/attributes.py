"""Whether a face counts as having an attribute, by the probability that the judge of attributes gives."""

from __future__ import annotations

SURE = 0.5
# From which probability on, where that is not one half: of what is rare the judge is seldom sure. With these nearly as many of
# 444 new faces count as have it (docs/domains.md).
COUNTS_FROM = {"Young": 0.7, "Wearing_Hat": 0.3, "Pale_Skin": 0.17, "Blond_Hair": 0.4, "Mouth_Slightly_Open": 0.35}


def counts(label: str, probability: float) -> bool:
    """Whether a face with this probability of an attribute counts as having it."""
    return probability >= COUNTS_FROM.get(label, SURE)
