// Results as Markdown and JSON. No path and no host name of this machine goes into either.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { benchFolder, npmVersion, programVersion } from './parts.mjs'

const json = join(benchFolder, 'results.json')
const markdown = join(benchFolder, 'results.md')

export function machine() {
  const gigabytes = Math.round(totalmem() / 2 ** 30)
  return `${availableParallelism()} cores of ${cpus()[0].model.trim()}, ${gigabytes} GB, Linux ${release().split('-')[0]}`
}

export function versions() {
  const npm = [
    'undici',
    'lmdb',
    'openid-client',
    'oidc-provider',
    'express',
    'express-openid-connect',
    'http-proxy-middleware',
  ]
  const found = {
    node: process.versions.node,
    nginx: programVersion('nginx', ['-v']),
    wrk: programVersion('wrk', ['-v']),
    apache2: programVersion('apache2', ['-v']),
    'libapache2-mod-auth-openidc': programVersion('dpkg-query', ['-s', 'libapache2-mod-auth-openidc']),
    ...Object.fromEntries(npm.map((name) => [name, npmVersion(name)])),
  }
  return Object.fromEntries(Object.entries(found).filter(([, version]) => version !== undefined))
}

export function table(head, body) {
  const line = (cells) => `| ${head.map((_, i) => cells[i] ?? '').join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...body.map(line)].join('\n')
}

/** A target is a `limit`, which the value may not exceed, or a `least`, which it has to reach. */
function targetLine({ what, limit, least, value, unit = '' }) {
  const figure = (number) => `${Number(number.toFixed(Math.abs(number) < 10 ? 3 : 1))}${unit}`
  const wanted = least === undefined ? `at most ${figure(limit)}` : `at least ${figure(least)}`
  if (value === undefined) return `- not measured: ${what} (${wanted})`
  const reached = least === undefined ? value <= limit : value >= least
  return `- ${reached ? 'reached' : '**missed**'}: ${what} is ${figure(value)} (${wanted})`
}

export function section({ title, report }) {
  const parts = [`## ${title}`, report.notes, table(report.head, report.body)]
  if (report.targets?.length) parts.push(`Targets:\n\n${report.targets.map(targetLine).join('\n')}`)
  if (report.remarks?.length) parts.push(report.remarks.map((remark) => `- ${remark}`).join('\n'))
  return parts.join('\n\n')
}

/** Merges the scenarios of this run into the results of earlier runs and writes both files. */
export function write(scenarios) {
  const old = existsSync(json) ? JSON.parse(readFileSync(json, 'utf8')) : { scenarios: {} }
  const results = { scenarios: { ...old.scenarios, ...scenarios } }
  writeFileSync(json, `${JSON.stringify(results, undefined, 2)}\n`)
  const about = ({ date, machine, versions }) =>
    `${date} · ${machine}\n\n${Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(' · ')}`
  const text = Object.values(results.scenarios).map((one) => `${section(one)}\n\n${about(one)}`)
  writeFileSync(markdown, `${introduction}\n\n${text.join('\n\n')}\n`)
}

const introduction = `# Speed

Written by \`npm run bench\`; do not edit. How it is measured: [README.md](README.md).`
