/**
 * JSON that means one thing. A member that stands twice is read differently by different readers (the first, the last,
 * both): whoever checks one and acts on the other is deceived. Names are compared as they read, not as they are escaped.
 * @throws SyntaxError where the text is no JSON, or says something twice
 * @see RFC 8259 §4 · RFC 8725 §2.4
 */
export function parseStrictJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  // The names of each object that is open at this place; undefined for an array.
  const open: (Set<string> | undefined)[] = []
  for (const { 0: token, index } of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]]/g)) {
    if (token === '{') open.push(new Set())
    else if (token === '[') open.push(undefined)
    else if (token === '}' || token === ']') open.pop()
    else if (isName(text, index + token.length)) remember(open.at(-1), JSON.parse(token) as string)
  }
  return value
}

/** In valid JSON a string is a member's name exactly if a colon follows. */
function isName(text: string, end: number): boolean {
  let at = end
  while (at < text.length && ' \t\r\n'.includes(text.charAt(at))) at++
  return text[at] === ':'
}

function remember(names: Set<string> | undefined, name: string): void {
  if (names?.has(name)) throw new SyntaxError('a member of a JSON object stands twice')
  names?.add(name)
}

/** A JSON object: neither null nor a list. */
export function isJsonObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
