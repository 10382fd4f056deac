import { printable } from '../protocol/printable.ts'
import type { DescribedSession } from '../session/all-sessions.ts'

const columns: readonly { readonly head: string; of(session: DescribedSession): string }[] = [
  { head: 'ID', of: ({ id }) => id },
  { head: 'USER', of: ({ user }) => user },
  { head: 'PROVIDER', of: ({ provider }) => provider },
  { head: 'SIGNED IN', of: ({ createdAt }) => minute(createdAt) },
  { head: 'LAST SEEN', of: ({ lastSeenAt }) => minute(lastSeenAt) },
  { head: 'ADDRESS', of: ({ address }) => address },
  { head: 'DEVICE', of: ({ device }) => device },
]

/** Lines for a terminal: the head once, columns as wide as the first page needs. */
export function createTable(): (page: readonly DescribedSession[]) => string {
  let widths: readonly number[] | undefined
  return (page) => {
    if (page.length === 0) return ''
    // Names and devices come from outside: nothing in them may move the cursor or change a colour.
    const rows = page.map((session) => columns.map((column) => printable(column.of(session), 60)))
    const heads = columns.map(({ head }) => head)
    const all = widths === undefined ? [heads, ...rows] : rows
    widths ??= columns.map((_, at) => Math.max(...all.map((row) => row[at]?.length ?? 0)))
    return (
      all.map((row) => `${row.map((cell, at) => cell.padEnd(widths?.[at] ?? 0)).join('  ')}`.trimEnd()).join('\n') +
      '\n'
    )
  }
}

/** `2026-11-26 03:31Z` */
function minute(iso: string): string {
  return `${iso.slice(0, 16).replace('T', ' ')}Z`
}
