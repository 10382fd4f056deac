import type { ServerResponse } from 'node:http'
import { formsOf } from './html.ts'

/** What a provider gave out. */
export interface TokenRecord {
  readonly tokens: Set<string>
  readonly codes: Set<string>
  redeemed: number
}

interface Asked {
  readonly path: string
  readonly params: URLSearchParams
}

/** Notes the tokens in an answer of the token endpoint, and the code in a redirect or self-posting form. */
export function recordTokens(
  record: TokenRecord,
  asked: Asked,
  response: ServerResponse,
  bodies: readonly string[],
): void {
  if (asked.path === '/token' && response.statusCode === 200) {
    if (asked.params.get('grant_type') === 'authorization_code') record.redeemed++
    for (const body of bodies) for (const token of tokensIn(body)) record.tokens.add(token)
  }
  const location = response.getHeader('location')
  if (typeof location === 'string') addCode(record, new URL(location, 'http://provider').searchParams.get('code'))
  for (const form of formsOf(bodies[0] ?? '')) addCode(record, new Map(form.fields).get('code'))
}

function addCode(record: TokenRecord, code: string | null | undefined): void {
  if (code) record.codes.add(code)
}

function tokensIn(body: string): string[] {
  try {
    const answer = JSON.parse(body) as Record<string, unknown>
    const values = ['access_token', 'refresh_token', 'id_token'].map((name) => answer[name])
    return values.filter((value) => typeof value === 'string')
  } catch {
    return []
  }
}
