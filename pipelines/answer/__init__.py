"""Answers to questions about a stream, from its long memory alone, with the evidence."""

from pipelines.answer.answering import ask

__all__ = ["ask"]
