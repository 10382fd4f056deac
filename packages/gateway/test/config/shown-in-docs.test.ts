import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { configFolder, corp, env, minimal } from './folder.ts'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const pages = ['README.md', ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`)]

/** What a page shows of the configuration: whole sections, or routes. What has a gap (…) is no text to copy. */
const shown = pages
  .filter((page) => page.endsWith('.md'))
  .flatMap((page) => {
    const blocks = [...readFileSync(join(root, page), 'utf8').matchAll(/^```yaml\n(.*?)^```/gms)]
    return blocks.map(([, text = ''], index) => [`${page}, block ${index + 1}`, text] as const)
  })
  .filter(([, text]) => !text.includes('…'))

const { properties } = JSON.parse(readFileSync(join(root, 'docs/config.schema.json'), 'utf8'))

/** A provider that the pages about AWS speak of. */
const aws = { ...corp, identityPool: { id: 'eu-west-1:12345678-1234-1234-1234-123456789abc' } }

/** With what the page leaves out. Other names than `corp` stand for providers that are somewhere else in the file. */
function completed(text: string): string | undefined {
  const part: unknown = parse(text)
  const sections = Array.isArray(part) ? { routes: part } : (part as Record<string, unknown>)
  if (!Object.keys(sections).every((key) => key in properties)) return undefined
  const others = { providers: { corp, partner: corp, aws }, defaultProvider: 'corp' }
  return stringify({ ...parse(minimal), ...(sections.providers === undefined && others), ...sections })
}

test('what the docs show of the configuration is taken as it stands', () => {
  const texts = shown.flatMap(([where, text]) => {
    const whole = completed(text)
    return whole === undefined ? [] : [[where, whole] as const]
  })
  expect(texts.length).toBeGreaterThan(10)
  const refused = texts.flatMap(([where, text]) => {
    using folder = configFolder({ 'c.yaml': text })
    const loaded = loadConfig(folder.at('c.yaml'), { env: { ...env, COATCHECK_ADMIN_TOKEN: 'x'.repeat(32) } })
    const problems = (loaded.config ? [] : loaded.problems).map(formatProblem)
    // Files, folders and secrets are the reader's own.
    return problems
      .filter((line) => !/cannot be read|no folder|is not set/.test(line))
      .map((line) => `${where}: ${line}`)
  })
  expect(refused).toEqual([])
})
