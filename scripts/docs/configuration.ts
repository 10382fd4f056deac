import { type JsonSchema, jsonSchema } from '../../packages/gateway/src/config/json-schema.ts'
import { code, generated, table } from './markdown.ts'

/** docs/configuration.md */
export function configurationPage(): string {
  const root = jsonSchema()
  const properties = Object.entries(root.properties ?? {})
  const sections = properties.flatMap(([name, schema]) => section(name, schema))
  const top = properties.map(([name, schema]) => {
    const linked = section(name, schema).length > 0
    return row(linked ? `[${code(name)}](#${name})` : code(name), schema, required(root, name))
  })
  return `${generated('packages/gateway/src/config/')}

# Configuration

\`coatcheck.yaml\`, or another file with \`-c FILE\`. \`coatcheck check\` finds all problems at once, with their lines. For completion in an editor,
start the file with \`# yaml-language-server: $schema=…/config.schema.json\` (from \`coatcheck schema\`, or beside this page).

- A **duration** is a whole number and a unit: \`30s\`, \`15m\`, \`12h\`, \`30d\`. A **size** is \`500b\`, \`64kb\`, \`10mb\` or \`1gb\` (1kb = 1024b).
- A **rate** is \`{ requests: 100, per: 1m }\`: so many at once, and then as many again in each \`per\` (one minute unless said otherwise).
- A **secret** does not stand in the file: \`{ env: NAME }\` takes it from the environment, \`{ file: path }\` from a file (without the line end).
- Relative paths start at the folder of the configuration file.
- Unknown keys are refused. So is what is planned and not in this version.

${table(head, top)}

${sections.join('\n\n')}
`
}

const head = ['key', 'type', 'default', 'description']

/** A section for a key that has keys of its own. */
function section(name: string, schema: JsonSchema): string[] {
  const { title, inner } =
    schema.type === 'array' && schema.items?.properties
      ? { title: `${name}[]`, inner: schema.items }
      : typeof schema.additionalProperties === 'object' && schema.additionalProperties.properties
        ? { title: `${name}.NAME`, inner: schema.additionalProperties }
        : { title: name, inner: schema }
  const rows = rowsOf(inner, '')
  return rows.length === 0
    ? []
    : [`<a id="${name}"></a>\n\n## ${code(title)}\n\n${schema.description ?? ''}\n\n${table(head, rows)}`]
}

function rowsOf(schema: JsonSchema, prefix: string): string[][] {
  const variants = variantsOf(schema)
  if (variants.some((variant) => variant.properties) && !isValue(schema))
    return merge(variants.map((one) => rowsOf(one, prefix)))
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const nested = isValue(inner) ? [] : rowsOf(inner, `${prefix}${name}.`)
    const own = row(code(prefix + name), inner, required(schema, name), prefix.slice(0, -1))
    if (nested.length === 0) return [own]
    return plainOf(inner).length > 0 ? [own, ...nested] : nested
  })
}

/** Rows of the same key, such as the `kind` of each store, become one. */
function merge(groups: readonly string[][][]): string[][] {
  const rows = new Map<string, string[]>()
  for (const [key = '', type = '', preset = '', description = ''] of groups.flat()) {
    const known = rows.get(key)
    if (known) rows.set(key, [key, `${known[1]}, ${type}`, preset, `${known[3]} ${type}: ${description}`])
    else
      rows.set(key, [
        key,
        type,
        preset,
        groups.length > 1 && type.startsWith('`') ? `${type}: ${description}` : description,
      ])
  }
  return [...rows.values()]
}

/** `within`: the key that this one is required in, if that one is itself nested. */
function row(key: string, schema: JsonSchema, isRequired: boolean, within = ''): string[] {
  const preset = schema.default
  const empty = typeof preset === 'object' && preset !== null && Object.keys(preset).length === 0
  const shown = preset === undefined || (empty && schema.properties) ? '' : code(show(preset))
  return [
    key,
    typeOf(schema),
    isRequired ? `**required**${within === '' ? '' : ` in ${code(within)}`}` : shown,
    schema.description ?? '',
  ]
}

function typeOf(schema: JsonSchema): string {
  if (schema.title) return schema.title
  if (schema.const !== undefined) return code(String(schema.const))
  if (schema.enum) return schema.enum.map((value) => code(String(value))).join(', ')
  if (schema.type === 'array')
    return schema.items?.properties ? 'list of sections' : `list: ${typeOf(schema.items ?? {})}`
  if (typeof schema.additionalProperties === 'object') {
    return schema.additionalProperties.properties ? 'sections by name' : 'text by name'
  }
  const [plain, variants] = [plainOf(schema), variantsOf(schema)]
  if (variants.length > plain.length) return [...plain.map(typeOf), 'section'].join(', ')
  if (schema.properties || variants.length > 0) return 'section'
  return { string: 'text', boolean: '`true`, `false`' }[schema.type ?? ''] ?? schema.type ?? ''
}

/** A union with a title is one value to the reader, such as a secret. */
function isValue(schema: JsonSchema): boolean {
  return schema.title !== undefined
}

function variantsOf(schema: JsonSchema): readonly JsonSchema[] {
  return schema.anyOf ?? schema.oneOf ?? []
}

/** The alternatives of a union that are values, beside those that are sections. */
function plainOf(schema: JsonSchema): readonly JsonSchema[] {
  return variantsOf(schema).filter(({ properties }) => properties === undefined)
}

function required(schema: JsonSchema, name: string): boolean {
  return schema.required?.includes(name) === true
}

/** As YAML would be written on one line. */
function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(show).join(', ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  const pairs = Object.entries(value).map(([key, inner]) => `${key}: ${show(inner)}`)
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`
}
