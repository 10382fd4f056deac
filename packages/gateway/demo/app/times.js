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

  function draw() {
    const idle = Date.parse(now.idleExpiresAt) - Date.now()
    const absolute = Date.parse(now.expiresAt) - Date.now()
    longestIdle = Math.max(longestIdle, idle)
    $('#idle-left').textContent = timeLeft(idle)
    $('#idle-bar').value = idle / longestIdle
    $('#absolute-left').textContent = timeLeft(absolute)
    $('#absolute-bar').value = absolute / (Date.parse(now.expiresAt) - Date.parse(now.authTime))
    if (Math.min(idle, absolute) <= 0) ended()
  }

  function refresh(newer) {
    if (newer === undefined) return ended()
    now = newer
    draw()
  }

  function ended() {
    clearInterval(ticking)
    clearInterval(asking)
    dispatchEvent(new CustomEvent('signed-out', { detail: { title: 'Your session ended.' } }))
  }

  const ticking = setInterval(draw, 1000)
  const asking = setInterval(() => readSession().then(refresh, () => {}), 60_000)
  draw()
  return refresh
}
