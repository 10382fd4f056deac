import { spawnSync } from 'node:child_process'

/** Installs a Debian package where we may: as root, or by a sudo that asks nothing. False if that is not so, or it failed. */
export function installByApt(name: string, say: (line: string) => void): boolean {
  if (!succeeds('apt-get', ['--version'])) return false
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n', 'DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1']
  if (sudo.length > 0 && !succeeds('sudo', ['-n', 'true'])) return false
  say(`Installing: apt-get install -y --no-install-recommends ${name}`)
  const apt = (...args: string[]) => {
    // Another test may be installing something at the same moment.
    const [command = 'apt-get', ...rest] = [...sudo, 'apt-get', '-q', '-o', 'DPkg::Lock::Timeout=120', ...args]
    return succeeds(command, rest)
  }
  const install = ['install', '-y', '--no-install-recommends', name]
  return apt(...install) || (apt('update') && apt(...install))
}

/** Runs a command; true if it ends with 0. */
export function succeeds(command: string, args: readonly string[]): boolean {
  // RUNLEVEL: a server's package must not start the server on its usual port.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  return spawnSync(command, args, { stdio: 'ignore', env, timeout: 300_000 }).status === 0
}
