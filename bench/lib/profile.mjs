// Reads what `node --cpu-prof` wrote: own time by function, in µs for each request.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const profileArguments = (folder) => ['--cpu-prof', '--cpu-prof-interval', '250', '--cpu-prof-dir', folder]

/** Functions by own time, most first: [{ place, microseconds }]. `span` is the part of the profile that counts, in µs. */
export function ownTimes(folder) {
  const file = readdirSync(folder).find((name) => name.endsWith('.cpuprofile'))
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(folder, file), 'utf8'))
  const placeOf = new Map(nodes.map((node) => [node.id, place(node.callFrame)]))
  const times = new Map()
  samples.forEach((id, i) => {
    const where = placeOf.get(id)
    times.set(where, (times.get(where) ?? 0) + timeDeltas[i])
  })
  times.delete('(idle)')
  return [...times]
    .map(([where, microseconds]) => ({ where, microseconds }))
    .sort((a, b) => b.microseconds - a.microseconds)
}

function place({ functionName, url, lineNumber }) {
  if (url === '') return functionName || '(anonymous)'
  const file = url.replace(/^.*\/node_modules\//, '').replace(/^.*\/packages\/gateway\/dist\//, 'gateway/')
  return `${functionName || '(anonymous)'} ${file.replace(/^.*\/bench\//, 'bench/')}:${lineNumber + 1}`
}

/** Whose code a place is in. */
export function partOf(where) {
  if (where.includes(' gateway/')) return 'gateway'
  if (where.includes(' undici/')) return 'undici'
  if (where.includes(' node:')) return 'node'
  if (where.includes(' lmdb/') || where.includes(' msgpackr/') || where.includes(' ordered-binary/')) return 'lmdb'
  if (where.startsWith('(garbage')) return 'garbage collection'
  if (where.startsWith('(program')) return 'native (system calls, llhttp)'
  return 'native calls'
}
