"""From which probability on a face counts as having an attribute."""

from studio.metrics.attributes import COUNTS_FROM, counts


def test_what_is_rare_counts_earlier_than_what_is_usual():
    assert counts("Smiling", 0.5) and not counts("Smiling", 0.49)
    assert counts("Wearing_Hat", 0.4) and not counts("Wearing_Hat", 0.2)
    assert not counts("Young", 0.6)  # most faces are
    assert all(0 < share < 1 for share in COUNTS_FROM.values())
