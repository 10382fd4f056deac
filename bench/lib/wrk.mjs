// Load by wrk: one thread, 64 connections, one fixed request.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { start } from './process.mjs'

const quote = (text) => `"${text.replace(/[\\"]/g, '\\$&')}"`

/** A script that sets the headers (so wrk builds the request once) and prints its figures as JSON. */
function luaScript(headers) {
  const lines = Object.entries(headers).map(([name, value]) => `wrk.headers[${quote(name)}] = ${quote(value)}`)
  return `${lines.join('\n')}
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nFIGURES {"requests":%d,"microseconds":%d,"bytes":%d,"p50":%d,"p99":%d,"broken":%d,"refused":%d}\\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout, e.status))
end
`
}

/** Resolves to the figures of one run: times in µs; `broken` connections and `refused` (status 400 and above) requests. */
export async function load(url, headers, { seconds, core, folder, connections = 64 }) {
  const script = join(folder, `wrk-${new URL(url).port}.lua`)
  writeFileSync(script, luaScript(headers))
  const log = join(folder, 'wrk.log')
  writeFileSync(log, '')
  const options = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', script]
  await start('wrk', [...options, url], { core, log }).exited
  const printed = readFileSync(log, 'utf8')
  const figures = /FIGURES (.+)/.exec(printed)?.[1]
  if (!figures) throw new Error(`wrk failed: ${printed.trim()}`)
  return JSON.parse(figures)
}
