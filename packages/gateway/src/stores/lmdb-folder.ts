import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/**
 * Makes the folder ready for LMDB, or says what is wrong with it. These checks come first because LMDB's own are
 * fatal: on a data file that is not one, or a full disk at creation, lmdb-js 3.5 ends the process by a segmentation fault.
 */
export function prepareFolder(path: string): void {
  try {
    makeFolder(resolve(path))
    if (!statSync(path).isDirectory()) throw new Error('it is not a folder')
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK)
    const file = join(path, 'data.mdb')
    if (existsSync(file) && statSync(file).size > 0) checkFile(file)
    else assertSpace(path, 'grow', () => 0)
  } catch (cause) {
    throw new Error(`The session store can not be opened at ${path}: ${(cause as Error).message}`, { cause })
  }
}

/** Which file is at the path now. It changes when the folder is deleted or replaced under a running gateway. */
export function fileIdentity(path: string): string {
  const { dev, ino } = statSync(join(path, 'data.mdb'))
  return `${dev}:${ino}`
}

/** Step by step rather than `recursive`, which never returns on some file systems (/proc) in Node 20. */
function makeFolder(path: string): void {
  if (existsSync(path)) return
  makeFolder(dirname(path))
  try {
    mkdirSync(path, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error // another process of ours was first
  }
}

/** A page's head (24 bytes), then LMDB's magic number in the machine's byte order. */
function checkFile(file: string): void {
  accessSync(file, constants.R_OK | constants.W_OK)
  const descriptor = openSync(file, 'r')
  try {
    const start = new Uint32Array(7)
    const read = readSync(descriptor, start, 0, start.byteLength, 0)
    if (read < start.byteLength || start[6] !== 0xbeefc0de) throw new Error('data.mdb is not an LMDB file')
  } finally {
    closeSync(descriptor)
  }
}

/** Bytes that must be free. The difference is kept so that sessions can still be ended when nothing more can be stored. */
const space = { grow: 8 * 2 ** 20, shrink: 2 ** 20 }

/**
 * Refuses a write while there is room to refuse it: after a few failed writes on a full disk lmdb-js 3.5 corrupts its
 * heap and the process aborts. Costs 2 µs. A disk quota or a failing disk is not seen here and meets LMDB's own error.
 * `reusable` tells how many bytes within the data file are free, for the file never shrinks; asked only in need.
 */
export function assertSpace(path: string, purpose: keyof typeof space, reusable: () => number): void {
  const { bavail, bsize } = statfsSync(path)
  const free = bavail * bsize
  if (free >= space[purpose] || (free >= space.shrink && free + reusable() >= space[purpose])) return
  throw new Error(`only ${free} bytes of disk space are left, ${space[purpose]} are needed`)
}

/** What lmdb-js's `getStats` answers, as far as it is read here. */
export interface PageCounts {
  readonly treeBranchPageCount: number
  readonly treeLeafPageCount: number
  readonly overflowPages: number
}
export interface DatabaseStats extends PageCounts {
  readonly pageSize: number
  readonly lastPageNumber: number
  readonly root: PageCounts
  readonly free: PageCounts
}

/** Bytes of the data file that no database uses: all pages, less the two head pages and every tree's. */
export function unusedBytes(databases: readonly DatabaseStats[]): number {
  const [first] = databases
  if (!first) return 0
  const used = [...databases, first.root, first.free].reduce(
    (sum, pages) => sum + pages.treeBranchPageCount + pages.treeLeafPageCount + pages.overflowPages,
    2,
  )
  return (first.lastPageNumber + 1 - used) * first.pageSize
}
