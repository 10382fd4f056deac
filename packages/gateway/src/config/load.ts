import { dirname, resolve } from 'node:path'
import { readDocument } from './document.ts'
import { explain, word } from './explain.ts'
import { findPlanned } from './planned.ts'
import { formatPath, type Problem } from './problem.ts'
import type { Path } from './review.ts'
import { type Config, createConfigSchema } from './schema.ts'
import { createSurroundings, type Environment, readText, reason } from './surroundings.ts'

export type Loaded = Usable | Broken

interface Usable {
  readonly config: Config
  /** What works, and still deserves a look. */
  readonly warnings: readonly Problem[]
  /** The line (from 1) of a key, for what is found out later. */
  lineOf(path: Path): number
}

interface Broken {
  readonly config?: never
  /** All of them at once, in the order of the file. */
  readonly problems: readonly Problem[]
}

interface LoadOptions {
  readonly env: Environment
  /** Reads the configuration, secret files and TLS files. */
  readonly readFile?: (path: string) => string
}

/**
 * Reads, validates and resolves a configuration file. Never throws for what is in the file.
 * @param file as the operator wrote it: problems name it so, and relative paths inside start at its folder
 */
export function loadConfig(file: string, { env, readFile = readText }: LoadOptions): Loaded {
  let text: string
  try {
    text = readFile(file)
  } catch (error) {
    return {
      problems: [{ file, line: 1, path: '', message: `cannot be read: ${reason(error)}; name another with -c FILE` }],
    }
  }

  const document = readDocument(text)
  const place = (path: Path, message: string, line = document.lineOf(path)): Problem => ({
    file,
    line,
    path: formatPath(path),
    message,
  })
  const problems = document.faults.map((fault) => place(fault.path, fault.message, fault.line))
  if (document.data === undefined) return { problems: inOrder(problems) }

  const planned = findPlanned(document.data)
  problems.push(...planned.map(({ path, message }) => place(path, message)))

  const surroundings = { env, readFile, folder: dirname(resolve(file)) }
  const review = (warn: boolean) => {
    const schema = createConfigSchema(createSurroundings({ ...surroundings, warn }))
    const parsed = schema.safeParse(document.data, { error: word })
    const remarks = explain(parsed.error?.issues ?? [], document.data, schema)
      .filter(({ path }) => !planned.some(({ covers }) => covers.every((key, i) => key === path[i])))
      .map(({ other, message, ...remark }) => ({
        ...remark,
        message: other ? `${message} (line ${document.lineOf(other)})` : message,
      }))
    return { config: parsed.data, remarks }
  }

  const { config, remarks } = review(false)
  problems.push(...remarks.map(({ path, message }) => place(path, message)))
  if (config === undefined || problems.length > 0) return { problems: inOrder(problems) }

  const warnings = review(true).remarks.filter(({ warning }) => warning)
  return {
    config,
    warnings: inOrder(warnings.map(({ path, message }) => place(path, message))),
    lineOf: document.lineOf,
  }
}

function inOrder(problems: readonly Problem[]): Problem[] {
  return problems.toSorted((a, b) => a.line - b.line)
}
