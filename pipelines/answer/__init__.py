"""Answers to questions about a stream, from its long memory alone, with the evidence."""

from pipelines.answer.ask import ask

__all__ = ["ask"]
