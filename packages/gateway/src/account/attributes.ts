import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { json, noContent } from '../protocol/json-response.ts'
import { isJsonObject } from '../protocol/strict-json.ts'
import type { Services } from '../services.ts'
import { readJsonBody } from './json-body.ts'
import { createOwnAccount, demandLiveToken } from './own-account.ts'
import { reasonOf } from './reason.ts'

/** `GET` and `PATCH /auth/attributes`: what the user pool keeps of its user, who may change what the app client may write. */
export function createAttributes(services: Services) {
  const { log, sessions } = services
  const open = createOwnAccount(services)

  async function read(request: EndpointRequest): Promise<Respond> {
    const account = await open(request)
    const answer = await account.call('GetUser')
    if (answer.kind === 'refused') {
      const code = answer.type === 'NotAuthorizedException' ? 'login_required' : 'access_denied'
      throw new Refusal(code, { cause: `GetUser: ${answer.type}` })
    }
    return json(200, { username: answer.result.Username, attributes: attributesOf(answer.result.UserAttributes) })
  }

  async function update(request: EndpointRequest): Promise<Respond> {
    const account = await open(request)
    const wanted = readAttributes(request)
    const answer = await account.call('UpdateUserAttributes', {
      UserAttributes: wanted.map(([Name, Value]) => ({ Name, Value })),
    })
    if (answer.kind === 'refused') {
      if (answer.type === 'NotAuthorizedException') await demandLiveToken(account)
      // Whether somebody else has an address already is nobody's business; other refusals are about the user's own words.
      const reason = reasonOf(answer.type === 'AliasExistsException' ? '' : answer.message)
      throw new Refusal('attributes_rejected', { cause: answer.type, members: { reason } })
    }
    log.info({
      event: 'user_updated',
      provider: account.session.record.provider,
      session: sessions.handleOf(account.session.id),
      attributes: wanted.map(([name]) => name),
      requestId: request.requestId,
    })
    return noContent()
  }

  return { read, update }
}

function attributesOf(value: unknown): Record<string, string> {
  const list: readonly unknown[] = Array.isArray(value) ? value : []
  const pairs = list.flatMap((one) =>
    isJsonObject(one) && typeof one.Name === 'string' && typeof one.Value === 'string' ? [[one.Name, one.Value]] : [],
  )
  return Object.fromEntries(pairs)
}

/** Attributes are texts, of names such as `family_name` and `custom:department`. */
function readAttributes(request: EndpointRequest): [name: string, value: string][] {
  const entries = Object.entries(readJsonBody(request))
  const sound = (entry: [string, unknown]): entry is [string, string] =>
    /^[A-Za-z][\w:.-]{0,63}$/.test(entry[0]) && typeof entry[1] === 'string' && entry[1].length <= 2048
  if (entries.length === 0 || !entries.every(sound)) {
    throw new Refusal('bad_request', { cause: 'write {"name of an attribute": text}, of at most 2048 letters each' })
  }
  return entries
}
