import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type YAMLError,
} from 'yaml'
import { formatPath } from './problem.ts'
import type { Path } from './review.ts'

/** A YAML file as plain data that remembers its lines. */
export interface ConfigDocument {
  /** Undefined if the text is not YAML at all. */
  readonly data: unknown
  readonly faults: readonly Fault[]
  /** The line (from 1) of a key or list item; of the nearest one above it if there is none. */
  lineOf(path: Path): number
}

interface Fault {
  readonly path: Path
  readonly line: number
  readonly message: string
}

/** Far above any real configuration; below what aliases of aliases ("a billion laughs") or endless nesting would need. */
const limits = { characters: 1_000_000, values: 20_000, depth: 40 }

/** These names reach into every object of JavaScript. */
const refusedKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/** Reads the text of a configuration. Never throws. */
export function readDocument(text: string): ConfigDocument {
  const lines = new Map<string, number>()
  const lineOf = (path: Path): number => {
    for (let length = path.length; length >= 0; length--) {
      const line = lines.get(formatPath(path.slice(0, length)))
      if (line !== undefined) return line
    }
    return 1
  }
  const unreadable = (...faults: Fault[]): ConfigDocument => ({ data: undefined, faults, lineOf })
  if (text.length > limits.characters) return unreadable({ path: [], line: 1, message: 'the file is too large' })

  const counter = new LineCounter()
  const lineAt = (offset: number | undefined) => Math.max(1, counter.linePos(offset ?? 0).line)
  let document: Document.Parsed
  try {
    document = parseDocument(text, {
      lineCounter: counter,
      logLevel: 'error', // 'silent' would hide that there are several documents; nothing is printed either way
      prettyErrors: false,
      schema: 'core',
      uniqueKeys: false, // told below, with path and both lines
    })
  } catch {
    return unreadable({ path: [], line: 1, message: 'the file is nested too deeply' })
  }
  if (document.errors.length > 0) {
    return unreadable(
      ...document.errors.map((error) => ({ path: [], line: lineAt(error.pos[0]), message: describe(error) })),
    )
  }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    return unreadable({
      path: [],
      line: 1,
      message: 'the file is empty; a configuration has at least origin, listen, providers and routes',
    })
  }

  const faults: Fault[] = document.warnings.map((warning) => ({
    path: [],
    line: lineAt(warning.pos[0]),
    message: describe(warning),
  }))
  const data = toPlain(document, { lines, lineAt, faults })
  return { data, faults, lineOf }
}

interface Notes {
  readonly lines: Map<string, number>
  readonly lineAt: (offset: number | undefined) => number
  readonly faults: Fault[]
}

function toPlain(document: Document.Parsed, { lines, lineAt, faults }: Notes): unknown {
  let values = 0

  function convert(node: ParsedNode | null, path: Path): unknown {
    values += 1
    if (values > limits.values || path.length > limits.depth) {
      const line = lineAt(node?.range?.[0])
      if (values !== Number.POSITIVE_INFINITY)
        faults.push({ path: [], line, message: 'the file has too many values or is nested too deeply' })
      values = Number.POSITIVE_INFINITY
      return undefined
    }
    if (isAlias(node)) {
      const target = node.resolve(document)
      if (!target) faults.push({ path, line: lineAt(node.range?.[0]), message: messages.BAD_ALIAS ?? '' })
      return convert((target ?? null) as ParsedNode | null, path)
    }
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        const at = [...path, index]
        lines.set(formatPath(at), lineAt((item as ParsedNode).range?.[0]))
        return convert(item as ParsedNode, at)
      })
    }
    if (!isMap(node)) return isScalar(node) ? node.value : null

    const result: Record<string, unknown> = {}
    for (const { key, value } of node.items) {
      const keyNode = key as ParsedNode | null
      const line = lineAt(keyNode?.range?.[0] ?? node.range?.[0])
      if (!isScalar(keyNode) || keyNode.value === null || typeof keyNode.value === 'object') {
        faults.push({ path, line, message: 'a key must be plain text' })
        continue
      }
      const name = String(keyNode.value)
      const at = [...path, name]
      if (refusedKeys.has(name)) {
        faults.push({ path: at, line, message: 'this name cannot be a key; choose another' })
      } else if (Object.hasOwn(result, name)) {
        const first = lines.get(formatPath(at)) ?? line
        faults.push({ path: at, line, message: `is there twice (first on line ${first}); remove one` })
      } else {
        lines.set(formatPath(at), line)
        result[name] = convert(value as ParsedNode | null, at)
      }
    }
    return result
  }

  lines.set('', lineAt(document.contents?.range?.[0]))
  return convert(document.contents, [])
}

/** In our words: the parser's messages quote the text, and the text may be a secret. */
function describe({ code }: YAMLError): string {
  return messages[code] ?? 'is not valid YAML'
}

const messages: Partial<Record<YAMLError['code'], string>> = {
  BAD_ALIAS: 'an alias (*name) has no anchor (&name) before it; put text that starts with * in quotes',
  BAD_DQ_ESCAPE: 'an escape in double quotes is not valid; use single quotes',
  BAD_INDENT: 'is not valid YAML: the indentation does not fit the lines around it, or a bracket above is not closed',
  BAD_SCALAR_START: 'is not valid YAML: put text that starts with @ or ` in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'is not valid YAML: two keys on one line, or a line that is not indented enough',
  BLOCK_IN_FLOW: 'is not valid YAML: a bracket above is not closed',
  MISSING_CHAR: 'is not valid YAML: a quote, bracket, comma or colon is missing',
  MULTILINE_IMPLICIT_KEY: 'is not valid YAML: a colon is missing after the key',
  MULTIPLE_DOCS: 'only one document may be in the file; remove the --- line',
  TAB_AS_INDENT: 'is not valid YAML: indent with spaces, not with tabs',
  TAG_RESOLVE_FAILED: 'tags (!name) are not supported; remove it',
}
