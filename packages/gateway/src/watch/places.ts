import { readFileSync } from 'node:fs'
import { Reader, type Response } from 'maxmind'
import { stampOf } from '../config/file-stamp.ts'

/** Where an address is, in words for a person (`Zürich, Switzerland`); undefined where nobody knows. It is a guess, and no proof. */
export interface PlaceOf {
  (address: string): string | undefined
  /** Which file tells it, and as of when. */
  readonly source?: string
}

/**
 * Reads a database in MaxMind's format (GeoLite2 City or Country, or one of the free ones with a `country_code`) into memory.
 * `before` serves on if the file is the one that it was read from: it is large.
 * @throws Error saying that the file is no such database
 */
export function openPlaces(file: string | undefined, before?: PlaceOf): PlaceOf {
  if (file === undefined) return () => undefined
  const source = `${file} ${stampOf(file)}`
  if (before?.source === source) return before
  let reader: Reader<Response>
  try {
    reader = new Reader(readFileSync(file))
  } catch (cause) {
    throw new Error(`${file} can not be read as a database of addresses in MaxMind's format`, { cause })
  }
  const nameOf = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' })
  const placeOf = (address: string) => {
    const found = placed(reader, address)
    const code = found?.country?.iso_code ?? found?.country_code
    const country = found?.country?.names?.en ?? (isRegion(code) ? nameOf.of(code) : undefined)
    const city = found?.city?.names?.en
    return [city, country].filter((part) => part !== undefined).join(', ') || undefined
  }
  return Object.assign(placeOf, { source })
}

/** What of the databases' many shapes is used here. */
interface Entry {
  readonly city?: { readonly names?: { readonly en?: string } }
  readonly country?: { readonly iso_code?: string; readonly names?: { readonly en?: string } }
  readonly country_code?: string
}

/** An address that the database has never heard of, or that is none, is nowhere. */
function placed(reader: Reader<Response>, address: string): Entry | undefined {
  try {
    return (reader.get(address) ?? undefined) as Entry | undefined
  } catch {
    return undefined
  }
}

function isRegion(code: string | undefined): code is string {
  return code !== undefined && /^[A-Z]{2}$/.test(code)
}
