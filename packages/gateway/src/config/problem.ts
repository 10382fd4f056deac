import type { Path } from './review.ts'

/** Something wrong in a configuration file, where it stands, and what to write instead. Never contains a secret. */
export interface Problem {
  readonly file: string
  /** From 1. For a missing key: the line of what it is missing from. */
  readonly line: number
  /** `routes[2].access`; empty for the file as a whole. */
  readonly path: string
  readonly message: string
}

/** `coatcheck.yaml:12: routes[2].access: is missing; …` */
export function formatProblem({ file, line, path, message }: Problem): string {
  return path === '' ? `${file}:${line}: ${message}` : `${file}:${line}: ${path}: ${message}`
}

/** `routes[2].access`; keys that are not plain names stand in brackets, encoded, so that they can't forge a line. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`
    if (!/^[\w$-]+$/.test(key) || key.length > 80) return `${text}[${quote(key)}]`
    return text === '' ? key : `${text}.${key}`
  }, '')
}

function quote(key: string): string {
  const text = JSON.stringify(key.length > 80 ? `${key.slice(0, 80)}…` : key)
  // JSON leaves these raw; terminals and log viewers may take them for line ends or commands.
  return text.replace(/[\u007f-\u009f\u2028-\u202e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
