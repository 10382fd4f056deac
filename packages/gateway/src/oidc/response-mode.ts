import type { ProviderConfig } from '../config/schema.ts'

/** How the provider was asked to answer. */
export interface ResponseMode {
  /** By a form that the browser posts, so that the code stands in no address. @see OAuth 2.0 Form Post Response Mode */
  readonly posted: boolean
  /** As one signed JWT. @see JARM §2.3 */
  readonly signed: boolean
}

export function responseModeOf({ authorizationParams }: ProviderConfig): ResponseMode {
  const mode = authorizationParams.response_mode ?? 'query'
  return { posted: mode.startsWith('form_post'), signed: mode.endsWith('jwt') }
}
