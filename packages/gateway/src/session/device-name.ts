import Bowser from 'bowser'

/** A browser and its system in words that its owner knows: `Chrome on Windows`. A client's own claim, shown and never trusted. */
export function deviceName(userAgent: string): string {
  if (userAgent === '') return 'Unknown device'
  const { browser, os } = Bowser.parse(userAgent)
  const name = browser.name || userAgent.split(/[\s/]/, 1)[0]
  return [name || 'Unknown device', os.name].filter(Boolean).join(' on ').slice(0, 80)
}
