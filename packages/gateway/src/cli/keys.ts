import { resolve } from 'node:path'
import { createKeyFile, newRingKey, readKeyFile } from '../session/key-file.ts'
import type { RingKey } from '../session/key-ring.ts'
import { retirable, rotateKeyFile } from '../session/key-rotation.ts'
import { signingSchedule } from '../session/signing-schedule.ts'
import { readConfig } from './config-file.ts'
import { configOption, exit, type Io, jsonOption, readOptions } from './options.ts'

export const command = {
  name: 'keys',
  summary:
    'The key ring that seals sessions and signs minted tokens. generate: a new ring. rotate: a new key that seals from now on and signs a quarter of an hour later; nobody is signed out. list: ids, dates, what each key does.',
  operands: ['generate|rotate|list'],
  options: {
    config: configOption,
    file: { type: 'string', value: 'RING', help: "this key ring, instead of the configuration's keys.file" },
    retire: { type: 'boolean', help: 'with rotate: drop keys that were replaced longer ago than session.absolute' },
    withdraw: {
      type: 'boolean',
      help: 'with rotate: minted tokens are signed by the new key at once, and those of the old keys believed no more',
    },
    json: jsonOption,
  },
} as const

/** Where the ring is, and how long a session lives (milliseconds) if that is known. */
interface Ring {
  readonly file: string
  readonly absolute?: number
}

/** `coatcheck keys generate|rotate|list`: no key is ever shown. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const parsed = readOptions(command, args, io)
  if ('status' in parsed) return parsed.status
  const { file, retire, withdraw, json } = parsed.values
  const wrong = (message: string) => {
    io.stderr.write(`coatcheck keys: ${message}; see coatcheck keys --help\n`)
    return exit.usage
  }
  const action = parsed.operands[0] as string
  const work = Object.hasOwn(actions, action) ? actions[action as keyof typeof actions] : undefined
  if (work === undefined) return wrong(`unknown action ${JSON.stringify(action.slice(0, 80))}`)
  if (retire && action !== 'rotate') return wrong('--retire goes with rotate')
  if (withdraw && action !== 'rotate') return wrong('--withdraw goes with rotate')
  if (retire && file !== undefined) return wrong('--retire needs session.absolute: use -c instead of --file')
  const ring = file === undefined ? ringOf(parsed.values.config, io) : { file: resolve(io.cwd, file) }
  if (ring === undefined) return exit.usage
  const { status = exit.ok, lines, data } = work(ring, { retire: retire === true, withdraw: withdraw === true })
  if (status !== exit.ok) io.stderr.write(`${lines.join('\n')}\n`)
  else io.stdout.write(json ? `${JSON.stringify(data, undefined, 2)}\n` : `${lines.join('\n')}\n`)
  return status
}

function ringOf(given: string, io: Io): Ring | undefined {
  const config = readConfig(given, io)
  return config && { file: config.keys.file, absolute: config.session.absolute }
}

interface Outcome {
  readonly status?: number
  readonly lines: readonly string[]
  readonly data?: object
}

const actions = {
  generate({ file }: Ring): Outcome {
    const key = newRingKey(Date.now())
    if (!createKeyFile(file, [key]))
      return { status: exit.failed, lines: [`coatcheck keys: ${file} is there already; rotate adds a key to it`] }
    return { lines: [`${file}: a new key ring with the key ${key.id}`], data: { file, key: shown(key) } }
  },

  rotate({ file, absolute }: Ring, { retire, withdraw }: { retire: boolean; withdraw: boolean }): Outcome {
    const options = retire && absolute !== undefined ? { retire: { absolute } } : {}
    const { added, retired } = rotateKeyFile(file, { now: Date.now(), withdraw, ...options })
    return {
      lines: [
        `${file}: ${added.id} seals from now on; running gateways take it up by themselves`,
        ...(withdraw ? [`${file}: ${added.id} signs from now on; what other keys signed is believed no more`] : []),
        ...retired.map(({ id }) => `${file}: ${id} is retired`),
        ...(retire && retired.length === 0 ? [`${file}: no key can be retired yet; list says when one can`] : []),
      ],
      data: { file, added: shown(added), retired: retired.map(shown) },
    }
  },

  list({ file, absolute }: Ring): Outcome {
    const keys = readKeyFile(file)
    const { signs, published } = signingSchedule(keys, Date.now())
    const signingOf = (key: RingKey) => (key === signs ? 'signs' : published.includes(key) ? 'published' : 'over')
    const rows = keys.map((key) => ({
      ...shown(key),
      state: key === keys.at(-1) ? 'seals' : 'opens',
      signing: signingOf(key),
      ...(absolute !== undefined && { retirable: retirable(keys, key, { now: Date.now(), absolute }) }),
    }))
    const lines = rows.map((row) => {
      const note = row.signing === 'over' ? row.state : `${row.state}, ${row.signing}`
      return `${row.id}  ${row.createdAt}  ${row.retirable ? `${note}; rotate --retire drops it` : note}`
    })
    return { lines, data: { file, keys: rows } }
  },
} as const

function shown({ id, createdAt }: RingKey): { id: string; createdAt: string } {
  return { id, createdAt }
}
