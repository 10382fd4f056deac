import { isDeepStrictEqual } from 'node:util'
import type { Config } from './schema.ts'

/** What a running gateway holds on to: sockets, processes, the store and its keys. */
const fixed: Readonly<Record<string, (config: Config) => unknown>> = {
  'listen.host': ({ listen }) => listen.host,
  'listen.port': ({ listen }) => listen.port,
  'listen.tls (with or without)': ({ listen }) => listen.tls !== undefined,
  workers: ({ workers }) => workers,
  'admin.host': ({ admin }) => admin?.host,
  'admin.port': ({ admin }) => admin?.port,
  'keys.file': ({ keys }) => keys.file,
  store: ({ store }) => store,
}

/** The settings that differ and need a restart. */
export function restartNeeded(running: Config, next: Config): string[] {
  return Object.keys(fixed).filter((name) => !isDeepStrictEqual(fixed[name]?.(running), fixed[name]?.(next)))
}

/** The sections that differ. Values are never told: they may be secrets. */
export function changedSections(running: Config, next: Config): string[] {
  const names = Object.keys(next) as (keyof Config)[]
  return names.filter((name) => !isDeepStrictEqual(running[name], next[name]))
}
