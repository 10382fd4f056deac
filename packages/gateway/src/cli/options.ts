import { type ParseArgsConfig, parseArgs } from 'node:util'
import { nearest } from '../config/explain.ts'

/** What a command gets from the outside; tests give their own. */
export interface Io {
  /** For what is read from `-`. */
  readonly stdin?: AsyncIterable<Buffer | string>
  readonly stdout: { write(text: string): unknown }
  readonly stderr: { write(text: string): unknown }
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absolute: relative paths on the command line start here. */
  readonly cwd: string
}

/** Exit statuses, the same for every command. */
export const exit = { ok: 0, failed: 1, usage: 2 } as const

export interface OptionSpec {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  /** One line for `--help`. */
  readonly help: string
  /** What stands for the value in `--help`, such as FILE. */
  readonly value?: string
  readonly default?: string
}

export interface CommandSpec<Options extends Readonly<Record<string, OptionSpec>>> {
  readonly name: string
  readonly summary: string
  /** Names of the operands, as in the usage line: `METHOD URL`. Each is required. */
  readonly operands?: readonly string[]
  /** Operands that may follow, such as `ID`. */
  readonly optional?: readonly string[]
  readonly options: Options
}

/** `-c FILE`, shared by the commands that read the configuration. */
export const configOption = {
  type: 'string',
  short: 'c',
  value: 'FILE',
  default: 'coatcheck.yaml',
  help: 'the configuration',
} as const satisfies OptionSpec

export const jsonOption = { type: 'boolean', help: 'print JSON' } as const satisfies OptionSpec

const helpOption = { type: 'boolean', short: 'h', help: 'show this' } as const satisfies OptionSpec

type Values<Options extends Readonly<Record<string, OptionSpec>>> = {
  readonly [Name in keyof Options]:
    | (Options[Name]['type'] extends 'boolean' ? boolean : string)
    | (Options[Name] extends { readonly default: string } ? never : undefined)
}

export type Parsed<Options extends Readonly<Record<string, OptionSpec>>> =
  | { readonly values: Values<Options>; readonly operands: readonly string[] }
  /** Help was shown, or the usage was wrong and that was said: the command ends with this status. */
  | { readonly status: number }

/** Reads the arguments of a command; answers `--help` and wrong usage itself. */
export function readOptions<const Options extends Readonly<Record<string, OptionSpec>>>(
  command: CommandSpec<Options>,
  args: readonly string[],
  io: Pick<Io, 'stdout' | 'stderr'>,
): Parsed<Options> {
  const options: Record<string, OptionSpec> = { ...command.options, help: helpOption }
  const wrong = (message: string) => {
    io.stderr.write(`coatcheck ${command.name}: ${message}; see coatcheck ${command.name} --help\n`)
    return { status: exit.usage }
  }

  const tokens = parseArgs({
    args: [...args],
    options: forNode(options),
    strict: false,
    tokens: true,
    allowPositionals: true,
  })
  if (tokens.values.help === true) {
    io.stdout.write(usage(command))
    return { status: exit.ok }
  }
  // Checked here rather than by Node, whose messages would be several lines long.
  for (const token of tokens.tokens) {
    if (token.kind !== 'option') continue
    const spec = Object.hasOwn(options, token.name) ? options[token.name] : undefined
    if (!spec) {
      const near = nearest(token.name, Object.keys(options))
      return wrong(`unknown option ${printable(token.rawName)}${near === undefined ? '' : `, did you mean --${near}?`}`)
    }
    if (spec.type === 'boolean' && token.value !== undefined) return wrong(`--${token.name} takes no value`)
    if (spec.type === 'string' && !token.value) return wrong(`--${token.name} needs a value`)
  }
  const expected = command.operands ?? []
  const most = expected.length + (command.optional?.length ?? 0)
  if (tokens.positionals.length > most) {
    return wrong(`unexpected argument ${printable(tokens.positionals[most] ?? '')}`)
  }
  if (tokens.positionals.length < expected.length) return wrong(`${expected[tokens.positionals.length]} is missing`)
  return { values: tokens.values as Values<Options>, operands: tokens.positionals }
}

/** The text of `--help`. */
export function usage(command: CommandSpec<Readonly<Record<string, OptionSpec>>>): string {
  const options = Object.entries<OptionSpec>({ ...command.options, help: helpOption })
  const rows = options.map(([name, { short, value, help, default: preset }]) => {
    const left = `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
    return { left, right: preset === undefined ? help : `${help} (default: ${preset})` }
  })
  const width = Math.max(...rows.map(({ left }) => left.length))
  const optional = (command.optional ?? []).map((name) => `[${name}]`)
  const operands = [...(command.operands ?? []), ...optional].map((name) => ` ${name}`).join('')
  return [
    `Usage: coatcheck ${command.name}${operands} [options]`,
    '',
    command.summary,
    '',
    ...rows.map(({ left, right }) => `  ${left.padEnd(width)}  ${right}`),
    '',
  ].join('\n')
}

function forNode(options: Record<string, OptionSpec>): NonNullable<ParseArgsConfig['options']> {
  return Object.fromEntries(
    Object.entries(options).map(([name, { type, short, default: preset }]) => [
      name,
      { type, ...(short !== undefined && { short }), ...(preset !== undefined && { default: preset }) },
    ]),
  )
}

/** Arguments may hold anything; what goes to a terminal is one line. */
function printable(text: string): string {
  return text.length <= 80 && /^[\x21-\x7e]+$/.test(text) ? text : JSON.stringify(text.slice(0, 80))
}
