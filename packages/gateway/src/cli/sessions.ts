import type { Selection } from '../session/all-sessions.ts'
import { readConfig } from './config-file.ts'
import { writeListing } from './listing.ts'
import { configOption, exit, type Io, jsonOption, readOptions } from './options.ts'
import { openOnStore } from './sessions-on-store.ts'
import { openOverAdmin, type SessionsAccess } from './sessions-over-admin.ts'
import { sessionColumns } from './sessions-table.ts'

export const command = {
  name: 'sessions',
  summary: 'Lists sessions, or ends them: one by its ID, all of a user, or everyone’s.',
  operands: ['list|revoke'],
  optional: ['ID'],
  options: {
    user: { type: 'string', value: 'SUB', help: 'only those of this user: the sub at the provider' },
    iss: { type: 'string', value: 'URL', help: 'with --user: only at this issuer (default: all configured)' },
    all: { type: 'boolean', help: 'everyone’s' },
    json: jsonOption,
    config: configOption,
  },
} as const

/** `coatcheck sessions`: 0 done, 1 it could not be done or there is no such session, 2 wrong usage or configuration. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const parsed = readOptions(command, args, io)
  if ('status' in parsed) return parsed.status
  const { values } = parsed
  const chosen = choose(parsed.operands, values)
  if ('wrong' in chosen) {
    io.stderr.write(`coatcheck sessions: ${chosen.wrong}; see coatcheck sessions --help\n`)
    return exit.usage
  }
  const config = readConfig(values.config, io)
  if (config === undefined) return exit.usage
  try {
    await using access = (await openOverAdmin(config)) ?? (await openOnStore(config))
    const json = values.json === true
    if (chosen.action === 'revoke') return await revoke(access, chosen.selection, { io, json })
    await writeListing(access.pages(chosen.of), { name: 'sessions', columns: sessionColumns, json }, io)
    return exit.ok
  } catch (error) {
    io.stderr.write(`coatcheck sessions: ${error instanceof Error ? error.message : String(error)}\n`)
    return exit.failed
  }
}

type Chosen =
  | { readonly action: 'list'; readonly of: { user: string; iss?: string } | undefined }
  | { readonly action: 'revoke'; readonly selection: Selection }
  | { readonly wrong: string }

/** What to end is said in one way, or not at all: a forgotten word must not end everyone's sessions. */
function choose(
  [action, handle]: readonly string[],
  { user, iss, all }: { user?: string | undefined; iss?: string | undefined; all?: boolean | undefined },
): Chosen {
  if (action !== 'list' && action !== 'revoke') return { wrong: `write list or revoke, not ${JSON.stringify(action)}` }
  if (iss !== undefined && user === undefined) return { wrong: '--iss goes with --user' }
  const of = user === undefined ? undefined : { user, ...(iss !== undefined && { iss }) }
  if (action === 'list') {
    if (handle !== undefined) return { wrong: 'list takes no ID; narrow it with --user SUB' }
    return all && of ? { wrong: 'write --user or --all, not both' } : { action, of }
  }
  const ways: Selection[] = [
    ...(handle === undefined ? [] : [{ handle }]),
    ...(of === undefined ? [] : [of]),
    ...(all ? [{ all } as const] : []),
  ]
  const [selection, ...more] = ways
  if (!selection) return { wrong: 'say which: revoke ID (from the list), revoke --user SUB, or revoke --all' }
  return more.length > 0 ? { wrong: 'write one of ID, --user and --all' } : { action, selection }
}

interface Output {
  readonly io: Io
  readonly json: boolean
}

async function revoke(access: SessionsAccess, selection: Selection, { io, json }: Output): Promise<number> {
  const ended = await access.end(selection)
  if (ended === 0 && 'handle' in selection) throw new Error('there is no such session; see coatcheck sessions list')
  io.stdout.write(json ? `${JSON.stringify({ ended })}\n` : `${ended} session${ended === 1 ? '' : 's'} ended\n`)
  return exit.ok
}
