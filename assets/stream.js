/* No job is lost on a slow line.

The page hears of its jobs through one stream, which the server closes when nothing is left to say. Gradio's client takes a job that it
sends while that closing is still on its way for one the stream will tell of: nobody ever does, and the button seems dead. So the closing
is passed on only when no job waits; otherwise the stream is opened again behind the client's back. */
(() => {
  const SETTLES = 100; // ms in which the client has surely read that its stream is closed
  const fetchNow = window.fetch.bind(window);
  const waiting = new Set(), over = new Set(); // ids of jobs: told to the client and not over; over before the client was told
  let closed = Promise.resolve();

  window.fetch = async (...request) => {
    const { pathname } = new URL(request[0].url || request[0], location);
    if (pathname.endsWith("/queue/join")) return takeIn(await fetchNow(...request));
    if (pathname.endsWith("/queue/data")) return follow(request);
    return fetchNow(...request);
  };

  async function takeIn(answer) {
    const job = answer.ok && (await answer.clone().json()).event_id;
    if (job && !over.delete(job)) waiting.add(job);
    await closed;
    return answer;
  }

  async function follow(request) {
    const first = await fetchNow(...request);
    if (!first.ok) return first;
    const body = new ReadableStream({
      async start(reader) {
        try {
          for (let answer = first; answer.ok && await tell(answer.body, reader); answer = await fetchNow(...request));
          reader.close();
        } catch (error) {
          reader.error(error); // the line is cut, or the client left
        }
      },
    });
    return new Response(body, { status: first.status, headers: first.headers });
  }

  // Passes the messages on; true if the server closed the stream while jobs wait.
  async function tell(body, reader) {
    const encoder = new TextEncoder(), words = body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ;) {
      const { value, done } = await words.read();
      if (done) return false;
      const messages = (rest + value).split("\n\n");
      rest = messages.pop();
      for (const message of messages) {
        const [, kind, job] = message.match(/^data: \{"msg":"(\w+)"(?:,"event_id":"(\w+)")?/) || [];
        if (kind === "process_completed" && !waiting.delete(job)) over.add(job);
        if (kind === "unexpected_error") waiting.clear();
        const closes = kind === "close_stream";
        if (closes && waiting.size) return true;
        reader.enqueue(encoder.encode(`${message}\n\n`));
        if (!closes) continue;
        closed = new Promise((settle) => setTimeout(settle, SETTLES));
        return false; // what the client cuts off now is over already, and no error
      }
    }
  }
})();
