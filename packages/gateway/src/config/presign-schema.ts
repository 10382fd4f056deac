import type { core } from 'zod'
import { z } from 'zod'
import { duration, size } from './quantities.ts'

/** A piece of a key: text as it is, or what is put in for a user and an upload. */
export type KeyPart = { readonly text: string } | { readonly of: 'sub' | 'identityId' | 'id' | 'name' }

const keyExpected =
  "write a key such as uploads/{identityId}/{id}-{name}: letters, digits and ! - _ . * ( ) ' = between slashes, with {sub} or {identityId} as a segment of its own, and {id}"

/** Where uploads lie in the bucket: chosen here, and not by the page. */
function keyTemplate() {
  return z
    .string({ error: keyExpected })
    .meta({ title: 'key' })
    .transform((text, ctx): readonly KeyPart[] => {
      const segments = text.split('/')
      const refuse = (message: string) => {
        ctx.addIssue({ code: 'custom', message })
        return z.NEVER
      }
      if (!segments.every((one) => segmentPattern.test(one) && one !== '.' && one !== '..')) return refuse(keyExpected)
      const user = segments.findIndex((one) => one === '{sub}' || one === '{identityId}')
      if (user === -1) return refuse('has no place of the user; write {identityId} or {sub} as a segment of its own')
      const named = segments.findIndex((one) => one.includes('{name}'))
      // The page's own text in front of the user's place would make it the place of another.
      if (named !== -1 && named < user) return refuse('write {name} behind the place of the user')
      if (!text.includes('{id}')) return refuse('could overwrite what is there; write {id}, which is new each time')
      return partsOf(text)
    })
}

const segmentPattern = /^(?:[A-Za-z0-9!_.*'()=-]|\{(?:sub|identityId|id|name)\})+$/

function partsOf(text: string): KeyPart[] {
  return text.split(/(\{[a-zA-Z]+\})/).flatMap((part): KeyPart[] => {
    if (part === '') return []
    return part.startsWith('{') ? [{ of: part.slice(1, -1) as 'id' }] : [{ text: part }]
  })
}

function mediaRange() {
  const error = 'write a type such as image/png, or image/* for all of them'
  return z
    .string({ error })
    .regex(/^[a-z0-9!#$&^_.+-]+\/(?:\*|[a-z0-9!#$&^_.+-]+)$/, { error })
    .meta({ title: 'media type' })
}

/** `presign`: permission to put one object into a bucket, for the page, instead of the object's way through the gateway. */
export function presignSchema() {
  return z.strictObject({
    key: keyTemplate().describe(
      "The key of each object: `{sub}` or `{identityId}` (of the user, in the identity pool) as a segment of its own, `{id}` (random), and `{name}` (the file's, as the page says it).",
    ),
    types: z
      .array(mediaRange())
      .min(1, { error: 'name at least one type' })
      .describe('The media types that may be uploaded: `image/png`, or `image/*`. Without parameters.'),
    maxSize: size({ min: '1b', max: '5gb' })
      .prefault('100mb')
      .describe('The largest object; S3 takes 5 GB in one piece.'),
    expires: duration({ min: '10s', max: '1h' })
      .prefault('5m')
      .describe('How long a permission is good; never longer than the credentials behind it.'),
  })
}

export type PresignConfig = z.output<ReturnType<typeof presignSchema>>

/** What says nothing about a permission: accepted and without effect, somebody would count on it. */
const ofForwarding = {
  stripPrefix: 'the page names no path of the bucket',
  timeout: 'the gateway does not call the bucket',
  maxBody: 'the size of uploads is maxSize',
  allowSetCookie: 'the gateway does not call the bucket',
  connections: 'the gateway does not call the bucket',
  maxWaiting: 'the gateway does not call the bucket',
  timeouts: 'the gateway does not call the bucket',
  health: 'the gateway does not call the bucket',
  tls: 'the browser calls the bucket',
  offline: 'nothing is read',
} as const

/** Refuses on a `presign` route what only means something where requests go on. Runs before defaults are filled in. */
export function refuseForPresign(route: object, ctx: core.$RefinementCtx<unknown>): void {
  const keys: Readonly<Record<string, unknown>> = { ...route }
  if (keys.presign === undefined) return
  for (const [key, why] of Object.entries(ofForwarding)) {
    if (keys[key] !== undefined)
      ctx.addIssue({ code: 'custom', message: `is without effect beside presign (${why}); remove it`, path: [key] })
  }
}
