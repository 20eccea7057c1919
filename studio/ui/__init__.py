"""Gradio only."""
