import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider'
import type { ProviderInput, ProviderParts } from './provider-config.ts'

type Features = NonNullable<Configuration['features']>

/** What a provider offers to strong clients: PAR, DPoP, mutual TLS, FAPI 2.0. */
export function strongFeatures(
  { par, dpop, mtls = false, fapi2 = false }: ProviderInput,
  { dpopNonceSecret }: Pick<ProviderParts, 'dpopNonceSecret'>,
): Features {
  return {
    pushedAuthorizationRequests: {
      enabled: par !== undefined,
      requirePushedAuthorizationRequests: par === 'required',
    },
    dPoP: {
      enabled: dpop !== undefined,
      ...(dpop === 'nonce' && { nonceSecret: dpopNonceSecret, requireNonce: () => true }),
    },
    ...(mtls && {
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        selfSignedTlsClientAuth: true,
        tlsClientAuth: true,
        getCertificate: certificateOf,
        certificateAuthorized: (ctx) => socketOf(ctx).authorized,
        certificateSubjectMatches: (ctx, _property, expected) => subjectOf(certificateOf(ctx)) === expected,
      },
    }),
    ...(fapi2 && { fapi: { enabled: true, profile: '2.0' } }),
  }
}

const socketOf = (ctx: KoaContextWithOIDC) => ctx.req.socket as TLSSocket

function certificateOf(ctx: KoaContextWithOIDC): X509Certificate | undefined {
  return socketOf(ctx).getPeerX509Certificate?.()
}

/** As RFC 4514 writes it, where Node has one line for each part. */
function subjectOf(certificate: X509Certificate | undefined): string | undefined {
  return certificate?.subject.split('\n').reverse().join(',')
}
