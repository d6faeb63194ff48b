"""Scoring that takes long says how far it is."""

from __future__ import annotations

from trainer.mmseg_adapter.scoring.progress import ScoringProgress


def test_it_tells_now_and_then() -> None:
    """Nothing of a short one; of a long one every 20 s, with how many there are."""
    now, told = [0.0], list[str]()
    progress = ScoringProgress(5, told.append, clock=lambda: now[0])
    for seconds in (1, 19, 21, 30, 41):
        now[0] = seconds
        progress.add("picture")
    assert told == ["scored 3 of 5 pictures", "scored 5 of 5 pictures"]
