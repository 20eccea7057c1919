"""The page's stream of messages on a slow line."""

from __future__ import annotations

import pytest

from tests.browser.conftest import DESKTOP, Visitor

# Every message that closes a stream arrives late, as it does when the studio is far away.
SLOW_LINE = """
const quick = window.fetch;
window.fetch = async (...request) => {
  const answer = await quick(...request);
  if (!String(request[0].url || request[0]).includes("/queue/data")) return answer;
  const late = new TransformStream({
    async transform(chunk, reader) {
      if (new TextDecoder().decode(chunk).includes('"close_stream"')) {
        window.late = (window.late || 0) + 1;
        await new Promise((arrive) => setTimeout(arrive, 1500));
      }
      reader.enqueue(chunk);
    },
  });
  return new Response(answer.body.pipeThrough(late), { status: answer.status, headers: answer.headers });
};
"""


@pytest.fixture
def visitor(studio, browser):
    visitor = Visitor(browser, studio, DESKTOP, script=SLOW_LINE)
    yield visitor
    visitor.context.close()
    assert not visitor.real_troubles()


def test_what_is_clicked_while_a_stream_closes_is_not_lost(visitor):
    visitor.make()  # at once when the first pictures are there: the stream that brought them is closing
    made = visitor.strip()
    assert made == visitor.page.locator("#animals input").count()
    for kept in range(made - 1, made - 4, -1):
        visitor.page.locator(".strip-cell").first.click()
        visitor.page.keyboard.press("Delete")
        visitor.page.wait_for_function(f"document.querySelectorAll('.strip-cell').length === {kept}")
    assert visitor.page.evaluate("window.late") >= 1
