"""How the page sends what handlers yield."""

from __future__ import annotations

import copy
from functools import partial
from types import SimpleNamespace

from studio.ui.shell import Page

STEPS = [
    [{"message": "warming up", "items": []}, {"__type__": "update"}],
    [{"message": "ready", "items": [1, 2]}, {"__type__": "update", "value": ["lion"]}],
    [{"__type__": "update"}, {"__type__": "update"}],
]


def sent(steps, simple_format=False):
    """What goes over the line for a handler of two outputs that yields ``steps``, and its end."""
    page, handler = Page(analytics_enabled=False), SimpleNamespace(outputs=[None, None])
    send = partial(page.handle_streaming_diffs, handler, session_hash="visitor", run="run", simple_format=simple_format)
    return [*(send(values, final=False) for values in copy.deepcopy(steps)), send([None, None], final=True)]


def shown_late(messages):
    """What a browser that draws only after the last message came finds in each, if it works edits into what it has, in place."""
    first, *changes, last = copy.deepcopy(messages)
    held, waiting = list(first), [first]
    for edits in changes:
        for n, output in enumerate(edits):
            for action, path, value in output:
                held[n] = _edited(held[n], action, path, value)
        waiting.append(list(held))
    return [*waiting, last]


def _edited(value, action, path, new):
    if not path:
        return new
    *way, last = path
    inner = value
    for key in way:
        inner = inner[key]
    if action == "delete":
        del inner[last]
    elif action == "add" and isinstance(inner, list):
        inner.insert(last, new)
    else:
        inner[last] = new
    return value


def test_no_yield_is_lost_on_a_browser_that_is_behind():
    assert shown_late(sent(STEPS)) == [*STEPS, STEPS[-1]]


def test_what_stays_is_not_sent_again():
    stays = {"message": "ready", "items": [1, 2]}
    assert sent([[stays, 1], [dict(stays), 2]])[1] == [[], [["replace", [], 2]]]


def test_a_client_that_wants_no_edits_gets_none():
    assert sent(STEPS, simple_format=True) == [*STEPS, STEPS[-1]]
