/** What the server can be made to say, and what goes by on the page's own calls. */

import { text } from './window.js'

/**
 * Asks every endpoint, each with and without the header that the page itself sends, and keeps all of each answer.
 * @param {string[]} endpoints paths, optionally with a method in front: `POST /auth/session`
 */
export async function everyEndpoint(endpoints) {
  const asks = endpoints.flatMap((endpoint) => {
    const [path, method = 'GET'] = endpoint.split(' ').reverse()
    return [{}, { 'X-CSRF': '1' }, { 'X-CSRF': '1', Accept: 'application/jwt, text/html, */*' }].map((headers) => ({
      method,
      path,
      headers,
    }))
  })
  return Promise.all(asks.map(ask))
}

async function ask({ method, path, headers }) {
  const where = `${method} ${path}${headers['X-CSRF'] ? ' with X-CSRF' : ''}`
  try {
    // A followed redirect shows its address; one that leaves the origin is refused by the browser.
    const response = await fetch(path, { method, headers, signal: AbortSignal.timeout(4000) })
    const head = [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n')
    const body = await response.text()
    return { where: `${where} → ${response.status}`, text: `${response.url}\n${head}\n${body}` }
  } catch (error) {
    return { where: `${where} → no answer`, text: String(error) }
  }
}

/**
 * Replaces `fetch` and `XMLHttpRequest` of the page, lets the page make one of its ordinary calls, and listens.
 * @param {() => Promise<unknown>} exercise
 */
export async function listenIn(exercise) {
  const heard = []
  const { fetch } = window
  const { setRequestHeader } = XMLHttpRequest.prototype
  window.fetch = async (input, init) => {
    const request = new Request(input, init)
    heard.push({ where: `request to ${new URL(request.url).pathname}`, text: headerText(request.headers) })
    const response = await fetch(input, init)
    const body = await response.clone().text()
    heard.push({
      where: `answer of ${new URL(request.url).pathname}`,
      text: `${headerText(response.headers)}\n${body}`,
    })
    return response
  }
  XMLHttpRequest.prototype.setRequestHeader = function (name, value) {
    heard.push({ where: 'request header', text: `${name}: ${value}` })
    return setRequestHeader.call(this, name, value)
  }
  try {
    await exercise()
  } finally {
    window.fetch = fetch
    XMLHttpRequest.prototype.setRequestHeader = setRequestHeader
  }
  return heard
}

/**
 * Starts a sign-in of its own in a hidden frame, hoping that the provider still knows the person and answers at once.
 * @param {{ url: string, redeem?: (address: URL) => Promise<unknown> }} flow
 */
export async function silentSignIn({ url, redeem }) {
  const frame = Object.assign(document.createElement('iframe'), { src: url, hidden: true })
  const loaded = new Promise((resolve) => {
    frame.onload = resolve
    setTimeout(resolve, 4000)
  })
  document.body.append(frame)
  await loaded
  try {
    const address = new URL(frame.contentWindow.location.href) // throws while the frame is on another origin
    if (!redeem || !address.searchParams.has('code')) return [{ where: 'address of the frame', text: address.href }]
    return [{ where: 'a new set of tokens', text: text(await redeem(address)) }]
  } catch {
    return [{ where: 'sign-in refused to start in a frame', text: '' }]
  } finally {
    frame.remove()
    performance.clearResourceTimings() // covers its traces
  }
}

const headerText = (headers) => [...headers].map(([name, value]) => `${name}: ${value}`).join('\n')
