// node express.mjs PORT UPSTREAM ISSUER CLIENT [keep-alive]
import { Agent } from 'node:http'
import express from 'express'
import openidConnect from 'express-openid-connect'
import { createProxyMiddleware } from 'http-proxy-middleware'

const [, , port, upstream, issuer, clientID, connections] = process.argv
const app = express()

app.use(
  openidConnect.auth({
    issuerBaseURL: issuer,
    baseURL: `http://127.0.0.1:${port}`,
    clientID,
    clientSecret: 'bench-secret',
    secret: 'a long random secret of this bench, 32 bytes or more',
    authorizationParams: { response_type: 'code', scope: 'openid profile email' },
    authRequired: true,
  }),
)
app.get('/', (_request, response) => response.send('signed in'))
app.use(
  createProxyMiddleware({
    target: upstream,
    // Without an agent, its default, each request opens a connection of its own to the API.
    agent: connections === 'keep-alive' ? new Agent({ keepAlive: true }) : undefined,
    on: {
      proxyReq: (outgoing, incoming) =>
        outgoing.setHeader('Authorization', `Bearer ${incoming.oidc.accessToken.access_token}`),
    },
  }),
)
app.listen(Number(port), '127.0.0.1')
