import { z } from 'zod'
import { duration } from './quantities.ts'
import { settle } from './settle.ts'
import type { Surroundings } from './surroundings.ts'
import { filled, requestPath, serverName } from './texts.ts'

/** The keys of a route that say how its upstream is reached. Routes that say the same of the same addresses share connections. */
export function upstreamKeys(around: Surroundings) {
  const tls = z
    .strictObject({
      ca: filled('file')
        .transform((path, ctx) => settle(around.authorities(path), around, ctx))
        .optional()
        .describe('The certificates to trust, in PEM form, instead of those of the system.'),
      cert: filled('file')
        .optional()
        .describe("The gateway's own certificate (chain) in PEM form; together with `key`."),
      key: filled('file').optional().describe('Its private key in PEM form, without passphrase.'),
      servername: serverName()
        .optional()
        .describe("The name that the upstream's certificate must have; without it, the host of the address."),
    })
    .transform((files, ctx) => {
      const { cert, key } = files
      if (cert === undefined && key === undefined) return files
      if (cert === undefined || key === undefined) {
        const message = `is missing; a certificate and its key belong together`
        ctx.addIssue({ code: 'custom', message, path: [cert === undefined ? 'cert' : 'key'] })
        return files
      }
      return { ...files, ...settle(around.tls({ cert, key }), around, ctx) }
    })

  const wholeNumber = { error: 'write a whole number from 1 to 10000' }
  return {
    connections: z
      .int(wholeNumber)
      .min(1, wholeNumber)
      .max(10_000, wholeNumber)
      .optional()
      .meta({ default: 128 })
      .describe(
        'Connections to each address; a request that finds all of them busy waits. Event streams do not count (with undici they do), and requests that wait for a slow client have up to four times as many beside them (with undici up to three quarters of these).',
      ),
    maxWaiting: z
      .int({ error: 'write a whole number from 1 to 100000' })
      .min(1, { error: 'write a whole number from 1 to 100000' })
      .max(100_000, { error: 'write a whole number from 1 to 100000' })
      .optional()
      .meta({ default: 8192 })
      .describe('Requests that may wait for one of the `connections` of an address; one more is 503 at once.'),
    timeouts: z
      .strictObject({
        connect: duration({ max: '5m' })
          .prefault('10s')
          .describe('How long a connection, its TLS handshake included, may take.'),
      })
      .optional()
      .describe('Further time limits, beside `timeout`.'),
    health: z
      .strictObject({
        path: requestPath().describe('Asked with GET, without credential; 200 to 399 is healthy.'),
        interval: duration({ max: '1h' }).prefault('10s').describe('How often each address is asked.'),
        timeout: duration({ max: '1h' }).prefault('2s').describe('How long the answer may take.'),
      })
      .optional()
      .describe(
        'Asks each address by itself: after two bad answers in a row it gets no requests, until a good one. Without it an address is known to be down when no connection to it succeeds.',
      ),
    tls: tls
      .optional()
      .describe(
        'For `https` upstreams of a private network. Certificates are always verified; nothing switches that off.',
      ),
  }
}
