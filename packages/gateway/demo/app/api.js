/**
 * Calls this origin. The session cookie travels by itself; `X-CSRF: 1` says that a script of this very page is asking,
 * because no other site can send that header here.
 * @param {{ method?: string, json?: unknown, text?: string }} [options] `json` or `text`: the body
 * @returns {Promise<{ ok: boolean, status: number, body: any }>} `body` is parsed JSON: the answer, or the problem (RFC 9457)
 */
export async function call(path, { method = 'GET', json, text } = {}) {
  try {
    const type = json === undefined ? 'text/plain' : 'application/json'
    const content = json === undefined ? text : JSON.stringify(json)
    const headers = {
      'X-CSRF': '1',
      Accept: 'application/json',
      ...(content !== undefined && { 'Content-Type': type }),
    }
    const response = await fetch(path, { method, headers, body: content })
    const body = await parse(response)
    // A step-up is asked of somebody who is signed in: the caller knows what for.
    if (response.status === 401 && body?.code !== 'step_up_required')
      dispatchEvent(new CustomEvent('signed-out', { detail: body }))
    return { ok: response.ok, status: response.status, body }
  } catch {
    return { ok: false, status: 0, body: { title: 'No answer', hint: 'Is the demo still running?' } }
  }
}

/**
 * The events of a stream, one by one. EventSource can send no header of its own, so this reads the stream itself.
 * @param {AbortSignal} signal ends it
 */
export async function* events(path, signal) {
  const response = await fetch(path, { headers: { 'X-CSRF': '1', Accept: 'text/event-stream' }, signal })
  if (!response.ok) throw new Error(`The stream answered ${response.status}.`)
  let rest = ''
  for await (const chunk of chunks(response.body.pipeThrough(new TextDecoderStream()))) {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop()
    for (const block of blocks) {
      const data = block.match(/^data: (.*)$/m)
      if (data) yield JSON.parse(data[1])
    }
  }
}

async function parse(response) {
  const text = await response.text()
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Safari has no `for await` over streams yet. */
async function* chunks(stream) {
  const reader = stream.getReader()
  for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value
}
