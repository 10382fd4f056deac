/** Whether a Content-Type is `expected`, whatever its parameters and its case. @see RFC 9110 §8.3.1 */
export function isMediaType(contentType: string | undefined, expected: string): boolean {
  return contentType?.split(';', 1)[0]?.trim().toLowerCase() === expected
}
