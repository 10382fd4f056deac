import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compilePage } from '../../src/protocol/nonced-page.ts'

const nonced = (page: string) => compilePage(page).join('NONCE')
const n = 'nonce="NONCE"'

describe('SH1 where the nonces of a page go', () => {
  test.each([
    ['<script>a()</script>', `<script ${n}>a()</script>`],
    ['<SCRIPT\n src=a.js></SCRIPT>', `<SCRIPT ${n}\n src=a.js></SCRIPT>`],
    ['<script/src=a></script>', `<script ${n}/src=a></script>`],
    ['<style>a{}</style><svg><style>b{}</style></svg>', `<style ${n}>a{}</style><svg><style ${n}>b{}</style></svg>`],
    ['<link rel=stylesheet href=a>', `<link ${n} rel=stylesheet href=a>`],
    ['<link href=a rel="preload StyleSheet"/>', `<link ${n} href=a rel="preload StyleSheet"/>`],
    ['<link rel=modulepreload href=a>', `<link ${n} rel=modulepreload href=a>`],
    ['<script type="importmap">{}</script>', `<script ${n} type="importmap">{}</script>`],
    ['<template><script>a()</script></template>', `<template><script ${n}>a()</script></template>`],
    ['<table><script>a()</script></table>', `<table><script ${n}>a()</script></table>`],
    ['<script>never closed', `<script ${n}>never closed`],
    ['<p>a<script>1</script>b<script>2</script>', `<p>a<script ${n}>1</script>b<script ${n}>2</script>`],
  ])('SH1 %s', (page, expected) => expect(nonced(page)).toBe(expected))

  test('SH1 a nonce that a build tool left gives way: two of them would void both', () => {
    expect(nonced('<script src=a nonce="{{nonce}}" defer></script>')).toBe(`<script src=a ${n} defer></script>`)
    expect(nonced("<script NONCE=''>a()</script>")).toBe(`<script ${n}>a()</script>`)
    expect(nonced('<style nonce>a{}</style>')).toBe(`<style ${n}>a{}</style>`)
  })

  test.each([
    '<!-- <script>a()</script> -->',
    '<!--><!-- <script> -->',
    '<title><script>a()</script></title>',
    '<textarea><script>a()</script></textarea>',
    '<p title="<script>a()</script>">text</p>',
    "<p title='><style>'>&lt;script&gt;</p>",
    '<iframe><script></script></iframe>',
    '<noscript><style>a{}</style></noscript>',
    '<plaintext><script>',
    '< script>',
    '<scripts>a</scripts>',
    '<script',
    '<link rel=icon href=a><link href=stylesheet><link rel=alternate-stylesheet>',
    '',
  ])('SH1 none in %s', (page) => expect(compilePage(page)).toEqual([page]))

  test('SH1 a script that speaks of scripts gets one, and its text none', () => {
    const page =
      '<script>var a = "<script>" + "<style>"; <!-- <script> b() </script> --> c()</script><script>d</script>'
    expect(nonced(page)).toBe(page.replace('<script>', `<script ${n}>`).replace('<script>d', `<script ${n}>d`))
  })

  test('SH1 line ends, a byte order mark and bytes that are no ASCII stay where they are', () => {
    const page = '\xef\xbb\xbf<!doctype html>\r\n<p>\xc3\xa9\0</p>\r\r\n<script>\r\n</script>\r\n'
    expect(nonced(page)).toBe(page.replace('<script>', `<script ${n}>`))
  })

  test('SH1 deep nesting is no danger', () => {
    expect(nonced(`${'<div>'.repeat(20_000)}<script>a()</script>`)).toContain(`<script ${n}>`)
  })
})

test('SH1 whatever the page: without its nonces it is the file, byte for byte, and each nonce stands in a tag of its kind', () => {
  const pieces = fc.constantFrom(
    ...['<script', '>', '</script>', '<style', '</style>', '<link', ' rel=stylesheet', ' a="', '"', "'", '<!--', '-->'],
    ...[
      '\r\n',
      '\r',
      '\n',
      '\0',
      ' ',
      '/',
      '<svg>',
      '</svg>',
      '<math>',
      '<template>',
      '</template>',
      '<title>',
      '</title>',
    ],
    ...[
      '<table>',
      '<tr>',
      '<select>',
      '<p>',
      '<b>',
      '</p>',
      'text',
      '&lt;',
      '\xff',
      '<!doctype html>',
      '<![CDATA[',
      ']]>',
      '=',
    ],
  )
  fc.assert(
    fc.property(fc.string({ unit: pieces, maxLength: 60 }), (page) => {
      const parts = compilePage(page)
      expect(parts.join('NONCE').replaceAll(` ${n}`, '')).toBe(page)
      for (const part of parts.slice(0, -1)) expect(part).toMatch(/<(?:script|style|link) nonce="$/i)
    }),
    { numRuns: 2000 },
  )
})
