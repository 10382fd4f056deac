/** The little HTML that a scripted browser needs: forms, refreshes, entities. Made for the pages of this project. */
export interface Form {
  readonly action: string
  readonly method: string
  readonly fields: ReadonlyArray<readonly [name: string, value: string]>
  readonly buttons: ReadonlyArray<{ readonly name: string; readonly value: string; readonly text: string }>
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decode(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (decimal) return String.fromCodePoint(Number(decimal))
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16))
    return entities[name] ?? whole
  })
}

function attribute(tag: string, name: string): string | undefined {
  const found = new RegExp(`\\s${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s>]+))`, 'i').exec(tag)
  const value = found?.[1] ?? found?.[2] ?? found?.[3]
  return value === undefined ? undefined : decode(value)
}

/** Every form of a page; a button with a `form` attribute belongs to the form of that id. */
export function formsOf(html: string): Form[] {
  return [...html.matchAll(/<form\b[^>]*>([\s\S]*?)<\/form>/gi)].map(([whole, inside = '']) => {
    const tag = whole.slice(0, whole.indexOf('>') + 1)
    const id = attribute(tag, 'id')
    const outside = id === undefined ? '' : buttonsFor(html, id)
    return {
      action: attribute(tag, 'action') ?? '',
      method: (attribute(tag, 'method') ?? 'get').toUpperCase(),
      fields: [...inside.matchAll(/<input\b[^>]*>/gi)].flatMap(([input]) => {
        const name = attribute(input, 'name')
        return name === undefined ? [] : [[name, attribute(input, 'value') ?? ''] as const]
      }),
      buttons: [...(inside + outside).matchAll(/<button\b[^>]*>([\s\S]*?)<\/button>/gi)].map(([button, text = '']) => ({
        name: attribute(button, 'name') ?? '',
        value: attribute(button, 'value') ?? '',
        text: decode(text.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ')).trim(),
      })),
    }
  })
}

function buttonsFor(html: string, formId: string): string {
  const buttons = [...html.matchAll(/<button\b[^>]*>[\s\S]*?<\/button>/gi)].map(([button]) => button)
  return buttons.filter((button) => attribute(button, 'form') === formId).join('')
}

/** Where `<meta http-equiv=refresh>` or a Refresh header leads, if there is one. */
export function refreshOf(html: string, header: string | undefined): string | undefined {
  const tag = /<meta\b[^>]*http-equiv\s*=\s*["']?refresh\b[^>]*>/i.exec(html)?.[0]
  const content = header ?? (tag && attribute(tag, 'content'))
  return content === undefined ? undefined : /^\s*\d+\s*[;,]\s*url\s*=\s*["']?([^"']*)/i.exec(content)?.[1]
}

/** The form that a script of the page submits at once, if there is one. */
export function selfSubmitting(html: string): Form | undefined {
  const submits = [...html.matchAll(/<script\b[^>]*>([\s\S]*?)<\/script>/gi)].some(([, code = '']) =>
    /\.(submit|requestSubmit)(\.call)?\(/.test(code),
  )
  return submits ? formsOf(html)[0] : undefined
}
