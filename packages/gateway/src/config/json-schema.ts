import { z } from 'zod'
import { configSchema } from './schema.ts'

/** JSON Schema as far as it is used here. */
export interface JsonSchema {
  readonly title?: string
  readonly description?: string
  readonly type?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: boolean | JsonSchema
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
}

/** The configuration as it is written (before defaults), for editors. Draft 7: what YAML language servers understand. */
export function jsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    target: 'draft-7',
    // zod drops a `default` that it does not apply itself.
    override({ jsonSchema: shown }) {
      if (shown.usual === undefined) return
      shown.default = shown.usual as never
      delete shown.usual
    },
  })
  return { title: 'Coatcheck configuration', ...schema } as JsonSchema
}
