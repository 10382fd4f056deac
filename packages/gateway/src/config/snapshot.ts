import { stampOf } from './file-stamp.ts'
import { type Loaded, loadConfig } from './load.ts'
import { type Environment, readText } from './surroundings.ts'

/** Texts by path. */
export type Files = ReadonlyMap<string, string>
export type ReadFile = (path: string) => string

/** A configuration with all that it was made of: secrets, certificates and keys in files included. */
export interface Snapshot {
  readonly loaded: Loaded
  readonly files: Files
  /** Of every file that was asked for, from just before it was read: a later change shows. Undefined: it was not there. */
  readonly stamps: ReadonlyMap<string, string | undefined>
}

/** Reads a configuration, each file once: what was judged to be right is what is used, whatever happens on the disk meanwhile. */
export function readSnapshot(file: string, env: Environment): Snapshot {
  const files = new Map<string, string>()
  const stamps = new Map<string, string | undefined>()
  const readFile = (path: string): string => {
    const known = files.get(path)
    if (known !== undefined) return known
    stamps.set(path, stampOf(path))
    const text = readText(path)
    files.set(path, text)
    return text
  }
  const loaded = loadConfig(file, { env, readFile })
  // Read later, and too large to be kept as text.
  const places = loaded.config?.watch.geo?.file
  if (places !== undefined) stamps.set(places, stampOf(places))
  return { loaded, files, stamps }
}

/** Reads what a snapshot holds; anything else from the disk. */
export function readerOf(files: Files): ReadFile {
  return (path) => files.get(path) ?? readText(path)
}
