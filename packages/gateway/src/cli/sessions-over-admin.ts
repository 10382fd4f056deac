import type { Config } from '../config/schema.ts'
import type { DescribedSession, Selection } from '../session/all-sessions.ts'
import { openAdmin } from './admin-client.ts'

/** Where the command finds sessions. */
export interface SessionsAccess extends AsyncDisposable {
  pages(of: { readonly user: string; readonly iss?: string } | undefined): AsyncIterable<readonly DescribedSession[]>
  /** How many ended. */
  end(selection: Selection): Promise<number>
}

/**
 * The admin listener of the running gateway: what is ended there is over at once, revoked at the provider, and logged.
 * Undefined if none is configured, or none answers.
 */
export async function openOverAdmin(config: Config): Promise<SessionsAccess | undefined> {
  const ask = await openAdmin(config)
  if (!ask) return undefined
  return {
    async *pages(of) {
      const query = new URLSearchParams({ limit: '500', ...of })
      for (;;) {
        const { sessions, cursor } = await ask('GET', `/api/sessions?${query}`)
        yield sessions as DescribedSession[]
        if (typeof cursor !== 'string') return
        query.set('cursor', cursor)
      }
    },
    async end(selection) {
      const { ended } = await ask('DELETE', pathOf(selection))
      return typeof ended === 'number' ? ended : 0
    },
    [Symbol.asyncDispose]: async () => {},
  }
}

function pathOf(selection: Selection): string {
  if ('handle' in selection) return `/api/sessions/${encodeURIComponent(selection.handle)}`
  if ('all' in selection) return '/api/sessions?all=1'
  return `/api/sessions?${new URLSearchParams({ ...selection })}`
}
