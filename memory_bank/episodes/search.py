"""Which summaries fit a question best: by words (SQLite's FTS5, BM25) and by meaning (cosine of sentence vectors).

The two orders are joined by reciprocal rank fusion (Cormack et al., SIGIR 2009), with a constant of 10 in place of 60.
"""

from __future__ import annotations

import re
import sqlite3

import numpy as np

_MOST = 50  # of each order
_RANK_CONSTANT = 10
# words that every summary or every question has: they say nothing about a moment
_COMMON = re.compile(
    r"(?:the|and|was|were|are|did|does|has|have|had|how|what|when|where|why|who|which|that|this|there|for|from|with|"
    r"you|seen|see|object|shot|video|can|could)$"
)


def rank_summaries(db: sqlite3.Connection, words: str, vector: np.ndarray | None, as_of_ms: int) -> dict[int, float]:
    """Score the summaries that are near to a text; higher is nearer.

    Args:
        db: an open memory.
        words: the user's text; only its words count, operators have no meaning.
        vector: (D,) float32 unit vector of the text, or None for words only.
        as_of_ms: vectors of later summaries are not compared.

    Returns:
        Scores by the id of the summary.
    """
    scores: dict[int, float] = {}
    tokens = [word for word in re.findall(r"\w+", words.lower()) if len(word) > 2 and not _COMMON.match(word)]
    if tokens:
        query = " OR ".join(f'"{token}"' for token in tokens[:32])
        hits = db.execute(
            "SELECT rowid AS id, bm25(chunk_text) AS rank FROM chunk_text WHERE chunk_text MATCH ? "
            f"ORDER BY rank LIMIT {_MOST}",
            (query,),
        ).fetchall()
        scores = {row["id"]: 1.0 / (_RANK_CONSTANT + place) for place, row in enumerate(hits)}
    if vector is None:
        return scores
    rows = db.execute(
        "SELECT id, embedding FROM chunk WHERE embedding IS NOT NULL AND to_ms <= ?", (as_of_ms,)
    ).fetchall()
    if rows:
        matrix = np.frombuffer(b"".join(row["embedding"] for row in rows), np.float16)
        nearness = matrix.reshape(len(rows), -1).astype(np.float32) @ vector  # (N,)
        for place, index in enumerate(np.argsort(-nearness, kind="stable")[:_MOST]):
            row_id = rows[int(index)]["id"]
            scores[row_id] = scores.get(row_id, 0.0) + 1.0 / (_RANK_CONSTANT + place)
    return scores
