import { readFileSync, statSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServeStatic } from '../decision.ts'
import { compilePage, type NoncedPage } from '../protocol/nonced-page.ts'

export type NoncedPages = (
  request: IncomingMessage,
  response: ServerResponse,
  page: {
    readonly file: string
    readonly nonces: NonNullable<ServeStatic['nonces']>
    readonly headers: readonly string[]
  },
) => void

/**
 * Serves pages with a nonce of their own. A file is read and taken apart when it is first asked for, and again when another one
 * was deployed in its place; an answer joins the pieces.
 *
 * Every answer is a new one: nothing keeps it (`no-store`), there is no ETag and so no 304, whose policy would name a nonce that
 * the page in the cache does not have. Precompressed siblings hold the page without nonces and are not used.
 */
export function createNoncedPages(): NoncedPages {
  const known = new Map<string, { stamp: string; pieces: NoncedPage }>()

  function piecesOf(file: string): NoncedPage {
    const { ino, size, mtimeMs } = statSync(file)
    const stamp = `${ino} ${size} ${mtimeMs}`
    const before = known.get(file)
    if (before?.stamp === stamp) return before.pieces
    const pieces = compilePage(readFileSync(file, 'latin1'))
    known.set(file, { stamp, pieces })
    return pieces
  }

  return (request, response, { file, nonces, headers }) => {
    const pieces = piecesOf(file)
    const { nonce, csp } = nonces()
    const body = Buffer.from(pieces.join(nonce), 'latin1')
    for (let i = 0; i < headers.length; i += 2) response.appendHeader(headers[i] as string, headers[i + 1] as string)
    response.setHeader('Content-Security-Policy', csp)
    response.setHeader('Cache-Control', 'no-store')
    response.setHeader('Content-Type', 'text/html;charset=utf-8')
    response.setHeader('Content-Length', body.length)
    response.writeHead(200)
    response.end(request.method === 'HEAD' ? undefined : body)
  }
}
