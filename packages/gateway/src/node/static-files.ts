import { fstatSync, type ReadStream, realpathSync, type Stats, statSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join, sep } from 'node:path'
import sirv from 'sirv'
import type { Live, Respond, ServeStatic } from '../decision.ts'
import { connectionOf, whenOver } from './connection.ts'
import { createNoncedPages } from './nonced-pages.ts'
import { respond } from './respond.ts'

export interface StaticFilesOptions {
  /** A page for a navigation; for a script that asked for a file, not HTML. */
  notFound(navigation: boolean): Respond
}

export type StaticFiles = (request: IncomingMessage, response: ServerResponse, decision: ServeStatic) => void

/**
 * Serves single-page apps with sirv, which knows types, ETags, ranges and precompressed files. Which file it may look at is
 * settled before.
 *
 * sirv runs in its `dev` mode, which looks at the disk for each request. Its other mode lists the folder once: after a
 * deployment by rsync it would announce the old length and send the new file, which breaks the framing of the connection.
 * The looks cost some tens of microseconds, for files that browsers keep anyway.
 */
export function createStaticFiles({ notFound }: StaticFilesOptions): StaticFiles {
  const servers = new Map<string, ReturnType<typeof sirv>>()
  const noncedPages = createNoncedPages()

  return (request, response, decision) => {
    const { root, path, headers, live } = decision
    if (live !== undefined) tie(request, response, live)
    const file = request.method === 'GET' || request.method === 'HEAD' ? choose(root, path, request) : undefined
    if (file === undefined) {
      respond(request, response, notFound(isNavigation(request)), headers)
      return
    }
    if (decision.nonces !== undefined && PAGE.test(file)) {
      noncedPages(request, response, { file: join(root, file), nonces: decision.nonces, headers })
      return
    }
    let serve = servers.get(root)
    if (serve === undefined) {
      serve = sirv(root, { dev: true, etag: true, brotli: true, gzip: true, extensions: [] })
      servers.set(root, serve)
    }
    for (let i = 0; i < headers.length; i += 2) response.appendHeader(headers[i] as string, headers[i + 1] as string)
    // Set here and not by sirv, so that they are on a 304 as well (RFC 9110 §15.4.5).
    response.setHeader('Cache-Control', cacheControl(file, headers))
    response.setHeader('Vary', 'Accept-Encoding')
    keepEtag(request, response)
    keepPlainRange(request)
    response.once('pipe', (source: ReadStream) => takeCare(request, response, source))
    // sirv decodes it again, and stops at the first `?`.
    request.url = encodeURI(file).replace(/[?#]/g, encodeURIComponent)
    serve(request, response, () => respond(request, response, notFound(isNavigation(request))))
  }
}

/** Milliseconds. What takes longer is tied to its session, as an upstream's answer is. */
const tieAfter = 500

/** A large file that is read slowly must not outlive the session that it was for: it is cut, and does not look whole. */
function tie(request: IncomingMessage, response: ServerResponse, live: Live): void {
  let release: (() => void) | undefined
  const timer = setTimeout(() => {
    release = live({ endless: false, end: () => response.destroy() })
  }, tieAfter)
  whenOver(connectionOf(request.socket), response, () => {
    clearTimeout(timer)
    release?.()
  })
}

const PAGE = /\.html?$/i

/** The file below `root` that answers for `path`; undefined if there is none that may be shown. */
function choose(root: string, path: string, request: IncomingMessage): string | undefined {
  const wanted = decode(path)
  if (wanted === undefined || isHidden(wanted)) return undefined
  const found = existing(root, wanted)
  if (found !== undefined) return staysInside(root, found) ? found : undefined
  // A missing script answered by a page would be cached and run as one; an API typo would look like success.
  const isAsset = wanted.slice(wanted.lastIndexOf('/')).includes('.')
  const fallback = isAsset || !isNavigation(request) ? undefined : existing(root, '/index.html')
  return fallback !== undefined && staysInside(root, fallback) ? fallback : undefined
}

function decode(path: string): string | undefined {
  try {
    const decoded = decodeURIComponent(path)
    // None of these comes from the guard. If one ever did, the disk must not be the one to read it.
    const refused = !decoded.startsWith('/') || /%2f/i.test(path) || /[\\\0]|\/\/|\/\.\.?(\/|$)/.test(decoded)
    return refused ? undefined : decoded
  } catch {
    return undefined
  }
}

/** `.git`, `.env` and their like. `/.well-known/` is made to be read (RFC 8615). */
function isHidden(path: string): boolean {
  return path.replace(/^\/\.well-known\//, '/').includes('/.')
}

function existing(root: string, path: string): string | undefined {
  const stats = look(root, path)
  if (stats?.isFile()) return path.endsWith('/') ? undefined : path
  if (!stats?.isDirectory()) return undefined
  const index = path.endsWith('/') ? `${path}index.html` : `${path}/index.html`
  return look(root, index)?.isFile() ? index : undefined
}

/** Below a file (`/app.js/x`), under an endless name or round a loop of links there is nothing; that is no fault of ours. */
function look(root: string, path: string): Stats | undefined {
  try {
    return statSync(join(root, path), { throwIfNoEntry: false })
  } catch (error) {
    if (/^(ENOTDIR|ENAMETOOLONG|ELOOP|EACCES)$/.test(String((error as NodeJS.ErrnoException).code))) return undefined
    throw error
  }
}

/** A symbolic link below the root that leads out of it is refused, that of a precompressed sibling too. The root may be one. */
function staysInside(root: string, path: string): boolean {
  const home = realpathSync.native(root) + sep
  return ['', '.br', '.gz'].every((suffix) => {
    try {
      return realpathSync.native(join(root, path + suffix)).startsWith(home)
    } catch {
      return suffix !== ''
    }
  })
}

function isNavigation({ headers }: IncomingMessage): boolean {
  const mode = headers['sec-fetch-mode']
  if (mode !== undefined) return mode === 'navigate'
  return headers.accept?.includes('text/html') === true
}

/** A build tool's content hash between `-` or `.` and the extension: hex, or base64url in both cases, with a digit. */
const fingerprint = /[-.](?=[\w-]*\d)(?:(?=[0-9a-f]*[a-f])[0-9a-f]{8,}|(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{8,})\./

/** A hash that isn't recognised costs a 304; a word or a date taken for a hash would pin an old file for a year. */
function cacheControl(file: string, decided: readonly string[]): string {
  const own = decided.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'cache-control')
  if (own !== -1) return decided[own + 1] as string
  // A cache that kept a cookie with a script would give one user's session to the next.
  if (decided.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'set-cookie')) return 'no-store'
  const name = file.slice(file.lastIndexOf('/') + 1)
  return !name.endsWith('.html') && fingerprint.test(name) ? 'public, max-age=31536000, immutable' : 'no-cache'
}

/** sirv answers 304 if the tags are equal, but without the tag, which RFC 9110 §15.4.5 asks for. */
function keepEtag(request: IncomingMessage, response: ServerResponse): void {
  const tag = request.headers['if-none-match']
  if (tag === undefined) return
  const writeHead = response.writeHead
  response.writeHead = (status: number, ...rest: never[]) => {
    if (status === 304) response.setHeader('ETag', tag)
    return writeHead.call(response, status, ...rest)
  }
}

/** sirv reads suffix ranges wrongly, throws at reversed ones, and ignores If-Range; all of those may be answered in full. */
function keepPlainRange({ headers }: IncomingMessage): void {
  const [, start, end] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
  const plain = start !== undefined && (end === '' || Number(end) >= Number(start))
  if (!plain || headers['if-range'] !== undefined) delete headers.range
}

/**
 * sirv pipes without further care: a file that goes away between look and read would end the process with an unhandled
 * 'error', a client that goes away would leak the descriptor, and HEAD would read the whole file.
 */
function takeCare(request: IncomingMessage, response: ServerResponse, source: ReadStream): void {
  source.on('error', () => response.destroy())
  response.once('close', () => source.destroy())
  if (request.method === 'HEAD') {
    source.unpipe(response)
    source.destroy()
    response.end()
    return
  }
  // Replaced between look and read: the announced length is that of another file.
  source.once('open', (fd: number) => {
    const announced = Number(response.getHeader('Content-Length'))
    if (response.statusCode === 200 && fstatSync(fd).size !== announced) response.destroy()
  })
}
