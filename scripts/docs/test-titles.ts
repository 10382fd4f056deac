import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import ts from 'typescript'

export interface TestTitle {
  /** Relative to the repository, with `/`. */
  readonly file: string
  readonly title: string
}

/** The titles of all tests that really run: skipped ones and plans are left out. */
export function testTitles(root: string): TestTitle[] {
  const packages = readdirSync(join(root, 'packages'))
  return packages
    .flatMap((name) => testFiles(root, `packages/${name}/test`))
    .toSorted()
    .flatMap((file) => titlesIn(readFileSync(join(root, file), 'utf8')).map((title) => ({ file, title })))
}

/** Shared suites, such as the contract of the stores, are ordinary files beside the tests that call them. */
function testFiles(root: string, folder: string): string[] {
  try {
    return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name.split(sep).join('/')}`)
  } catch {
    return []
  }
}

/** The titles in the text of a test file: `test('…')`, `it.each(…)('…')`. */
export function titlesIn(text: string): string[] {
  const titles: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node)) {
      const [first] = node.arguments
      const title = first === undefined ? undefined : literal(first)
      const callee = calleeOf(node.expression)
      if (callee?.skipped) return
      if (title !== undefined && callee?.kind === 'test') titles.push(title)
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('test.ts', text, ts.ScriptTarget.Latest))
  return titles
}

function literal(node: ts.Expression): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text
  // `ST1 ${name}`: what is fixed, with … for the rest.
  return ts.isTemplateExpression(node)
    ? node.head.text + node.templateSpans.map((span) => `…${span.literal.text}`).join('')
    : undefined
}

/** `test`, `it` or `describe`, however many `.each(…)` and `.skip` hang on it. */
function calleeOf(node: ts.Expression): { kind: 'test' | 'describe'; skipped: boolean } | undefined {
  if (ts.isCallExpression(node)) return calleeOf(node.expression)
  if (ts.isPropertyAccessExpression(node)) {
    const inner = calleeOf(node.expression)
    return inner && { ...inner, skipped: inner.skipped || ['skip', 'todo', 'fails'].includes(node.name.text) }
  }
  if (!ts.isIdentifier(node)) return undefined
  if (node.text === 'test' || node.text === 'it') return { kind: 'test', skipped: false }
  return node.text === 'describe' ? { kind: 'describe', skipped: false } : undefined
}
