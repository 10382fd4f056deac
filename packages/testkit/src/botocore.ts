import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { installByApt, succeeds } from './apt.ts'

/** What botocore is to sign. */
export interface AskedOfBotocore {
  readonly service: string
  readonly region: string
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** One character a byte. */
  readonly body: string
  readonly signBody: boolean
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Seconds: a presigned address instead of headers, in `url` of the answer. */
  readonly expires?: number
}

export interface Botocore extends AsyncDisposable {
  sign(asked: AskedOfBotocore): Promise<Record<string, string>>
}

/** The signer of AWS's own Python SDK, which nobody here wrote, in a process of its own. `script` asks it. */
export async function startBotocore(script: string): Promise<Botocore> {
  const there = () => succeeds('python3', ['-c', 'import botocore.auth'])
  if (!there() && !(installByApt('python3-botocore', console.log) && there())) {
    throw new Error('These tests need python3 with botocore. Install it with: apt-get install python3-botocore')
  }
  const child = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const waiting: { resolve(answer: Record<string, string>): void; reject(error: Error): void }[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer = JSON.parse(line) as Record<string, string>
    const asker = waiting.shift()
    if (answer.error === undefined) asker?.resolve(answer)
    else asker?.reject(new Error(answer.error))
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  let over = false
  child.stdin.on('error', () => {})
  void ended.then(() => {
    over = true
    for (const asker of waiting.splice(0)) asker.reject(new Error('botocore ended'))
  })
  return {
    sign: (asked) =>
      new Promise((resolve, reject) => {
        if (over) throw new Error('botocore ended')
        waiting.push({ resolve, reject })
        child.stdin.write(`${JSON.stringify(asked)}\n`)
      }),
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      await ended
    },
  }
}
