/**
 * Finds one field at the beginning of a form that is on its way to somebody else. Nothing is repaired: a form that another
 * reader could take to have another such field is refused, so that what was checked is what arrives.
 * @see URL Standard §5.1 (urlencoded) · RFC 7578, RFC 2046 §5.1.1 (multipart)
 */

export type FormType =
  | { readonly kind: 'urlencoded' }
  | { readonly kind: 'multipart'; readonly boundary: string }
  /** It speaks of a form, and not in one way. */
  | { readonly kind: 'ambiguous' }

/** The beginning of a body, each byte one character (latin1). `whole`: there is no more. */
export interface Beginning {
  readonly text: string
  readonly whole: boolean
}

export type FoundField =
  | { readonly kind: 'found'; readonly value: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused'; readonly reason: string }

/** What kind of form a Content-Type announces; undefined for no form that has fields. */
export function formTypeOf(contentType = ''): FormType | undefined {
  const [, type = '', parameters = ''] = MEDIA_TYPE.exec(contentType.trim()) ?? []
  const name = type.toLowerCase()
  if (name === 'application/x-www-form-urlencoded') return { kind: 'urlencoded' }
  if (name === 'multipart/form-data') {
    const [boundary = '', ...more] = valuesOf(parameters, 'boundary')
    return more.length === 0 && BOUNDARY.test(boundary) ? { kind: 'multipart', boundary } : { kind: 'ambiguous' }
  }
  return /x-www-form-urlencoded|multipart\/form-data/i.test(contentType) ? { kind: 'ambiguous' } : undefined
}

/** The field of that name, if it is complete in the beginning. */
export function findField(type: FormType, name: string, beginning: Beginning): FoundField {
  if (type.kind === 'ambiguous') return refused('the content type of the form is ambiguous')
  return type.kind === 'urlencoded' ? findInPairs(name, beginning) : findInParts(`--${type.boundary}`, name, beginning)
}

function findInPairs(name: string, { text, whole }: Beginning): FoundField {
  // The last pair may go on. The `&` in front: URLSearchParams would take a first `?` for the beginning of a query.
  const complete = whole ? text : text.slice(0, Math.max(text.lastIndexOf('&'), 0))
  const [value, ...more] = new URLSearchParams(`&${complete}`).getAll(name)
  if (more.length > 0) return refused(`the field ${name} came twice`)
  return fieldOf(value)
}

/** `delimiter`: with its two hyphens. No preamble, no padding behind a delimiter: no browser sends them, and readers differ. */
function findInParts(delimiter: string, name: string, { text, whole }: Beginning): FoundField {
  const begins = text.startsWith(delimiter)
  if (!begins && (whole || !delimiter.startsWith(text))) return broken
  let value: string | undefined
  for (let at = delimiter.length; begins; ) {
    const after = text.slice(at, at + 2)
    if (after === '--') return /^(?:\r\n?)?$/.test(text.slice(at + 2)) ? fieldOf(value) : broken
    if (after.length === 2 && after !== '\r\n') return broken
    const headEnd = text.indexOf('\r\n\r\n', at)
    if (headEnd === -1) break
    const part = nameOfPart(text.slice(at, headEnd), delimiter)
    const start = headEnd + 4
    if (part === undefined || text.startsWith(delimiter, start)) return broken
    const end = text.indexOf(`\r\n${delimiter}`, start)
    if (end === -1) break
    if (part.name === name) {
      if (part.file) return refused(`the field ${name} is a file`)
      if (value !== undefined) return refused(`the field ${name} came twice`)
      value = text.slice(start, end)
    }
    at = end + 2 + delimiter.length
  }
  return whole ? broken : fieldOf(value)
}

/** Of a part's head, which begins with the line end behind its delimiter. Undefined if it can't be told for certain. */
function nameOfPart(head: string, delimiter: string): { name: string; file: boolean } | undefined {
  const lines = head.split('\r\n').slice(1)
  if (lines.some((line) => line.startsWith(delimiter) || !HEADER_LINE.test(line))) return undefined
  const [disposition, ...more] = lines.filter((line) => /^content-disposition:/i.test(line))
  const parameters = FORM_DATA.exec(disposition?.slice(disposition.indexOf(':') + 1).trim() ?? '')?.[1]
  if (parameters === undefined || more.length > 0) return undefined
  const [name, ...others] = valuesOf(parameters, 'name')
  if (name === undefined || others.length > 0 || valuesOf(parameters, 'name*').length > 0) return undefined
  return { name, file: [...valuesOf(parameters, 'filename'), ...valuesOf(parameters, 'filename*')].length > 0 }
}

function valuesOf(parameters: string, wanted: string): string[] {
  const values: string[] = []
  for (const [, name = '', plain, quoted = ''] of parameters.matchAll(PARAMETERS)) {
    if (name.toLowerCase() === wanted) values.push(plain ?? quoted)
  }
  return values
}

function fieldOf(value: string | undefined): FoundField {
  return value === undefined ? { kind: 'absent' } : { kind: 'found', value }
}

function refused(reason: string): FoundField {
  return { kind: 'refused', reason }
}

const broken = refused('the parts of the form are not delimited as its boundary says')

/** RFC 9110 §5.6.2, §5.6.4, §5.6.6 */
const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
/** A backslash is one: browsers write `"` as `%22`. Before `"` others would take it for an escape, and read on. @see HTML §4.10.22.8 */
const quotedText = '"((?:[^"\\\\\\r\\n]|\\\\(?!["\\r\\n]))*)"'
const parameter = `[ \\t]*;[ \\t]*(${token})=(?:(${token})|${quotedText})`
const PARAMETERS = new RegExp(parameter, 'g')
const anyParameters = `((?:${parameter.replace(/\((?!\?)/g, '(?:')})*)(?:[ \\t]*;)?`
const MEDIA_TYPE = new RegExp(`^(${token}/${token})${anyParameters}$`)
const FORM_DATA = new RegExp(`^form-data${anyParameters}$`, 'i')
const HEADER_LINE = new RegExp(`^${token}:[^\\r\\n\\0]*$`)

/** RFC 2046 §5.1.1 */
const BOUNDARY = /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/
