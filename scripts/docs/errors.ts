import { errors } from '../../packages/gateway/src/errors.ts'
import { code, generated, table } from './markdown.ts'

/** docs/errors.md */
export function errorsPage(): string {
  const rows = Object.entries(errors)
    .toSorted(([a, x], [b, y]) => x.status - y.status || a.localeCompare(b))
    .map(([name, { status, title, hint }]) => [code(name), String(status), title, hint])
  return `${generated('packages/gateway/src/errors.ts')}

# Errors

Calls by script get \`application/problem+json\` (RFC 9457) with \`type\`, \`title\`, \`status\`, \`code\` and \`detail\`; a browser window gets
a page that says the same. The code is stable: write programs against it, not against the words. The cause is in the gateway's log.

${table(['code', 'status', 'title', 'what to do'], rows)}
`
}
