/**
 * What the gateway says of itself, as structured fields. No field ever holds a cookie, a token, a code or a key; text that
 * came from a request is made printable first. A pino logger fits.
 */
export interface EventLog {
  debug(fields: object, message?: string): void
  info(fields: object, message?: string): void
  warn(fields: object, message?: string): void
  error(fields: object, message?: string): void
}
