import { jsonSchema } from '../config/json-schema.ts'
import { exit, type Io, jsonOption, readOptions } from './options.ts'

export const command = {
  name: 'schema',
  summary: "Prints the configuration's JSON Schema, for editors: # yaml-language-server: $schema=config.schema.json",
  options: { json: { ...jsonOption, help: 'print JSON (it always is)' } },
} as const

/** `coatcheck schema` */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const parsed = readOptions(command, args, io)
  if ('status' in parsed) return parsed.status
  io.stdout.write(`${JSON.stringify(jsonSchema(), undefined, 2)}\n`)
  return exit.ok
}
