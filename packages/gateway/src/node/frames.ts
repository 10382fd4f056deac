import { randomBytes } from 'node:crypto'

/** The little of RFC 6455 §5 that a relay needs: where a frame ends, and three frames of its own. */

/** Follows the frames of one direction by their headers, whatever pieces they come in; payloads are skipped unread. */
export class FrameTracker {
  /** Bytes of payload (and mask) still to come in this frame. */
  #left = 0
  /** Bytes of header read of the next frame; its length field counts up in `#length`. */
  #read = 0
  #header = 2
  #masked = false
  #length = 0
  #broken = false
  /** Data frames that began, as opposed to pings, pongs and closes. */
  messages = 0

  /** Between two frames: another one may be put in here. */
  get atBoundary(): boolean {
    return this.#left === 0 && this.#read === 0 && !this.#broken
  }

  /**
   * Takes a piece. Returns how many of its bytes belong to the frame that has begun before, or to all of them: with
   * `untilBoundary` it stops at the first boundary, and the rest is not taken.
   */
  take(piece: Uint8Array, untilBoundary = false): number {
    let at = 0
    while (at < piece.length) {
      if (untilBoundary && this.atBoundary) return at
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, piece.length - at)
        this.#left -= skipped
        at += skipped
      } else {
        this.#headerByte(piece[at++] as number)
      }
    }
    return at
  }

  #headerByte(byte: number): void {
    const index = this.#read++
    if (index === 0) {
      this.#header = 2
      this.#length = 0
      if ((byte & 0x08) === 0) this.messages++
      return
    }
    if (index === 1) {
      this.#masked = (byte & 0x80) !== 0
      const length = byte & 0x7f
      if (length === 126) this.#header = 4
      else if (length === 127) this.#header = 10
      else this.#length = length
    } else {
      this.#length = this.#length * 256 + byte
    }
    if (this.#read < this.#header) return
    // Beyond 2^53 we lose count, and know of no boundary any more.
    if (!Number.isSafeInteger(this.#length)) this.#broken = true
    this.#left = this.#broken ? Number.POSITIVE_INFINITY : this.#length + (this.#masked ? 4 : 0)
    this.#read = 0
  }
}

/** From server to client: not masked. @see RFC 6455 §5.1 */
export function closeFrame(code: number, reason: string): Buffer {
  const payload = closePayload(code, reason)
  return Buffer.concat([Buffer.from([0x88, payload.length]), payload])
}

/** From client to server: masked. @see RFC 6455 §5.3 */
export function maskedCloseFrame(code: number, reason: string): Buffer {
  const payload = closePayload(code, reason)
  const mask = randomBytes(4)
  const masked = payload.map((byte, i) => byte ^ (mask[i % 4] as number))
  return Buffer.concat([Buffer.from([0x88, 0x80 | payload.length]), mask, masked])
}

export const pingFrame = Buffer.from([0x89, 0])

/** At most 125 bytes: reasons are words of ours. @see RFC 6455 §5.5.1 */
function closePayload(code: number, reason: string): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason.slice(0, 120))])
}
