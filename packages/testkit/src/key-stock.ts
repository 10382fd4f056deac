import { type GenerateKeyPairResult, generateKeyPair } from 'jose'

/** More than one world takes at a time. */
const size = 12
const stock: Promise<GenerateKeyPairResult>[] = []
let next = 0

/**
 * Key pairs for RS256, used again by later worlds of this process: making one takes longer than all else that a stand-in does
 * when it starts. The next `size` are different ones, so within a world no two parts share a key.
 */
export function keyPairFromStock(): Promise<GenerateKeyPairResult> {
  const at = next++ % size
  stock[at] ??= generateKeyPair('RS256')
  return stock[at]
}
