import { printable } from '../protocol/printable.ts'

/** What a pool says of why it refused, fit to be shown, and without what was sent. */
export function reasonOf(message: string, sent: readonly string[] = []): string {
  if (message === '' || sent.some((secret) => message.includes(secret))) return 'The user pool does not accept it.'
  return printable(message, 300)
}
