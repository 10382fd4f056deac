import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import type { Config } from '../config/schema.ts'
import { createLog } from '../log.ts'
import { startGateway } from '../start.ts'
import { type Certificate, createCertificate } from './certificate.ts'
import { choosePort } from './ports.ts'

export interface DemoOptions {
  readonly https: boolean
  /** Undefined: the usual one, or the next that is free. */
  readonly port: number | undefined
  /** Absolute. */
  readonly data: string
}

/** A demo that runs, and what is printed of it. */
export interface RunningDemo {
  readonly origin: string
  readonly port: number
  readonly certificate: Certificate | undefined
  /** A name and the lines that belong to it. */
  readonly rows: readonly (readonly [name: string, ...texts: string[]])[]
  close(): Promise<void>
}

export interface DemoStage {
  readonly origin: string
  readonly port: number
  readonly scheme: 'http' | 'https'
  readonly certificate: Certificate | undefined
  /** The folder of the data, which exists. */
  readonly data: string
  /** Closed at the end, the last first. */
  closes(part: { close(): Promise<unknown> }): void
  startGateway(config: Config): Promise<void>
}

type Build = (stage: DemoStage) => Promise<RunningDemo['rows']>

/** Chooses port, certificate and folder, and lets `build` put the parts on it; if one fails, the others are closed. */
export async function stage(options: DemoOptions, build: Build): Promise<RunningDemo> {
  for (let left = 3; ; left--) {
    try {
      return await stageOnce(options, build)
    } catch (error) {
      // A port that was free when it was looked at may be somebody else's when it is taken.
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || left === 0) throw error
    }
  }
}

async function stageOnce({ https, port: wanted, data }: DemoOptions, build: Build): Promise<RunningDemo> {
  const port = await choosePort(wanted)
  const certificate = https ? await createCertificate() : undefined
  const scheme = https ? 'https' : 'http'
  const origin = `${scheme}://localhost:${port}`
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const parts: { close(): Promise<unknown> }[] = []
  const close = async () => {
    for (const part of parts.splice(0).reverse()) await part.close()
  }
  try {
    const rows = await build({
      ...{ origin, port, scheme, certificate, data },
      closes: (part) => void parts.push(part),
      async startGateway(config) {
        const file = pino.destination({ dest: join(data, 'coatcheck.log'), sync: true, mode: 0o600 })
        const gateway = await startGateway({ config, log: createLog({ level: 'info', destination: file }) })
        parts.push({ close: () => gateway.close({ graceMs: 1000 }) })
      },
    })
    return { origin, port, certificate, rows, close }
  } catch (error) {
    await close()
    throw error
  }
}

export function newSecret(): string {
  return randomBytes(24).toString('base64url')
}
