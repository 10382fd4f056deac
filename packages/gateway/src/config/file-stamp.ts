import { statSync } from 'node:fs'

/**
 * Changes with every change of a file: of its content, its mode or its owner, and when another one takes its place by rename
 * or by a symbolic link anywhere on the way to it. Undefined if it is not there, or can't be looked at.
 */
export function stampOf(file: string): string | undefined {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(file, { bigint: true })
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`
  } catch {
    return undefined
  }
}
