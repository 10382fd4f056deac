import { brotliDecompressSync, constants, gunzipSync, inflateSync } from 'node:zlib'

/**
 * Does an error quote what was signed? By what only stands in a signed request, so that the errors of an application, which
 * pages need to see, go on as they are. What can't be read is taken for one that does.
 */
export function quotesSigning(body: Buffer, contentCoding: string | undefined): boolean {
  const text = textOf(body, contentCoding?.trim().toLowerCase() ?? 'identity')
  return text === undefined || signs.test(text)
}

/** The words of AWS, the names of what is signed, and key ids: of temporary credentials they begin with ASIA. */
const signs = /canonical string|string-to-sign|x-amz-security-token|AWS4-HMAC-SHA256|\bASIA[A-Z0-9]{16}\b/i

/** The beginning may end anywhere: what it holds is read up to there. */
function textOf(body: Buffer, coding: string): string | undefined {
  if (body.length === 0) return ''
  const zlib = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: 1024 * 1024 }
  try {
    if (coding === 'identity') return body.toString('latin1')
    if (coding === 'gzip' || coding === 'x-gzip') return gunzipSync(body, zlib).toString('latin1')
    if (coding === 'deflate') return inflateSync(body, zlib).toString('latin1')
    if (coding === 'br') {
      const brotli = { finishFlush: constants.BROTLI_OPERATION_FLUSH, maxOutputLength: 1024 * 1024 }
      return brotliDecompressSync(body, brotli).toString('latin1')
    }
  } catch {
    // Told below.
  }
  return undefined
}
