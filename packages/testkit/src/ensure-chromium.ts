import { findChromium } from './chromium.ts'

/** Runs once before the end-to-end tests: without a Chromium they fail, with the line that says what to install. */
export default async function setup(): Promise<void> {
  // Test processes inherit it, so that they search no more.
  process.env.CHROMIUM_PATH = await findChromium((line) => console.log(line))
}
