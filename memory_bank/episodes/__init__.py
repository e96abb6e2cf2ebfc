"""Long memory: episodes of a stream on disk, written by one, read by many."""

from memory_bank.episodes.memory import EpisodeMemory
from memory_bank.episodes.moment import Moment, Sighting
from memory_bank.episodes.policy import EpisodeConfig
from memory_bank.episodes.reader import EpisodeReader

__all__ = ["EpisodeConfig", "EpisodeMemory", "EpisodeReader", "Moment", "Sighting"]
