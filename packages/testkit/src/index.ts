export { Browser } from './browser.ts'
export type * from './browser-options.ts'
export * from './canaries.ts'
export { launchChromium } from './chromium.ts'
export { FakeClock } from './clock.ts'
export {
  awsAccount,
  type CognitoOptions,
  type CognitoParts,
  type CognitoSettings,
  ninaPassword,
  roleArn,
  salUser,
  startCognito,
} from './cognito.ts'
export { type PoolSignIn, passPool } from './cognito-login.ts'
export { adminToken, type ConfigInput, clientOf } from './config.ts'
export { type HostileProvider, startHostileProvider, type Twists } from './hostile-provider.ts'
export { reservePort } from './listen.ts'
export { Page } from './page.ts'
export { sampleUsers, startTestProvider } from './provider.ts'
export { providerPaths, type TestProvider } from './provider-api.ts'
export * from './raw.ts'
export { startTestTransmitter, type TestTransmitter } from './transmitter.ts'
export { startUpstream, type Upstream } from './upstream.ts'
export * from './world.ts'
