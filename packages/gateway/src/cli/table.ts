import { printable } from '../protocol/printable.ts'

export type Columns<Row> = readonly { readonly head: string; of(row: Row): string }[]

/** Lines for a terminal: the head once, columns as wide as the first page needs. */
export function createTable<Row>(columns: Columns<Row>): (page: readonly Row[]) => string {
  let widths: readonly number[] | undefined
  return (page) => {
    if (page.length === 0) return ''
    // Names and devices come from outside: nothing in them may move the cursor or change a colour.
    const rows = page.map((row) => columns.map((column) => printable(column.of(row), 60)))
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
export function minute(iso: string): string {
  return `${iso.slice(0, 16).replace('T', ' ')}Z`
}
