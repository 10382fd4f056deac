import { isJsonObject, parseStrictJson } from '../protocol/strict-json.ts'

export interface PlainToken {
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: Readonly<Record<string, unknown>>
}

/**
 * What a signed token says, before anybody knows whether it is true. Refuses what two readers could read differently: a
 * member that stands twice, or letters outside base64url that a decoder may skip.
 * @throws Error that says what it is not
 * @see RFC 7515 §4 (duplicate header parameters), RFC 7519 §4 (duplicate claims)
 */
export function readPlain(token: string): PlainToken {
  const [header = '', payload = '', signature, ...more] = token.split('.')
  if (signature === undefined || more.length > 0) throw new Error('it is not a signed token of three parts')
  return { header: readPart('header', header), payload: readPart('payload', payload) }
}

function readPart(name: string, part: string): Readonly<Record<string, unknown>> {
  if (!/^[A-Za-z0-9_-]+$/.test(part)) throw new Error(`the ${name} of the token is not base64url`)
  const value = attempt(() => parseStrictJson(new TextDecoder('utf-8', { fatal: true }).decode(bytesOf(part))))
  if (!isJsonObject(value)) throw new Error(`the ${name} of the token is not a JSON object whose members stand once`)
  return value
}

const bytesOf = (part: string): Buffer => Buffer.from(part, 'base64url')

function attempt(read: () => unknown): unknown {
  try {
    return read()
  } catch {
    // The parser's own words hold pieces of the token.
    return undefined
  }
}
