import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { reason } from '../config/surroundings.ts'
import { isJsonObject, parseStrictJson } from '../protocol/strict-json.ts'
import type { JsonObject } from '../session/json.ts'
import type { Io } from './options.ts'

/** More than any provider's claims have; bytes. */
const maxBytes = 1024 * 1024

/** Claims as a JSON object, from a file or `-`. @throws Error that says what to give instead */
export async function readClaims(file: string, io: Io): Promise<JsonObject> {
  const text = await textOf(file, io)
  if (/^\s*["']?[\w-]+\.[\w-]+\.[\w-]*["']?\s*$/.test(text)) {
    throw new Error(`${file} holds a token; give its claims alone, as JSON: they can't be used to sign in`)
  }
  let claims: unknown
  try {
    claims = parseStrictJson(text)
  } catch {
    // A parser's own words hold pieces of what it read.
    throw new Error(`${file} is no JSON, or a name stands in it twice; write an object such as {"groups": ["ops"]}`)
  }
  if (!isJsonObject(claims)) throw new Error(`${file} is no JSON object; write one such as {"groups": ["ops"]}`)
  return claims as JsonObject
}

async function textOf(file: string, io: Io): Promise<string> {
  if (file !== '-') {
    const bytes = await readFile(resolve(io.cwd, file)).catch((error: unknown) => {
      throw new Error(`${file} can not be read: ${reason(error)}`)
    })
    return whole([bytes], file)
  }
  if (io.stdin === undefined) throw new Error('there is no standard input')
  const chunks: Buffer[] = []
  for await (const chunk of io.stdin) chunks.push(Buffer.from(chunk))
  return whole(chunks, 'standard input')
}

function whole(chunks: readonly Buffer[], name: string): string {
  const bytes = Buffer.concat(chunks)
  if (bytes.length > maxBytes) throw new Error(`${name} is larger than 1 MB`)
  return bytes.toString('utf8').replace(/^\uFEFF/, '')
}
