import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { isJsonObject, parseStrictJson } from '../protocol/strict-json.ts'
import { isMediaType } from '../signals/media-type.ts'

/** The members of a JSON object, each once. @throws Refusal `bad_request`, whose cause holds nothing of the body */
export function readJsonBody({
  body,
  fields,
}: Pick<EndpointRequest, 'body' | 'fields'>): Readonly<Record<string, unknown>> {
  if (!isMediaType(fields.contentType, 'application/json')) {
    throw new Refusal('bad_request', { cause: 'the body is not application/json' })
  }
  try {
    const value = parseStrictJson(new TextDecoder('utf-8', { fatal: true }).decode(body))
    if (isJsonObject(value)) return value
  } catch {
    // A parser's own words hold pieces of what it read: here, of passwords.
  }
  throw new Refusal('bad_request', { cause: 'the body is no JSON object whose members stand once' })
}
