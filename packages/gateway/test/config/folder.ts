import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import type { Config } from '../../src/config/schema.ts'

export interface ConfigFolder {
  readonly path: string
  /** Absolute path of a file in it. */
  at(name: string): string
  [Symbol.dispose](): void
}

/** A folder with these files, and `public/index.html`. Secrets are private unless a test says otherwise. */
export function configFolder(files: Readonly<Record<string, string>> = {}): ConfigFolder {
  const path = mkdtempSync(join(tmpdir(), 'coatcheck-config-'))
  for (const [name, text] of Object.entries({ 'public/index.html': '<!doctype html>', ...files })) {
    mkdirSync(dirname(join(path, name)), { recursive: true })
    writeFileSync(join(path, name), text, { mode: 0o600 })
  }
  return {
    path,
    at: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  }
}

/** All that a first application needs: ten lines. */
export const minimal = `origin: https://app.example.com
listen: { port: 8080 }
providers:
  corp:
    issuer: https://idp.example.com
    clientId: web
    clientSecret: { env: CLIENT_SECRET }
routes:
  - { path: /api/*, upstream: "http://127.0.0.1:3000", access: authenticated }
  - { path: /*, static: ./public, access: public }
`

export const env = { CLIENT_SECRET: 'Zm9yIHRlc3Rz' }

/** `minimal` with other sections: a key given here replaces the whole section of that name, undefined removes it. */
export function variant(sections: Readonly<Record<string, unknown>>): string {
  const base = {
    origin: 'https://app.example.com',
    listen: { port: 8080 },
    providers: { corp },
    routes: [{ path: '/api/*', upstream: 'http://127.0.0.1:3000', access: 'authenticated' }],
  }
  return JSON.stringify({ ...base, ...sections }, undefined, 1)
}

export const corp = { issuer: 'https://idp.example.com', clientId: 'web', clientSecret: { env: 'CLIENT_SECRET' } }

/** One more route than nothing, with these keys. */
export function route(keys: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { path: '/api/*', upstream: 'http://127.0.0.1:3000', access: 'authenticated', ...keys }
}

/** Loads a text, as `c.yaml` of a folder; the printed lines, without the folder. */
export function problemsOf(text: string, files: Readonly<Record<string, string>> = {}): string[] {
  using folder = configFolder({ ...files, 'c.yaml': text })
  const loaded = loadConfig(folder.at('c.yaml'), { env })
  return (loaded.config ? [] : loaded.problems).map((problem) => formatProblem({ ...problem, file: 'c.yaml' }))
}

/** `path: message` of each problem, where lines don't matter. */
export function complaints(sections: Readonly<Record<string, unknown>>): string[] {
  return problemsOf(variant(sections)).map((line) => line.replace(/^c\.yaml:\d+: /, ''))
}

/** The configuration that a text gives. @throws Error with the problems, if there are any */
export function configOf(text: string, files: Readonly<Record<string, string>> = {}): Config {
  using folder = configFolder({ ...files, 'c.yaml': text })
  const loaded = loadConfig(folder.at('c.yaml'), { env })
  if (!loaded.config) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  return loaded.config
}

/** The printed warnings of a configuration that works. */
export function warningsOf(text: string, files: Readonly<Record<string, string>> = {}): string[] {
  using folder = configFolder({ ...files, 'c.yaml': text })
  const loaded = loadConfig(folder.at('c.yaml'), { env })
  if (!loaded.config) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  return loaded.warnings.map((problem) => formatProblem({ ...problem, file: 'c.yaml' }))
}
