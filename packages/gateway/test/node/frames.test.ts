import fc from 'fast-check'
import { expect, test } from 'vitest'
import { closeFrame, FrameTracker, maskedCloseFrame } from '../../src/node/frames.ts'

interface Frame {
  readonly length: number
  readonly masked: boolean
  readonly opcode: number
}

function bytesOf({ length, masked, opcode }: Frame): Buffer {
  const extended = length > 65_535 ? 8 : length > 125 ? 2 : 0
  const header = Buffer.alloc(2 + extended)
  header[0] = 0x80 | opcode
  header[1] = (masked ? 0x80 : 0) | (extended === 8 ? 127 : extended === 2 ? 126 : length)
  if (extended === 2) header.writeUInt16BE(length, 2)
  if (extended === 8) header.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([header, Buffer.alloc(masked ? 4 : 0, 0x88), Buffer.alloc(length, 0x81)])
}

const frame = fc.record({
  length: fc.oneof(fc.nat(200), fc.constantFrom(0, 125, 126, 127, 65_535, 65_536, 70_000)),
  masked: fc.boolean(),
  opcode: fc.constantFrom(0, 1, 2, 8, 9, 10),
})

test('whatever pieces frames come in, the boundaries between them are found, and no others', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(5000), { maxLength: 30 }),
      (frames, cuts) => {
        const bytes = Buffer.concat(frames.map(bytesOf))
        const boundaries = new Set([0])
        for (const one of frames) boundaries.add(([...boundaries].at(-1) ?? 0) + bytesOf(one).length)
        const tracker = new FrameTracker()
        let at = 0
        for (const cut of [...cuts, bytes.length]) {
          const piece = bytes.subarray(at, at + cut)
          expect(tracker.take(piece)).toBe(piece.length)
          at += piece.length
          expect(tracker.atBoundary).toBe(boundaries.has(at))
        }
        expect(tracker.messages).toBe(frames.filter(({ opcode }) => opcode < 8).length)
      },
    ),
  )
})

test('untilBoundary takes the rest of the frame that has begun, and nothing behind it', () => {
  fc.assert(
    fc.property(frame, frame, fc.nat(), (one, other, where) => {
      const bytes = bytesOf(one)
      const begun = 1 + (where % (bytes.length - 1 || 1))
      const tracker = new FrameTracker()
      tracker.take(bytes.subarray(0, begun))
      const rest = Buffer.concat([bytes.subarray(begun), bytesOf(other)])
      expect(tracker.take(rest, true)).toBe(bytes.length - begun)
      expect(tracker.atBoundary).toBe(true)
    }),
  )
})

test('a frame of a length that nobody can count has no end', () => {
  const tracker = new FrameTracker()
  tracker.take(Buffer.from([0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))
  tracker.take(Buffer.alloc(100_000))
  expect(tracker.atBoundary).toBe(false)
})

test('the gateway’s own frames are single, final and of the form that their direction needs', () => {
  expect(closeFrame(4401, 'x')).toEqual(Buffer.from([0x88, 3, 0x11, 0x31, 0x78]))
  const masked = maskedCloseFrame(1001, 'x')
  expect([masked.length, masked[0], masked[1]]).toEqual([9, 0x88, 0x83])
  expect(masked.subarray(6).map((byte, i) => byte ^ (masked[2 + i] as number))).toEqual(Buffer.from([3, 0xe9, 0x78]))
  expect(closeFrame(1001, 'y'.repeat(500)).length).toBeLessThanOrEqual(127)
})
