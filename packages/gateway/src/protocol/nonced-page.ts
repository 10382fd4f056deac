import { type DefaultTreeAdapterTypes, parse } from 'parse5'

/** A page in pieces: joined by a nonce, they are the page of one answer. */
export type NoncedPage = readonly string[]

/**
 * Finds, once, where the nonces of a page go: on `<script>`, `<style>` and the `<link>`s that load either, as they stand in
 * the file that was deployed. It is read by the rules of browsers, with scripts on: what looks like a tag in a comment, a text
 * or a script is none, and gets no nonce that everybody could read there. All else stays as it is, byte for byte. A nonce that
 * a build tool left is replaced. @see HTML §13.2 · CSP Level 3 §6.7.3.1 (a second nonce would void the first)
 * @param page as latin1: each byte one character
 */
export function compilePage(page: string): NoncedPage {
  // A byte order mark is no text of the page.
  const start = page.startsWith('\xef\xbb\xbf') ? 3 : 0
  const pieces: string[] = []
  let before = ''
  let end = 0
  for (const { from, to } of placesIn(parse(page.slice(start), { sourceCodeLocationInfo: true }), start)) {
    pieces.push(`${before}${page.slice(end, from)}${from === to ? ' ' : ''}nonce="`)
    before = '"'
    end = to
  }
  return [...pieces, before + page.slice(end)]
}

/** What a nonce takes the place of: nothing behind a tag's name, or an attribute. */
interface Place {
  readonly from: number
  readonly to: number
}

function placesIn(document: DefaultTreeAdapterTypes.Document, start: number): Place[] {
  const places: Place[] = []
  const waiting: DefaultTreeAdapterTypes.ChildNode[] = [...document.childNodes]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (!('tagName' in node)) continue
    waiting.push(...node.childNodes, ...('content' in node ? node.content.childNodes : []))
    const { sourceCodeLocation: location, tagName } = node
    if (!location || !mayHaveNonce(node)) continue
    const { startOffset, endOffset } = location.attrs?.nonce ?? {
      startOffset: location.startOffset + 1 + tagName.length,
      endOffset: location.startOffset + 1 + tagName.length,
    }
    places.push({ from: start + startOffset, to: start + endOffset })
  }
  return places.sort((a, b) => a.from - b.from)
}

function mayHaveNonce({ tagName, attrs }: DefaultTreeAdapterTypes.Element): boolean {
  if (tagName === 'script' || tagName === 'style') return true
  const rel = tagName === 'link' ? attrs.find(({ name }) => name === 'rel')?.value : undefined
  return rel !== undefined && /(?:^|\s)(?:stylesheet|modulepreload|preload)(?:\s|$)/i.test(rel)
}
