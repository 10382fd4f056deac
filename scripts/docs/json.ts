/** JSON as the formatter leaves it: objects over several lines, lists of plain values on one line where they fit. */
export function formatJson(value: unknown, indent = '', before = 0): string {
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    const flat = `[${value.map((item) => JSON.stringify(item)).join(', ')}]`
    const plain = value.every((item) => typeof item !== 'object' || item === null)
    if (plain && indent.length + before + flat.length < 120) return flat
    return `[\n${value.map((item) => inner + formatJson(item, inner)).join(',\n')}\n${indent}]`
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  if (entries.length === 0) return '{}'
  const lines = entries.map(([key, item]) => {
    const name = `${JSON.stringify(key)}: `
    return inner + name + formatJson(item, inner, name.length)
  })
  return `{\n${lines.join(',\n')}\n${indent}}`
}
