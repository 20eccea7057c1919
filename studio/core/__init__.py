"""Knows no network, no paper and no screen."""
