import type { Path, Review } from './review.ts'
import type { Sections } from './schema.ts'
import { transmittersOf } from './signals-schema.ts'

/** Who may say what of our sessions: every name is that of a provider, and nobody is configured twice. */
export function reviewSignals(config: Sections, review: Review): void {
  const { signals, providers, defaultProvider } = config
  const { sound, problem, warn } = review
  if (!sound([], 'signals', 'providers') || typeof providers !== 'object' || providers === null) return
  const names = Object.keys(providers)
  const known = (at: Path, name: string) => {
    if (!names.includes(name)) problem(at, `there is no provider ${name}; write ${names.join(' or ')}`)
  }
  const reviewReach = (at: Path, reaches: string | readonly string[]) => {
    if (typeof reaches === 'string') return
    reaches.forEach((name, index) => {
      known([...at, 'reaches', index], name)
    })
  }

  const transmitters = transmittersOf(signals)
  transmitters.forEach(({ at, config: one }, index) => {
    if (one.provider !== undefined) known([...at, 'provider'], one.provider)
    reviewReach(at, one.reaches)
    const twin = transmitters.findIndex(({ config: other }) => other.transmitter === one.transmitter)
    if (twin < index)
      problem([...at, 'transmitter'], 'is there already; a transmitter has one stream', transmitters[twin]?.at)
    if (one.jwksUri !== undefined && one.verification && one.verification.url === undefined) {
      problem([...at, 'verification', 'url'], 'is missing; with jwksUri nothing else says where to ask')
    }
    const itsOwn = names.some((name) => providers[name]?.issuer === one.transmitter)
    if (one.provider === undefined && !itsOwn && names.length > 1) {
      warn([...at, 'provider'], `is not given, so its subjects are users of ${defaultProvider}`)
    }
  })

  for (const [name, caller] of Object.entries(signals.revocation)) {
    const at: Path = ['signals', 'revocation', name]
    reviewReach(at, caller.reaches)
    if (names.includes(name)) continue
    // Nobody signs in there, so nothing about it is known from elsewhere.
    const why = `is missing; ${name} is not a provider of sign-ins`
    if (caller.issuer === undefined) problem(at, `issuer ${why}: write the issuer of its tokens`)
    if (caller.caller === undefined) problem(at, `caller ${why}: write sub of its tokens`)
    if (caller.reaches === 'own') problem(at, `reaches ${why}: write all, or name the providers of its users`)
  }
}
