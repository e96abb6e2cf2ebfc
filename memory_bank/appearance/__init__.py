"""What objects look like: those that are followed (`AppearanceMemory`), and those that left (`RetiredObjects`)."""

from memory_bank.appearance.memory import AppearanceMemory, Look
from memory_bank.appearance.retired import RetiredObject, RetiredObjects

__all__ = ["AppearanceMemory", "Look", "RetiredObject", "RetiredObjects"]
