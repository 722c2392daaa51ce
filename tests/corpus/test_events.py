"""Events are plain data that the command line can print as JSON."""

from dozero.cli.display import event_tree
from dozero.corpus.events import UnitDone, Unread


def test_events_become_json_under_their_names():
    assert event_tree(UnitDone(1, 2, 3, 2, 10)) == {
        "event": "UnitDone",
        "done": 1,
        "units": 2,
        "documents": 3,
        "kept": 2,
        "bytes": 10,
    }
    assert event_tree(Unread("a.txt", "empty file")) == {"event": "Unread", "where": "a.txt", "what": "empty file"}
