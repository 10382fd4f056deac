// Load at a fixed pace by h2load over HTTP/1.1: each connection sends its share of the requests, evenly.
import { readFileSync, rmSync } from 'node:fs'
import { debianPart } from './parts.mjs'
import { start } from './process.mjs'

/** Resolves to the time of each request in milliseconds; rejects where one of them failed. */
export async function paced(url, headers, { rate, seconds, core, log, connections }) {
  const program = debianPart(['/usr/bin/h2load', '/usr/local/bin/h2load'], ['nghttp2-client'])
  const times = `${log}-times.tsv`
  rmSync(times, { force: true })
  const sent = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const pace = [`--rps=${rate / connections}`, `-c${connections}`, `-D${seconds}`, '--warm-up-time=1', '-t1', '--h1']
  await start(program, [...pace, `--log-file=${times}`, ...sent, url], { core, log: `${log}.log` }).exited
  const rows = readFileSync(times, 'utf8').trim().split('\n')
  return rows.map((line) => {
    const [, status, microseconds] = line.split('\t')
    if (status !== '200') throw new Error(`a request at a fixed pace was answered ${status}`)
    return Number(microseconds) / 1000
  })
}
