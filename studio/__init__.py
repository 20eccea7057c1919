"""Imaginarium: a creative studio in the browser, with nine generative systems behind it."""

__version__ = "0.1.0"
