import { generated, table } from './markdown.ts'
import type { TestTitle } from './test-titles.ts'

/** Section → row id → what is promised: docs/requirements.json. */
export type Requirements = Readonly<Record<string, Readonly<Record<string, string>>>>

/**
 * docs/requirements.md: which test shows which promise.
 * @throws Error for a title whose id is mistyped: it looks like one of ours and isn't
 */
export function requirementsPage(requirements: Requirements, tests: readonly TestTitle[]): string {
  const ids = Object.values(requirements).flatMap((rows) => Object.keys(rows))
  const known = new Set(ids)
  const families = new Set(ids.map((id) => id.slice(0, 2)))
  const shown = new Map<string, TestTitle[]>()
  for (const test of tests) {
    for (const id of idsOf(test.title)) {
      if (known.has(id)) shown.set(id, [...(shown.get(id) ?? []), test])
      else if (families.has(id.slice(0, 2)))
        throw new Error(`${test.file}: there is no requirement ${id}: ${test.title}`)
    }
  }

  const sections = Object.entries(requirements).map(([title, rows]) => {
    const lines = Object.entries(rows).map(([id, promise]) => [id, promise, cell(shown.get(id) ?? [])])
    return `## ${title}\n\n${table(['id', 'promise', 'shown by'], lines)}`
  })
  return `${generated('docs/requirements.json and the titles of the tests')}

# Requirements

Each row is a promise. A row is kept when a test carries its id at the beginning of its title; "not yet" is what it says.
${ids.filter((id) => shown.has(id)).length} of ${ids.length} rows have a test.

${sections.join('\n\n')}
`
}

/** The ids that a title starts with: `CK1 …`, `CK1, CK2: …`, `PX1 PX6 …`. */
export function idsOf(title: string): string[] {
  const start = /^(?:[A-Z]{2}\d{1,2}\b[\s,:·+&/]*)+/.exec(title)?.[0] ?? ''
  return start.match(/[A-Z]{2}\d{1,2}/g) ?? []
}

function cell(tests: readonly TestTitle[]): string {
  if (tests.length === 0) return 'not yet'
  return tests.map(({ file, title }) => `[${plain(title)}](../${file})`).join('<br>')
}

/** A title as plain text in Markdown. */
function plain(title: string): string {
  return title.replace(/[\\`*_{}[\]<>]/g, '\\$&')
}
