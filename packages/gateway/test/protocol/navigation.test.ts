import { describe, expect, test } from 'vitest'
import { isNavigation, isPrefetch, isTopLevelNavigation, type NavigationFields } from '../../src/protocol/navigation.ts'

const nothing: NavigationFields = {
  secFetchSite: undefined,
  secFetchMode: undefined,
  secFetchDest: undefined,
  accept: undefined,
}
const page = {
  ...nothing,
  secFetchSite: 'none',
  secFetchMode: 'navigate',
  secFetchDest: 'document',
  accept: 'text/html',
}

/** what it is · fields · a navigation? · in the window itself? */
const requests: [string, NavigationFields, boolean, boolean][] = [
  ['a page opened', page, true, true],
  [
    'a page opened by a browser without Fetch Metadata',
    { ...nothing, accept: 'text/html,application/xhtml+xml,*/*;q=0.8' },
    true,
    true,
  ],
  ['the same in capitals', { ...nothing, accept: 'Text/HTML' }, true, true],
  ['an iframe', { ...page, secFetchDest: 'iframe' }, true, false],
  ['a frame', { ...page, secFetchDest: 'frame' }, true, false],
  ['an embed', { ...page, secFetchDest: 'embed' }, true, false],
  ['an object', { ...page, secFetchDest: 'object' }, true, false],
  ['fetch() asking for HTML', { ...page, secFetchMode: 'cors', secFetchDest: 'empty' }, false, false],
  ['an image', { ...page, secFetchMode: 'no-cors', secFetchDest: 'image', accept: 'image/*' }, false, false],
  ['an image of an old browser', { ...nothing, accept: 'image/avif,image/*,*/*;q=0.8' }, false, false],
  ['a script of an old browser', { ...nothing, accept: 'application/json' }, false, false],
  ['curl', { ...nothing, accept: '*/*' }, false, true],
  ['a client without Accept', nothing, false, true],
  ['half of the metadata', { ...nothing, secFetchSite: 'cross-site', accept: 'text/html' }, true, false],
  ['navigate without a destination', { ...nothing, secFetchMode: 'navigate', accept: 'text/html' }, true, false],
]

test.each(requests)('FX3 %s', (_, fields, navigation, topLevel) => {
  expect([isNavigation(fields), isTopLevelNavigation(fields)]).toEqual([navigation, topLevel])
})

describe('prefetch', () => {
  test.each(['prefetch', 'prefetch;prerender', 'prefetch;anonymous-client-ip', 'Prefetch', 'preview', 'prerender'])(
    '%s',
    (secPurpose) => {
      expect(isPrefetch({ secPurpose })).toBe(true)
    },
  )
  test.each([undefined, '', 'x'])('%j is none', (secPurpose) => expect(isPrefetch({ secPurpose })).toBe(false))
})
