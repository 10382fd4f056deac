import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import { type ClientKey, readClientKey } from './client-key.ts'
import { type EncryptionKey, readEncryptionKey } from './encryption-key.ts'

/** What the configuration points to outside of itself: secrets, folders, files. The only part of its validation that does I/O. */
export interface Surroundings {
  secret(reference: SecretReference): Answer<string>
  /** A file or folder that the gateway makes itself: only its absolute path. */
  own(path: string): string
  /** A file that must be there. */
  existing(path: string): Answer<string>
  /** The folder of a single-page app. */
  site(path: string): Answer<string>
  tls(files: TlsFiles): Answer<TlsFiles>
  /** The private key in a file; undefined where it can't be used. */
  clientKey(path: string): Answer<Omit<ClientKey, 'kid'> | undefined>
  /** The public key in a file; undefined where it can't be used. */
  encryptionKey(path: string): Answer<EncryptionKey | undefined>
  /** Certificates to trust, in PEM form: the absolute path of their file. */
  authorities(path: string): Answer<string>
  /** Whether warnings are wanted: a warning is reported like a problem, so one pass over the schema looks for either. */
  readonly warn: boolean
}

export type SecretReference = { readonly env: string } | { readonly file: string }

export interface TlsFiles {
  readonly cert: string
  readonly key: string
}

export interface Answer<T> {
  readonly value: T
  readonly problems?: readonly Complaint[]
  readonly warnings?: readonly Complaint[]
}

/** A message, and the key below the asking one that it is about. */
export interface Complaint {
  readonly message: string
  readonly at?: string
}

export type Environment = Readonly<Record<string, string | undefined>>

interface Options {
  readonly env: Environment
  /** The configuration file's folder: relative paths start here. */
  readonly folder: string
  readonly readFile: (path: string) => string
  readonly warn: boolean
}

export function createSurroundings({ env, folder, readFile, warn }: Options): Surroundings {
  const own = (path: string): string => resolve(folder, path)

  function secret(reference: SecretReference): Answer<string> {
    if ('env' in reference) {
      const value = Object.hasOwn(env, reference.env) ? env[reference.env] : undefined
      if (value === undefined) return refuse('', `the environment variable ${reference.env} is not set`)
      return value === '' ? refuse('', `the environment variable ${reference.env} is empty`) : { value }
    }
    const file = own(reference.file)
    const text = attempt(() => readFile(file))
    if ('failed' in text) return refuse('', `the secret file ${reference.file} cannot be read: ${text.failed}`)
    const value = text.value.replace(/[\r\n]+$/, '')
    if (value === '') return refuse('', `the secret file ${reference.file} is empty`)
    return { value, warnings: worldReadable(file) ? [{ message: open(reference.file) }] : [] }
  }

  function existing(path: string): Answer<string> {
    const value = own(path)
    return isThere(value, 'file') ? { value } : refuse(value, `there is no file ${path}`)
  }

  function site(path: string): Answer<string> {
    const value = own(path)
    if (!isThere(value, 'folder')) return refuse(value, `there is no folder ${path}`)
    if (!isThere(join(value, 'index.html'), 'file')) return refuse(value, `the folder ${path} has no index.html`)
    if (contains(value, folder)) return refuse(value, 'this folder would publish the configuration; name one beside it')
    return { value }
  }

  function tls(files: TlsFiles): Answer<TlsFiles> {
    const value = { cert: own(files.cert), key: own(files.key) }
    const problems: Complaint[] = []
    const read = <T>(at: 'cert' | 'key', expected: string, parse: (pem: string) => T): T | undefined => {
      const pem = attempt(() => readFile(value[at]))
      if ('failed' in pem) {
        problems.push({ at, message: `the file ${files[at]} cannot be read: ${pem.failed}` })
        return undefined
      }
      const parsed = attempt(() => parse(pem.value))
      if ('value' in parsed) return parsed.value
      problems.push({ at, message: `the file ${files[at]} is not ${expected}` })
      return undefined
    }
    const cert = read('cert', 'a certificate in PEM form', (pem) => new X509Certificate(pem))
    const key = read('key', 'a private key in PEM form without passphrase', (pem) => createPrivateKey(pem))
    if (cert && key && !cert.checkPrivateKey(key)) {
      problems.push({ at: 'key', message: 'this key does not belong to the certificate in cert' })
    }
    const warnings: Complaint[] = []
    if (cert && Date.parse(cert.validTo) < Date.now())
      warnings.push({ at: 'cert', message: 'the certificate has expired' })
    if (key && worldReadable(value.key)) warnings.push({ at: 'key', message: open(files.key) })
    return { value, problems, warnings }
  }

  function clientKey(path: string): Answer<Omit<ClientKey, 'kid'> | undefined> {
    const file = own(path)
    const pem = attempt(() => readFile(file))
    const at = { at: 'file' }
    if ('failed' in pem) {
      return { value: undefined, problems: [{ ...at, message: `the file ${path} cannot be read: ${pem.failed}` }] }
    }
    const found = readClientKey(pem.value)
    if ('problem' in found) {
      return { value: undefined, problems: [{ ...at, message: `the file ${path} ${found.problem}` }] }
    }
    return { value: found, warnings: worldReadable(file) ? [{ ...at, message: open(path) }] : [] }
  }

  function encryptionKey(path: string): Answer<EncryptionKey | undefined> {
    const at = { at: 'file' }
    const text = attempt(() => readFile(own(path)))
    if ('failed' in text) {
      return { value: undefined, problems: [{ ...at, message: `the file ${path} cannot be read: ${text.failed}` }] }
    }
    const found = readEncryptionKey(text.value)
    if (!('problem' in found)) return { value: found }
    return { value: undefined, problems: [{ ...at, message: `the file ${path} ${found.problem}` }] }
  }

  function authorities(path: string): Answer<string> {
    const value = own(path)
    const pem = attempt(() => readFile(value))
    if ('failed' in pem) return refuse(value, `the file ${path} cannot be read: ${pem.failed}`)
    const blocks = pem.value.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
    const parsed = attempt(() => blocks.map((block) => new X509Certificate(block)))
    if ('failed' in parsed || blocks.length === 0)
      return refuse(value, `the file ${path} is not one certificate or more in PEM form`)
    const expired = parsed.value.some(({ validTo }) => Date.parse(validTo) < Date.now())
    return { value, warnings: expired ? [{ message: `a certificate in ${path} has expired` }] : [] }
  }

  return { secret, own, existing, site, tls, clientKey, encryptionKey, authorities, warn }
}

/** For the schema's types, its JSON form and its documentation: nothing is looked up, and a secret cannot be had. */
export const nowhere: Surroundings = {
  secret: () => refuse('', 'a secret cannot be looked up here; use loadConfig'),
  own: (path) => path,
  existing: (value) => ({ value }),
  site: (value) => ({ value }),
  tls: (value) => ({ value }),
  clientKey: () => refuse(undefined, 'a key cannot be read here; use loadConfig'),
  encryptionKey: () => refuse(undefined, 'a key cannot be read here; use loadConfig'),
  authorities: (value) => ({ value }),
  warn: false,
}

/** True if `path` is `folder` or lies below it. Both absolute. */
export function contains(folder: string, path: string): boolean {
  const way = relative(folder, path)
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}

/** Why a file can't be read, in words; never the content and never more than the code. */
export function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  return { ENOENT: 'no such file', EACCES: 'permission denied', EISDIR: 'it is a folder' }[code] ?? code
}

function refuse<T>(value: T, message: string): Answer<T> {
  return { value, problems: [{ message }] }
}

function attempt<T>(run: () => T): { value: T } | { failed: string } {
  try {
    return { value: run() }
  } catch (error) {
    return { failed: reason(error) }
  }
}

function isThere(path: string, kind: 'file' | 'folder'): boolean {
  const stat = attempt(() => statSync(path))
  return 'value' in stat && (kind === 'file' ? stat.value.isFile() : stat.value.isDirectory())
}

function worldReadable(path: string): boolean {
  const stat = attempt(() => statSync(path))
  return process.platform !== 'win32' && 'value' in stat && (stat.value.mode & 0o004) !== 0
}

function open(path: string): string {
  return `every user of this machine can read ${path}; run chmod o-rwx on it`
}

/** Reads a text file; the default of `loadConfig`. */
export function readText(path: string): string {
  return readFileSync(path, 'utf8')
}
