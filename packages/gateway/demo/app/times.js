/** The two clocks of a session, counted down in the page. The server decides; the page only shows. */

import { $, timeLeft } from './ui.js'

/**
 * @param {{ idleExpiresAt: string, expiresAt: string, authTime: string }} times
 * @param {() => Promise<typeof times | undefined>} readSession asked once a minute, without extending the session
 * @returns a function that takes newer times
 */
export function showTimes(times, readSession) {
  let now = times
  let longestIdle = 0
  let askedAtEnd = false

  function draw() {
    const idle = Date.parse(now.idleExpiresAt) - Date.now()
    const absolute = Date.parse(now.expiresAt) - Date.now()
    longestIdle = Math.max(longestIdle, idle)
    $('#idle-left').textContent = timeLeft(idle)
    $('#idle-bar').value = idle / longestIdle
    $('#absolute-left').textContent = timeLeft(absolute)
    $('#absolute-bar').value = absolute / (Date.parse(now.expiresAt) - Date.parse(now.authTime))
    return Math.min(idle, absolute)
  }

  function refresh(newer) {
    if (newer === undefined) return ended()
    askedAtEnd &&= newer.idleExpiresAt === now.idleExpiresAt
    now = newer
    draw()
  }

  function tick() {
    if (draw() > 0 || askedAtEnd) return
    askedAtEnd = true
    ask() // the server knows: another tab may have kept the session alive, or this clock is wrong
  }

  function ended() {
    clearInterval(ticking)
    clearInterval(asking)
    dispatchEvent(new CustomEvent('signed-out', { detail: { title: 'Your session ended.' } }))
  }

  const ticking = setInterval(tick, 1000)
  const ask = () => readSession().then(refresh, () => {})
  const asking = setInterval(ask, 60_000)
  draw()
  return refresh
}
