"""Measures, each compared with an independent reference in the tests."""
