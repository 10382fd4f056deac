// The parts that are not in the root's node_modules: found, installed where that is allowed, or named.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

export const benchFolder = join(import.meta.dirname, '..')
export const rootFolder = join(benchFolder, '..')

/** A peer that can not be measured here: the message is one line and becomes its row in the table. */
export class Missing extends Error {}

const triedPackages = new Set()
let listsUpdated = false

/** Answers the path of the first file that exists; else installs the Debian packages if root, else throws Missing. */
export function debianPart(files, packages) {
  const found = () => files.find(existsSync)
  if (found()) return found()
  const wanted = packages.join(' ')
  if (process.getuid() === 0 && existsSync('/usr/bin/apt-get') && !triedPackages.has(wanted)) {
    triedPackages.add(wanted)
    try {
      const quiet = { stdio: 'ignore', env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }
      if (!listsUpdated) execFileSync('apt-get', ['update', '-qq'], quiet)
      listsUpdated = true
      execFileSync('apt-get', ['install', '-y', '--no-install-recommends', ...packages], quiet)
    } catch {
      // Reported below: the file is still not there.
    }
    if (found()) return found()
  }
  throw new Missing(`install it: apt-get install --no-install-recommends ${wanted}`)
}

/** Installs the peers' npm packages by bench's own lockfile, unless they are there and not older than it. */
export function npmPart() {
  const done = join(benchFolder, 'node_modules/.package-lock.json')
  const lock = join(benchFolder, 'package-lock.json')
  if (existsSync(done) && statSync(done).mtimeMs >= statSync(lock).mtimeMs) return
  try {
    execFileSync('npm', ['ci', '--prefix', benchFolder, '--no-audit', '--no-fund'], { stdio: 'ignore' })
  } catch {
    throw new Missing('install it: npm ci --prefix bench')
  }
}

/** The version of an npm package as installed for the gateway or for the peers. */
export function npmVersion(name) {
  for (const folder of [benchFolder, join(rootFolder, 'packages/gateway'), rootFolder]) {
    const file = join(folder, 'node_modules', name, 'package.json')
    if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')).version
  }
  return undefined
}

/** The first version number that a program prints, wherever it prints it; undefined where it is not installed. */
export function programVersion(command, args) {
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  return /\d+\.\d+(?:\.\d+)*/.exec(`${stdout}${stderr}`)?.[0]
}
