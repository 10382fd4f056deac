// The same, with undici as the client: whoever chooses it (`upstreamClient: undici`) gets the same proxy.
process.env.COATCHECK_TEST_CLIENT = 'undici'

await import('./look.test.ts')
