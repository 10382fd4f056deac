import type { Io } from './options.ts'
import { type Columns, createTable } from './table.ts'

export interface Listing<Row> {
  /** What is listed: the name in JSON, and in the line that says that there are none. */
  readonly name: string
  readonly columns: Columns<Row>
  readonly json: boolean
}

/** A table to read, or JSON to process. Written as it comes: however many rows there are, a page of them is in memory. */
export async function writeListing<Row>(
  pages: AsyncIterable<readonly Row[]>,
  { name, columns, json }: Listing<Row>,
  io: Io,
): Promise<void> {
  const table = createTable(columns)
  let count = 0
  if (json) io.stdout.write(`{"${name}":[`)
  for await (const page of pages) {
    if (json) io.stdout.write(page.map((row, at) => `${count + at > 0 ? ',' : ''}\n${JSON.stringify(row)}`).join(''))
    else io.stdout.write(table(page))
    count += page.length
  }
  if (json) io.stdout.write(count === 0 ? ']}\n' : '\n]}\n')
  else if (count === 0) io.stdout.write(`no ${name}\n`)
}
