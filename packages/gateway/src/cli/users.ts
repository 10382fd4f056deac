import type { Sought } from '../identity/all-users.ts'
import type { DescribedUser } from '../identity/user-record.ts'
import { readConfig } from './config-file.ts'
import { writeListing } from './listing.ts'
import { configOption, exit, type Io, jsonOption, readOptions } from './options.ts'
import { type Columns, minute } from './table.ts'
import { openUsers, type UsersAccess } from './users-access.ts'

export const command = {
  name: 'users',
  summary:
    'Who has signed in: lists them; disables one, which ends their sessions and refuses them from then on; enables one again; forgets one.',
  operands: ['list|disable|enable|forget'],
  optional: ['ID'],
  options: {
    user: { type: 'string', value: 'SUB', help: 'this user: the sub at the provider' },
    iss: { type: 'string', value: 'URL', help: 'with --user: only at this issuer (default: all configured)' },
    email: { type: 'string', value: 'ADDRESS', help: 'the user of this address, if their provider verified it' },
    reason: { type: 'string', value: 'TEXT', help: 'with disable: kept with the user' },
    json: jsonOption,
    config: configOption,
  },
} as const

/** `coatcheck users`: 0 done, 1 it could not be done or there is no such user, 2 wrong usage or configuration. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const parsed = readOptions(command, args, io)
  if ('status' in parsed) return parsed.status
  const { values } = parsed
  const chosen = choose(parsed.operands, values)
  if ('wrong' in chosen) {
    io.stderr.write(`coatcheck users: ${chosen.wrong}; see coatcheck users --help\n`)
    return exit.usage
  }
  const config = readConfig(values.config, io)
  if (config === undefined) return exit.usage
  const output = { io, json: values.json === true }
  try {
    await using access = await openUsers(config)
    if (chosen.action === 'list') {
      await writeListing(access.pages(chosen.sought), { name: 'users', columns, json: output.json }, io)
      return exit.ok
    }
    const id = chosen.id ?? (await theOnly(access, chosen.sought as Sought))
    return await change(access, { ...chosen, id, reason: values.reason }, output)
  } catch (error) {
    io.stderr.write(`coatcheck users: ${error instanceof Error ? error.message : String(error)}\n`)
    return exit.failed
  }
}

const changes = ['disable', 'enable', 'forget'] as const
type Change = (typeof changes)[number]

type Chosen =
  | { readonly action: 'list'; readonly sought: Sought | undefined }
  | { readonly action: Change; readonly id: string | undefined; readonly sought: Sought | undefined }
  | { readonly wrong: string }

function choose(
  [action, id]: readonly string[],
  values: { [name in 'user' | 'iss' | 'email' | 'reason']?: string | undefined },
): Chosen {
  const { user, iss, email, reason } = values
  if (iss !== undefined && user === undefined) return { wrong: '--iss goes with --user' }
  if (user !== undefined && email !== undefined) return { wrong: 'write --user or --email, not both' }
  if (reason !== undefined && action !== 'disable') return { wrong: '--reason goes with disable' }
  if (reason !== undefined && reason.length > 200) return { wrong: '--reason is at most 200 characters' }
  const sought = email !== undefined ? { email } : user === undefined ? undefined : { user, ...(iss && { iss }) }
  if (action === 'list') {
    return id === undefined ? { action, sought } : { wrong: 'list takes no ID; narrow it with --user or --email' }
  }
  const change = changes.find((one) => one === action)
  if (!change) return { wrong: `write list, disable, enable or forget, not ${JSON.stringify(action)}` }
  if ((id === undefined) === (sought === undefined)) {
    return { wrong: `say whom: ${change} ID (from the list), ${change} --user SUB, or ${change} --email ADDRESS` }
  }
  return { action: change, id, sought }
}

/** The same name may be that of two people at two providers: neither is met by chance. */
async function theOnly(access: UsersAccess, sought: Sought): Promise<string> {
  const found: DescribedUser[] = []
  for await (const page of access.pages(sought)) found.push(...page)
  const [user, ...more] = found
  if (user === undefined) throw new Error('there is no such user; see coatcheck users list')
  if (more.length > 0) {
    throw new Error(`there are ${found.length} such users; write one of ${found.map(({ id }) => id).join(', ')}`)
  }
  return user.id
}

interface Output {
  readonly io: Io
  readonly json: boolean
}

const columns: Columns<DescribedUser> = [
  { head: 'ID', of: ({ id }) => id },
  { head: 'USER', of: ({ identities }) => identities.map(({ sub }) => sub).join(', ') },
  { head: 'PROVIDER', of: ({ identities }) => identities.map(({ provider }) => provider).join(', ') },
  { head: 'FIRST LOGIN', of: ({ firstLoginAt }) => minute(firstLoginAt) },
  { head: 'LAST LOGIN', of: ({ lastLoginAt }) => minute(lastLoginAt) },
  { head: 'ROLES', of: ({ roles }) => roles.join(', ') },
  { head: 'STATE', of: ({ disabled }) => (disabled ? 'disabled' : 'enabled') },
]

async function change(
  access: UsersAccess,
  { action, id, reason }: { action: Change; id: string; reason: string | undefined },
  { io, json }: Output,
): Promise<number> {
  const ended = action === 'disable' ? await access.disable(id, reason) : await access[action](id)
  if (ended === undefined) throw new Error('there is no such user; see coatcheck users list')
  const done = { disable: 'disabled', enable: 'enabled', forget: 'forgotten' }[action]
  const also = action === 'enable' ? '' : `, ${ended} session${ended === 1 ? '' : 's'} ended`
  io.stdout.write(json ? `${JSON.stringify({ id, [done]: true, ended })}\n` : `${id} is ${done}${also}\n`)
  return exit.ok
}
