import { stampOf } from '../config/file-stamp.ts'

export type Stamps = ReadonlyMap<string, string | undefined>

export interface FileWatch {
  /** Looks at these files from now on; what they were like when they were read. */
  follow(stamps: Stamps): void
  close(): void
}

/** Milliseconds between two looks. What changed is told once it has stayed the same for one look: nobody reads half a file. */
export const lookEvery = 500

/**
 * Tells of files that change. It looks at them by name, through all symbolic links, instead of asking the system for events:
 * those are of one inode, and are lost when an editor puts another file in its place, when Kubernetes or certbot swap a
 * link on the way to it, and on network file systems. Ten looks cost some tens of microseconds.
 */
export function watchFiles(changed: () => void): FileWatch {
  let told: Stamps = new Map()
  let seen = told

  function look(): void {
    const now = new Map(Array.from(told.keys(), (file) => [file, stampOf(file)]))
    const settled = isSame(now, seen)
    seen = now
    if (!settled || isSame(now, told)) return
    told = now
    changed()
  }

  const timer = setInterval(look, lookEvery)
  timer.unref()
  return {
    follow(stamps) {
      told = stamps
      seen = stamps
    },
    close: () => clearInterval(timer),
  }
}

function isSame(one: Stamps, other: Stamps): boolean {
  return one.size === other.size && [...one].every(([file, stamp]) => other.get(file) === stamp)
}
