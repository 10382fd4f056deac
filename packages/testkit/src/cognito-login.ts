import type { Browser } from './browser.ts'
import type { Page } from './page.ts'

export interface PoolSignIn {
  /** A user of the identity provider, or a native user's name. */
  readonly as: string
  /** Of a native user; without it the identity provider's page is expected. */
  readonly password?: string
  /** The identity provider to pick on the pool's page, where the request named none. */
  readonly idp?: string
  readonly stopBefore?: (url: URL) => boolean
}

/** Goes on from whatever the browser shows of a sign-in at the pool: picks the provider, picks the user, to the end. */
export async function passPool(browser: Browser, page: Page, options: PoolSignIn): Promise<Page> {
  const { as, password, idp, stopBefore } = options
  const until = stopBefore ? { stopBefore } : {}
  const offers = (shown: Page, value: string) =>
    shown.forms.some((form) => form.buttons.some((button) => button.value === value))
  if (password !== undefined) {
    return browser.submit(page, { button: 'signIn', fields: { username: as, password }, ...until })
  }
  const next = idp !== undefined && offers(page, idp) ? await browser.submit(page, { button: idp, ...until }) : page
  return offers(next, as) ? browser.submit(next, { button: as, ...until }) : next
}
