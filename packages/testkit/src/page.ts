import { type Form, formsOf } from './html.ts'
import { type Exchange, valuesOf } from './transport.ts'

/** An answer, with what a test asks about it. */
export class Page {
  readonly url: string
  readonly status: number
  readonly exchange: Exchange

  constructor(exchange: Exchange) {
    this.url = exchange.url
    this.status = exchange.status
    this.exchange = exchange
  }

  /** The body as text. */
  get text(): string {
    return this.exchange.body.toString('utf8')
  }

  /** The body as JSON, unchecked: name the type you expect. */
  json<T = Record<string, unknown>>(): T {
    return JSON.parse(this.text) as T
  }

  /** The first value of a header. */
  header(name: string): string | undefined {
    return this.headers(name)[0]
  }

  /** All values of a header. */
  headers(name: string): string[] {
    return valuesOf(this.exchange.rawHeaders, name)
  }

  /** Where a redirect leads, absolute; undefined when this is none. */
  get location(): string | undefined {
    const value = this.status >= 300 && this.status < 400 ? this.header('location') : undefined
    return value === undefined ? undefined : new URL(value, this.url).href
  }

  get forms(): Form[] {
    return formsOf(this.text)
  }

  get title(): string | undefined {
    return /<title[^>]*>([^<]*)/i.exec(this.text)?.[1]
  }
}
