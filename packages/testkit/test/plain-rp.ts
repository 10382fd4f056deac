import { createServer } from 'node:http'
import * as client from 'openid-client'
import { closeServer, listen, reservePort } from '../src/listen.ts'

export const credentials = { clientId: 'plain', clientSecret: 'plain-secret-of-the-test' }

/** A relying party in forty lines, to check the provider with: no gateway involved. */
export async function startPlainRp(issuerOf: (redirectUri: string) => Promise<string>, scope = 'openid profile email') {
  const port = await reservePort()
  const url = `http://127.0.0.1:${port}`
  const redirectUri = `${url}/callback`
  const issuer = await issuerOf(redirectUri)
  const config = await client.discovery(
    new URL(issuer),
    credentials.clientId,
    undefined,
    client.ClientSecretBasic(credentials.clientSecret),
    { execute: [client.allowInsecureRequests] },
  )
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(),
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
  }
  const begin = async () =>
    client.buildAuthorizationUrl(config, {
      redirect_uri: redirectUri,
      scope,
      state: checks.expectedState,
      nonce: checks.expectedNonce,
      code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier),
      code_challenge_method: 'S256',
    })
  const redeem = (callback: string) => client.authorizationCodeGrant(config, new URL(callback), checks)

  const server = createServer(async (request, response) => {
    if (request.url === '/login') return void response.writeHead(303, { location: (await begin()).href }).end()
    try {
      const tokens = await redeem(new URL(request.url ?? '/', url).href)
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(tokens))
    } catch (error) {
      response.writeHead(400).end(String(error))
    }
  })
  await listen(server, port)
  return { url, redirectUri, config, begin, redeem, [Symbol.asyncDispose]: () => closeServer(server) }
}
