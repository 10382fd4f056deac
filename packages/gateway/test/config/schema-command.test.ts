import { expect, test } from 'vitest'
import { run } from '../../src/cli/schema.ts'
import { keysAt } from '../../src/config/explain.ts'
import type { JsonSchema } from '../../src/config/json-schema.ts'
import { configSchema } from '../../src/config/schema.ts'
import { output } from './command.ts'

async function printed(): Promise<JsonSchema> {
  const { status, stdout, stderr } = await output(run, [])
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return JSON.parse(stdout)
}

test('prints the JSON Schema of the file as it is written', async () => {
  const schema = await printed()
  expect(schema).toMatchObject({
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'object',
    additionalProperties: false,
  })
  expect(schema.required).toEqual(['origin', 'listen', 'providers', 'routes'])
  expect(Object.keys(schema.properties ?? {})).toEqual(keysAt(configSchema, []))
  expect(schema.properties?.session?.properties?.idle).toMatchObject({ type: 'string', default: '30m' })
})

test('a secret is a reference in it, never text', async () => {
  const providers = (await printed()).properties?.providers?.additionalProperties as JsonSchema
  expect(providers.properties?.clientSecret?.oneOf).toHaveLength(2)
})

test('every key has a description', async () => {
  const bare: string[] = []
  const visit = (schema: JsonSchema, path: string): void => {
    for (const [key, inner] of Object.entries(schema.properties ?? {})) {
      if (!inner.description && !/(Secret|token|authorization)$/.test(path)) bare.push(`${path}.${key}`)
      visit(inner, `${path}.${key}`)
    }
    for (const inner of [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]) visit(inner, path)
    if (schema.items) visit(schema.items, `${path}[]`)
    if (typeof schema.additionalProperties === 'object') visit(schema.additionalProperties, `${path}.*`)
  }
  visit(await printed(), '')
  expect(bare).toEqual([])
})
