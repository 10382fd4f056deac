import type { ServerResponse } from 'node:http'

/** Holds an answer back until it is complete, and sends what `change` makes of its body. Fit for small text answers. */
export function tapResponse(response: ServerResponse, change: (body: string) => string): void {
  const chunks: Buffer[] = []
  const end = response.end.bind(response)
  const take = (chunk: unknown) => {
    if (typeof chunk === 'string') chunks.push(Buffer.from(chunk))
    else if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk))
  }
  response.write = (chunk: unknown) => {
    take(chunk)
    return true
  }
  response.end = (chunk?: unknown) => {
    take(chunk)
    const before = Buffer.concat(chunks)
    const after = Buffer.from(change(before.toString('utf8')))
    // A head that went out early keeps its length; nothing here writes one before the end.
    if (!response.headersSent && !after.equals(before)) response.setHeader('content-length', after.length)
    return end(after)
  }
}
