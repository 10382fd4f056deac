import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Outbox } from '../../src/session/outbox.ts'
import type { SessionId, SessionStore } from '../../src/session/store.ts'

export type Order =
  | { method: 'hammer'; args: [SessionId, number] }
  | { method: 'pour'; args: [string] }
  | { method: 'outbox'; args: [keyof Outbox, ...unknown[]] }
  | { method: 'get' | 'peek' | 'put' | 'end' | 'find' | 'claim' | 'sweep' | 'ping' | 'close'; args: unknown[] }

type Answer = { ready?: true; poured?: SessionId; number?: number; result?: unknown; error?: string }

/** Another process on the same folder; ends with the test. */
export class SecondProcess {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  #number = 0
  /** Ids that `pour` reported. */
  readonly poured: SessionId[] = []
  readonly exited: Promise<unknown>

  private constructor(path: string) {
    const program = fileURLToPath(new URL('lmdb-process.ts', import.meta.url))
    const loader = new URL('run-ts.mjs', import.meta.url).href
    this.#child = fork(program, [path], { execArgv: ['--import', loader], serialization: 'advanced' })
    this.exited = once(this.#child, 'exit')
    this.#child.on('message', ({ number, poured, result, error }: Answer) => {
      if (poured) this.poured.push(poured)
      if (number === undefined) return
      const waiting = this.#waiting.get(number)
      this.#waiting.delete(number)
      if (error === undefined) waiting?.resolve(result)
      else waiting?.reject(new Error(error))
    })
    this.#child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the second process ended'))
    })
  }

  static async start(path: string): Promise<SecondProcess> {
    const started = new SecondProcess(path)
    await Promise.race([
      once(started.#child, 'message'),
      started.exited.then(() => Promise.reject(new Error('the second process did not start'))),
    ])
    return started
  }

  call(method: 'outbox', name: keyof Outbox, ...args: unknown[]): Promise<unknown>
  call<M extends keyof SessionStore>(method: M & Order['method'], ...args: unknown[]): Promise<unknown>
  call(method: 'hammer', id: SessionId, steps: number): Promise<unknown>
  call(method: 'pour', index: string): Promise<unknown>
  call(method: string, ...args: unknown[]): Promise<unknown> {
    const number = ++this.#number
    this.#child.send({ number, method, args })
    return new Promise((resolve, reject) => this.#waiting.set(number, { resolve, reject }))
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill()
  }
}
